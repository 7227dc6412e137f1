"""Separable cubic resizing on the host, with the kernels that GAIR was trained and run with.

Keys' cubic, a polynomial of |x| on [0, 2) with a free parameter a, sampled at pixel centres:

  cubic_antialias  a = -0.5, stretched by the factor when shrinking, weights cut at the border and
                   normalised; as jax.image.resize(..., 'cubic'), Pillow, torch with antialias
  cubic            a = -0.75, never stretched, border pixels repeated; as torch's plain bicubic with
                   align_corners=False, which is what the release does
"""

import functools

import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError

KERNELS = ('cubic_antialias', 'cubic')


def resize(
    image: Float[np.ndarray, 'h w c'], shape: tuple[int, int], kernel: str
) -> Float[np.ndarray, 'p q c']:
    """float32 image of `shape` (rows, columns); values may leave the range of the input's.

    Written without a matrix product: BLAS would start threads of its own under the reading threads,
    and its rounding may depend on their number.

    Raises:
      InputError: `kernel` is not one of `KERNELS`.
    """
    image = image.astype(np.float32, copy=False)
    if image.shape[:2] == shape:
        return image
    tall = _resize_rows(image, shape[0], kernel)
    wide = _resize_rows(np.ascontiguousarray(tall.swapaxes(0, 1)), shape[1], kernel)
    return np.ascontiguousarray(wide.swapaxes(0, 1))


def matrix(n_in: int, n_out: int, kernel: str) -> Float[np.ndarray, 'n_out n_in']:
    """Weights of every input pixel in every output pixel along one axis, float64; rows sum to 1."""
    if kernel not in KERNELS:
        raise InputError(f'kernel: expected {" or ".join(KERNELS)}, found {kernel!r}.')
    centre = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    if kernel == 'cubic':
        taps = np.floor(centre)[:, None] + np.arange(-1, 3)
        weights = np.zeros((n_out, n_in))
        at = np.clip(taps, 0, n_in - 1).astype(np.int64)
        np.add.at(weights, (np.arange(n_out)[:, None], at), _keys(centre[:, None] - taps, -0.75))
        return weights
    stretch = max(n_in / n_out, 1.0)
    weights = _keys((centre[:, None] - np.arange(n_in)) / stretch, -0.5)
    return weights / weights.sum(axis=1, keepdims=True)


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _resize_rows(image: np.ndarray, n_out: int, kernel: str) -> np.ndarray:
    flat = image.reshape(len(image), -1)
    out = np.empty((n_out, flat.shape[1]), np.float32)
    for i, (start, weights) in enumerate(_runs(len(image), n_out, kernel)):
        np.einsum('k,kn->n', weights, flat[start : start + len(weights)], out=out[i])
    return out.reshape(n_out, *image.shape[1:])


@functools.lru_cache(maxsize=256)
def _runs(n_in: int, n_out: int, kernel: str) -> list[tuple[int, np.ndarray]]:
    """Each output row's weights without the zeros around them, and where they start."""
    runs = []
    for row in matrix(n_in, n_out, kernel):
        used = np.flatnonzero(row)
        runs.append((int(used[0]), row[used[0] : used[-1] + 1].astype(np.float32)))
    return runs
