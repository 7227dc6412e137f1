"""Separable resizing on the host, with the kernels that GAIR and its benchmarks are run with.

Keys' cubic, a polynomial of |x| on [0, 2) with a free parameter a, sampled at pixel centres:

  cubic_antialias  a = -0.5, stretched by the factor when shrinking, weights cut at the border and
                   normalised; as jax.image.resize(..., 'cubic'), Pillow, torch with antialias
  cubic            a = -0.75, never stretched, border pixels repeated; as torch's plain bicubic with
                   align_corners=False, which is what the release does
  linear_antialias a tent, stretched, cut and normalised as the first; as torch's bilinear with
                   antialias, which PANGAEA-Bench uses
"""

import functools

import numpy as np
import scipy.sparse
from jaxtyping import Float

from gair_jax.config import InputError

KERNELS = ('cubic_antialias', 'cubic', 'linear_antialias')


def resize(
    image: Float[np.ndarray, 'h w c'], shape: tuple[int, int], kernel: str
) -> Float[np.ndarray, 'p q c']:
    """float32 image of `shape` (rows, columns); values may leave the range of the input's.

    A product with a sparse matrix, which adds up in the order of the pixels. A dense one would not:
    BLAS would start threads of its own under the reading threads, and its rounding may depend on
    their number.

    Raises:
      InputError: `kernel` is not one of `KERNELS`.
    """
    image = image.astype(np.float32, copy=False)
    if image.shape[:2] == shape:
        return image
    (h, w, c), (p, q) = image.shape, shape
    # Two axes each time: moving three is several times slower.
    tall = _sparse(h, p, kernel, 1) @ image.reshape(h, w * c)
    wide = _sparse(w, q, kernel, c) @ np.ascontiguousarray(tall.T)
    return np.ascontiguousarray(wide.T).reshape(p, q, c)


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
    away = (centre[:, None] - np.arange(n_in)) / stretch
    weights = _keys(away, -0.5) if kernel == 'cubic_antialias' else np.maximum(1 - np.abs(away), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@functools.lru_cache(maxsize=256)
def _sparse(n_in: int, n_out: int, kernel: str, channels: int) -> scipy.sparse.csr_array:
    """`matrix` as float32 without its zeros, for pixels of interleaved channels."""
    weights = scipy.sparse.csr_array(matrix(n_in, n_out, kernel).astype(np.float32))
    return scipy.sparse.kron(weights, scipy.sparse.eye_array(channels, dtype=np.float32), 'csr')
