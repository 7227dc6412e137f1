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
        return _average(lambda w: resized(params, w), rasters, window, at_most)

    return predict


def _average(
    logits_of: Callable[[np.ndarray], jax.Array], rasters: np.ndarray, window: int, at_most: int
) -> np.ndarray:
    """The mean over windows of the logits of each pixel."""
    height, width = rasters.shape[-3:-1]
    corners = [
        (b, y, x)
        for b in range(len(rasters))
        for y in starts(height, window)
        for x in starts(width, window)
    ]
    total, count = None, np.zeros((len(rasters), height, width, 1), np.float32)
    for first in range(0, len(corners), at_most):
        chunk = corners[first : first + at_most]
        filled = chunk + chunk[-1:] * (at_most - len(chunk))
        logits = np.asarray(logits_of(np.stack([_cut(rasters, c, window) for c in filled])))
        if total is None:
            total = np.zeros((*count.shape[:-1], logits.shape[-1]), np.float32)
        for (b, y, x), found in zip(chunk, logits, strict=False):
            total[b, y : y + window, x : x + window] += found
            count[b, y : y + window, x : x + window] += 1
    if total is None:
        raise InputError('rasters: expected at least one, found none.')
    return total / count


def _cut(rasters: np.ndarray, corner: tuple[int, int, int], window: int) -> np.ndarray:
    b, y, x = corner
    return rasters[b, ..., y : y + window, x : x + window, :]
