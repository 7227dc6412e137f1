"""Where a patch stands: fixed sine-cosine tables and the distance bias of attention.

Patches are row-major everywhere; cells are counted from 0 at the upper left.
"""

from typing import Any

import numpy as np
from jaxtyping import Float


def sincos(position: Float[Any, '*batch 2'], dim: int, xp: Any = np) -> Float[Any, '*batch {dim}']:
    """Sine-cosine vectors of continuous positions (x, y), in cells.

    The first half of the channels stands for x, the second for y; each half is [sin, cos] of the
    position times 10000^(-k / (dim / 4)) (He et al. 2022; the release's query tables). `dim` must
    be divisible by 4.
    """
    assert dim % 4 == 0, dim
    omega = 10000.0 ** -(np.arange(dim // 4) / (dim / 4))
    omega = omega.astype(position.dtype).reshape((1,) * position.ndim + (-1,))
    phase = position[..., None] * omega
    halves = xp.concatenate([xp.sin(phase), xp.cos(phase)], axis=-1)
    return halves.reshape(*position.shape[:-1], dim)


def sincos_table(h: int, w: int, dim: int) -> Float[np.ndarray, 'n {dim}']:
    """The sine-cosine vectors of an h x w grid of patches, formed in float64."""
    return sincos(_cells(h, w), dim).astype(np.float32)


def alibi_slopes(heads: int) -> Float[np.ndarray, ' heads']:
    """How steeply attention falls with distance, per head (Press et al. 2022).

    2^(-8 (k + 1) / heads) for a power of two. Otherwise those of the largest power of two below,
    then every second one of twice that number, until all heads have one.
    """
    power = 2 ** int(np.log2(heads))
    slopes = 2.0 ** (-8 * np.arange(1, power + 1) / power)
    finer = 2.0 ** (-8 * np.arange(1, 2 * power + 1, 2) / (2 * power))
    return np.concatenate([slopes, finer])[:heads]


def alibi_bias(h: int, w: int, heads: int) -> Float[np.ndarray, 'heads n n']:
    """-slope x Euclidean distance between patches, in patches (CROMA's 2-D ALiBi); any grid."""
    cells = _cells(h, w)
    distance = np.linalg.norm(cells[:, None] - cells[None], axis=-1)
    return (-alibi_slopes(heads)[:, None, None] * distance).astype(np.float32)


def _cells(h: int, w: int) -> Float[np.ndarray, 'n 2']:
    rows, columns = np.mgrid[:h, :w]
    return np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
