"""NILI: the tile's patch grid read at any point by a learned function (paper section 3.2).

A point looks at the four cells around it. For each, a network H takes the cell's 3 x 3
neighbourhood and the offset of the point from the cell's centre, in half cells; the four answers
are blended by the area of the diagonally opposite rectangle (LIIF, Chen et al. 2021, section 3).

xy is [-1, 1] over the grid, x east, y south. Points outside are taken as the references take them:
the cells stay at the border and the offsets grow. Whoever must not have that refuses them before.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gair_jax.models.location import LAST_WEIGHTS, RELU_WEIGHTS

SCHEDULES = ('gather', 'convolve')
COORDINATES = ('centred', 'history')
NUDGE = 1e-6  # moves a point off the border between two cells, as the references do
# The diagonally opposite corners are these in reverse.
CORNERS = np.asarray([(-1, -1), (-1, 1), (1, -1), (1, 1)], np.float32)

Corner = Callable[[Int[Array, 'b q 2'], Float[Array, 'b q 2']], Float[Array, 'b q k']]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NiliSpec:
    """Settings of NILI.

    Attributes:
      dim: width D of the patch grid.
      embed_dim: width of the result.
      hidden: ReLU widths of H between input and output; () makes H one affine map.
      coordinates: 'centred', or 'history': the authors' earlier code took x in [0, 1] as the row
        and y as the column of the [-1, 1] range, and gave H its offsets as (row, column).
      ensemble: blend four cells; otherwise the nearest cell alone.
    """

    dim: int
    embed_dim: int
    hidden: tuple[int, ...]
    coordinates: str = 'centred'
    ensemble: bool = True


class FirstLayer(nn.Module):
    """H's first affine map, in two parts: a 3 x 3 convolution kernel and columns for the offset.

    The output is kernel * neighbourhood + offset_kernel * offset + bias.
    """

    dim: int
    width: int
    weights: nn.initializers.Initializer

    def setup(self) -> None:
        """Draws the kernel for its fan-in, 9 D; the offset columns as if they were part of it."""
        self.kernel = self.param('kernel', self.weights, (3, 3, self.dim, self.width))
        self.offset_kernel = self.param('offset_kernel', self._draw_offset)
        self.bias = self.param('bias', nn.initializers.zeros, (self.width,))

    def gather(
        self, grid: Float[Array, 'b h w d'], cell: Int[Array, 'b q 2']
    ) -> Float[Array, 'b q k']:
        """The product at given cells only: few queries."""
        padded = jnp.pad(grid, ((0, 0), (1, 1), (1, 1), (0, 0)))
        near = np.arange(3)[None, None]
        row = cell[..., 1, None, None] + near[..., :, None]
        column = cell[..., 0, None, None] + near[..., None, :]
        # One image at a time, so that devices which share a batch see that none needs another's.
        around = jax.vmap(lambda image, *at: image[at])(padded, *jnp.broadcast_arrays(row, column))
        return around.reshape(*cell.shape[:2], -1) @ self.kernel.reshape(-1, self.width)

    def convolve(self, grid: Float[Array, 'b h w d']) -> Float[Array, 'b h w k']:
        """The product at every cell: many queries."""
        return jax.lax.conv_general_dilated(
            grid, self.kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )

    def shift(self, offset: Float[Array, 'b q 2']) -> Float[Array, 'b q k']:
        """What the offset and the bias add."""
        # Not as a product, which XLA would store for every point before it is added.
        x, y = offset[..., 0, None], offset[..., 1, None]
        columns = self.offset_kernel[:, None, None]
        return x * columns[0] + y * columns[1] + self.bias[None, None]

    def _draw_offset(self, key: Array) -> Float[Array, '2 k']:
        return self.weights(key, (9 * self.dim + 2, self.width))[:2]


class Nili(nn.Module):
    """The implicit function over a patch grid [B, h, w, D] of any h and w, of any encoder."""

    spec: NiliSpec

    def setup(self) -> None:
        """H as its first affine map and the rest."""
        spec = self.spec
        widths = (*spec.hidden, spec.embed_dim)
        weights = RELU_WEIGHTS if spec.hidden else LAST_WEIGHTS
        self.first = FirstLayer(spec.dim, widths[0], weights)
        self.rest = [
            nn.Dense(width, kernel_init=LAST_WEIGHTS if i == len(widths) - 2 else RELU_WEIGHTS)
            for i, width in enumerate(widths[1:])
        ]

    def __call__(
        self, grid: Float[Array, 'b h w d'], xy: Float[Array, 'b q 2'], schedule: str = 'gather'
    ) -> Float[Array, 'b q k']:
        """Embeddings of the points xy of each grid.

        `schedule` says in which order H's first map is applied: 'gather' at the needed cells only,
        'convolve' at every cell once. Both give the same numbers.
        """
        shape = np.asarray([[grid.shape[2:0:-1]]], np.float32)
        corner = self._corner(grid, schedule)
        point = jnp.stack([xy[..., 1], xy[..., 0]], -1) / 2 + 0.5 if self._history else xy
        if not self.spec.ensemble:
            return corner(*nearest(point, shape))
        found = self._corners(corner, point, shape, schedule)
        total = jnp.sum(jnp.stack([area for _, area in found]), axis=0)
        opposite = [area / total for _, area in reversed(found)]
        parts = [w[..., None] * answer for w, (answer, _) in zip(opposite, found, strict=True)]
        return parts[0] + parts[1] + parts[2] + parts[3]

    def _corners(
        self,
        corner: Corner,
        point: Float[Array, 'b q 2'],
        shape: Float[np.ndarray, '1 1 2'],
        schedule: str,
    ) -> list[tuple[Float[Array, 'b q k'], Float[Array, 'b q']]]:
        """The answer and the rectangle of each of the four corners.

        Gathered, they share one product; convolved, they are apart, so that XLA looks up, shifts
        and blends them in one pass over the points and stores none.
        """
        if schedule == 'convolve':
            corners = jnp.asarray(CORNERS[:, None, None])
            return [_one_corner(corner, point, shape, towards) for towards in corners]
        each = nn.vmap(
            lambda _, towards: _one_corner(corner, point, shape, towards),
            variable_axes={'params': None},
            split_rngs={'params': False},
        )
        return list(zip(*each(self, CORNERS[:, None, None]), strict=True))

    @property
    def _history(self) -> bool:
        return self.spec.coordinates == 'history'

    def _corner(self, grid: Float[Array, 'b h w d'], schedule: str) -> Corner:
        """H at a cell and an offset, with what can be shared by all points computed once."""
        convolved = self.first.convolve(grid) if schedule == 'convolve' else None

        def corner(cell: Int[Array, 'b q 2'], offset: Float[Array, 'b q 2']) -> Array:
            if convolved is None:
                x = self.first.gather(grid, cell)
            else:
                x = convolved[jnp.arange(len(grid))[:, None], cell[..., 1], cell[..., 0]]
            x = x + self.first.shift(offset[..., ::-1] if self._history else offset)
            for layer in self.rest:
                x = layer(jax.nn.relu(x))
            return x

        return corner


def _one_corner(
    corner: Corner,
    xy: Float[Array, 'b q 2'],
    shape: Float[np.ndarray, '1 1 2'],
    towards: Float[Array, '1 1 2'],
) -> tuple[Float[Array, 'b q k'], Float[Array, 'b q']]:
    """H's answer for the cell half a cell away in one diagonal direction, and its rectangle."""
    cell, offset = nearest(xy, shape, towards)
    return corner(cell, offset), jnp.abs(offset[..., 0] * offset[..., 1]) + 1e-9


def nearest(
    xy: Float[Array, 'b q 2'],
    shape: Float[np.ndarray, '1 1 2'],
    towards: Float[Array, '1 1 2'] | None = None,
) -> tuple[Int[Array, 'b q 2'], Float[Array, 'b q 2']]:
    """The cell (column, row) nearest to each point, and the offset from its centre in half cells.

    With `towards`, the cell nearest to the point moved by half a cell in that direction (and by
    `NUDGE`); the offset stays that of the point. `shape` is (columns, rows).
    """
    moved = xy if towards is None else xy + (towards / shape + NUDGE)
    moved = jnp.clip(moved, -1 + NUDGE, 1 - NUDGE) if towards is not None else moved
    cell = jnp.round((moved + 1) * (shape / 2) - 0.5)  # half to even, as the references round
    cell = jnp.clip(cell, 0, shape - 1)
    centre = (2 * cell + 1) / shape - 1
    return cell.astype(jnp.int32), (xy - centre) * shape
