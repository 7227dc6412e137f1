"""The alternatives to NILI: fixed interpolation of the tokens (paper section 5.5)."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

PADDINGS = ('border', 'zeros')
CUBIC = -0.75  # the coefficient of the release's bicubic kernel


def bilinear(
    grid: Float[Array, 'b h w d'], xy: Float[Array, 'b q 2'], padding: str
) -> Float[Array, 'b q d']:
    """Grid sample with two cells an axis; see `_sample`."""
    return _sample(grid, xy, padding, (0, 1), lambda t: jnp.stack([1 - t, t], -1))


def bicubic(
    grid: Float[Array, 'b h w d'], xy: Float[Array, 'b q 2'], padding: str
) -> Float[Array, 'b q d']:
    """Grid sample with four cells an axis and the kernel of coefficient -0.75; see `_sample`."""
    return _sample(grid, xy, padding, (-1, 0, 1, 2), _cubic_weights)


def mean(grid: Float[Array, 'b h w d'], xy: Float[Array, 'b q 2']) -> Float[Array, 'b q d']:
    """The mean of all tokens, wherever the point is (w/o NILI)."""
    pooled = jnp.mean(grid, axis=(1, 2))[:, None]
    return jnp.broadcast_to(pooled, (*xy.shape[:2], grid.shape[-1]))


def _sample(
    grid: Float[Array, 'b h w d'],
    xy: Float[Array, 'b q 2'],
    padding: str,
    taps: tuple[int, ...],
    kernel: Callable[[Float[Array, 'b q 2']], Float[Array, 'b q 2 t']],
) -> Float[Array, 'b q d']:
    """Weighted cells around each point; xy in [-1, 1] is the grid's outer border.

    Cells outside the grid count as 0 with padding 'zeros', so that values fade in the outer half
    cell, and as the nearest cell inside with 'border'.
    """
    shape = np.asarray([[grid.shape[2:0:-1]]])
    position = ((xy + 1) * shape - 1) / 2
    base = jnp.floor(position)
    weights = kernel(position - base)
    cells = base.astype(jnp.int32)[..., None] + np.asarray([[[taps]]])
    inside = jnp.clip(cells, 0, shape[..., None] - 1)
    if padding == 'zeros':
        weights = jnp.where(cells == inside, weights, 0)
    values = _gather(grid, inside)
    return jnp.einsum('bqj,bqi,bqijd->bqd', weights[..., 0, :], weights[..., 1, :], values)


def _gather(
    grid: Float[Array, 'b h w d'], cells: Int[Array, 'b q 2 t']
) -> Float[Array, 'b q t t d']:
    row, column = cells[..., 1, :, None], cells[..., 0, None, :]
    return grid[jnp.arange(len(grid))[:, None, None, None], row, column]


def _cubic_weights(t: Float[Array, 'b q 2']) -> Float[Array, 'b q 2 4']:
    """Keys' cubic convolution at distances 1 + t, t, 1 - t and 2 - t."""
    a = CUBIC

    def near(s: Array) -> Array:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: Array) -> Array:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return jnp.stack([far(1 + t), near(t), near(1 - t), far(2 - t)], axis=-1)
