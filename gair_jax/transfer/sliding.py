"""Masks of rasters larger than an encoder's input, from windows whose logits are averaged.

Along an axis of L pixels n = ceil(L / S) windows of S pixels start at places evenly spaced from 0
to L - S, rounded half to even (PANGAEA-Bench, Marsocci et al. 2024). The reference is right on
square rasters alone; rasters here have any shape.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import InputError

Forward = Callable[[Any, jax.Array], jax.Array]
Predict = Callable[[Any, np.ndarray], np.ndarray]


def starts(length: int, window: int) -> np.ndarray:
    """The first pixel of each window along an axis, int64 [n].

    Raises:
      InputError: the axis is shorter than a window.
    """
    if not 0 < window <= length:
        raise InputError(f'window: expected 1..{length} pixels, as the raster has, found {window}.')
    count = -(-length // window)
    return np.round(np.linspace(0, length - window, count)).astype(np.int64)


def sliding(forward: Forward, window: int, *, at_most: int = 8) -> Predict:
    """A function of params and rasters [b, *dates, h, w, c] to logits float32 [b, h, w, k].

    It is compiled once, however large the rasters: the last forward is filled up with copies.

    Args:
      forward: (params, windows [n, *dates, S, S, c]) -> logits [n, p, q, k], of each alone.
      window: S in pixels.
      at_most: windows n of a forward.
    """

    @jax.jit
    def resized(params: Any, windows: jax.Array) -> jax.Array:
        logits = forward(params, windows).astype(jnp.float32)
        shape = (len(logits), window, window, logits.shape[-1])
        return jax.image.resize(logits, shape, 'linear', antialias=False)

    def predict(params: Any, rasters: np.ndarray) -> np.ndarray:
        return np.stack(
            [_of_raster(resized, params, raster, window, at_most) for raster in rasters]
        )

    return predict


def _of_raster(
    resized: Forward, params: Any, raster: np.ndarray, window: int, at_most: int
) -> np.ndarray:
    def read(row: int, col: int) -> np.ndarray:
        return raster[..., row : row + window, col : col + window, :]

    return average(
        lambda windows: resized(params, jnp.asarray(windows)),
        read,
        raster.shape[-3:-1],
        window,
        at_most,
    )


def average(
    logits_of: Callable[[np.ndarray], Any],
    read: Callable[[int, int], np.ndarray],
    shape: tuple[int, ...],
    window: int,
    at_most: int = 8,
) -> np.ndarray:
    """The mean over windows of the logits of each pixel of a raster, float32 [h, w, k].

    Args:
      logits_of: windows [at_most, ...] -> logits [at_most, window, window, k].
      read: (first row, first column) -> a window of the raster, as `logits_of` takes it.
      shape: rows and columns of the raster.
      window: side, in pixels of the raster.
      at_most: windows of a call; the last call is filled up with copies.
    """
    corners = [(int(y), int(x)) for y in starts(shape[0], window) for x in starts(shape[1], window)]
    total, count = None, np.zeros((*shape, 1), np.float32)
    for first in range(0, len(corners), at_most):
        chunk = corners[first : first + at_most]
        filled = chunk + chunk[-1:] * (at_most - len(chunk))
        logits = np.asarray(logits_of(np.stack([read(*corner) for corner in filled])))
        if total is None:
            total = np.zeros((*shape, logits.shape[-1]), np.float32)
        for (y, x), found in zip(chunk, logits, strict=False):
            total[y : y + window, x : x + window] += found
            count[y : y + window, x : x + window] += 1
    assert total is not None
    return total / count
