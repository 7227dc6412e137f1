"""Windows over a raster, and how they share the points that several of them see.

Windows lie on one grid anchored at the raster's origin, a stride apart; the last of each axis is
moved inwards so that it ends at the raster's edge. A point counts in every window that holds it,
with a weight that falls linearly to zero at the window's borders, divided by the sum of its
weights: walking out of a window, its share fades before it is gone, so no seam shows.

Points are (x, y) in pixels of the raster from its upper left corner, float64: x along columns.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gair_jax.config import InputError

Shape = tuple[int, int]
OVERLAP = 0.25  # of a window's side, where nothing else is asked for
# Keeps the weight of a point on the raster's own edge, which lies in no other window, above zero.
LEAST_WEIGHT = 1e-6


class WindowGrid(NamedTuple):
    """Where windows lie: `size` (rows, columns) each, at every pair of offsets `rows` x `cols`."""

    size: Shape
    rows: Int[np.ndarray, ' r']
    cols: Int[np.ndarray, ' c']

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.cols)

    def offset(self, window: int) -> Shape:
        """First row and column of a window, counted row by row."""
        row, col = divmod(window, len(self.cols))
        return int(self.rows[row]), int(self.cols[col])


class Shares(NamedTuple):
    """Pairs of a window and a point in it, sorted by window, then point.

    window, point: indices int [m]; weight: float64 [m], adding up to 1 for each point.
    """

    window: Int[np.ndarray, ' m']
    point: Int[np.ndarray, ' m']
    weight: Float[np.ndarray, ' m']


def window_grid(shape: Shape, size: Shape, overlap: float) -> WindowGrid:
    """The grid over a raster of `shape` (rows, columns).

    Args:
      shape: of the raster, pixels.
      size: of a window, pixels.
      overlap: share of a window's side that the next one covers too, 0 <= overlap < 1.

    Raises:
      InputError: the raster is smaller than a window, or `overlap` is out of range.
    """
    if not 0 <= overlap < 1:
        raise InputError(f'overlap: expected 0 <= overlap < 1, found {overlap}.')
    if shape[0] < size[0] or shape[1] < size[1]:
        raise InputError(
            f'expected a raster of at least {size[0]} x {size[1]} pixels, the window that the '
            f'encoder sees, found {shape[0]} x {shape[1]}.'
        )
    rows, cols = (_offsets(n, s, overlap) for n, s in zip(shape, size, strict=True))
    return WindowGrid(size, rows, cols)


def share(grid: WindowGrid, points: Float[np.ndarray, 'n 2']) -> Shares:
    """Which windows see each point, and how much each of them counts."""
    down = _along(points[:, 1], grid.rows, grid.size[0])
    across = _along(points[:, 0], grid.cols, grid.size[1])
    # Every candidate of one axis with every candidate of the other: [n, r, c].
    weight = down.weight[:, :, None] * across.weight[:, None, :]
    window = down.window[:, :, None] * len(grid.cols) + across.window[:, None, :]
    point = np.broadcast_to(np.arange(len(points))[:, None, None], weight.shape)
    weight = weight / weight.sum(axis=(1, 2), keepdims=True)
    seen = weight > 0
    window, point, weight = window[seen], point[seen], weight[seen]
    order = np.lexsort((point, window))
    return Shares(window[order], point[order], weight[order])


class _Axis(NamedTuple):
    """Candidate windows of each point along one axis: indices int [n, k], weights [n, k]."""

    window: np.ndarray
    weight: np.ndarray


def _offsets(n: int, size: int, overlap: float) -> np.ndarray:
    stride = max(1, round(size * (1 - overlap)))
    return np.append(np.arange(0, n - size, stride), n - size)


def _along(at: np.ndarray, offsets: np.ndarray, size: int) -> _Axis:
    first = np.searchsorted(offsets + size, at, side='left')
    last = np.searchsorted(offsets, at, side='right')
    most = int((last - first).max(initial=1))
    window = first[:, None] + np.arange(most)
    inside = window < last[:, None]
    window = np.minimum(window, len(offsets) - 1)
    from_edge = np.minimum(at[:, None] - offsets[window], offsets[window] + size - at[:, None])
    weight = np.maximum(from_edge / size, LEAST_WEIGHT)
    return _Axis(window, np.where(inside, weight, 0))
