"""Windows of a tile, positions inside them, and the centres of their patches.

A window is `size` pixels from integer offset (row, col). `xy` is relative to the window as
`tile_xy` is to the tile: in [-1, 1], x east, y south.
"""

import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError

Shape = tuple[int, int]


def place_window(
    tile_xy: Float[np.ndarray, '2'],
    tile_shape: Shape,
    size: int | Shape,
    placement: str,
    rng: np.random.Generator,
) -> Shape:
    """The offset (row, col) of a window that lies in the tile and, mostly, holds `tile_xy`.

    Args:
      tile_xy: in [-1, 1] (`tiles.require_inside`).
      tile_shape: rows and columns of the tile.
      size: of the window in pixels, one number or (rows, columns).
      placement: 'random', every valid offset alike, so that the point is anywhere in the window;
        'centre', the point in the middle, shifted inwards at the tile's edges; or 'anywhere', every
        offset alike, whether the window holds the point or not.
      rng: not read by 'centre'.

    Raises:
      InputError: the window is larger than the tile, or `placement` is none of the above.
    """
    if placement not in ('random', 'centre', 'anywhere'):
        raise InputError(f'placement: expected random, centre or anywhere, found {placement!r}.')
    size = _pair(size)
    if size[0] > tile_shape[0] or size[1] > tile_shape[1]:
        raise InputError(
            f'window: expected at most the tile, {tile_shape[0]} x {tile_shape[1]} pixels, found '
            f'{size[0]} x {size[1]}.'
        )
    row_col = (tile_xy[::-1] + 1) / 2 * tile_shape
    offsets = [
        _offset(float(at), n, s, placement, rng)
        for at, n, s in zip(row_col, tile_shape, size, strict=True)
    ]
    return offsets[0], offsets[1]


def centred_window(at: tuple[float, float], shape: Shape, size: int) -> tuple[int, int, bool]:
    """The window of the authors' release: `size` pixels a side around the pixel that holds `at`.

    It is shifted inwards at the raster's edges. Where the raster is smaller than the window, it
    starts at the raster's first row or column, and reaches beyond the last.

    Args:
      at: row and column, in pixels from the raster's upper left corner.
      shape: rows and columns of the raster.
      size: of the window.

    Returns:
      First row and column, and whether it was shifted.

    Raises:
      InputError: the point is outside the raster.
    """
    if not all(0 <= place < n for place, n in zip(at, shape, strict=True)):
        raise InputError(
            f'point: expected a place in the raster of {shape[0]} x {shape[1]} pixels, found row '
            f'{at[0]:.6g}, column {at[1]:.6g}.'
        )
    centred = [int(place) - size // 2 for place in at]
    row, col = (max(0, min(c, n - size)) for c, n in zip(centred, shape, strict=True))
    return row, col, [row, col] != centred


def window_bounds(
    transform: Float[np.ndarray, '6'], row: int, col: int, size: int | Shape
) -> Float[np.ndarray, '4']:
    """(left, top, right, bottom) of a window at its nominal size, whatever the raster holds.

    `transform` is that of a north-up raster: (a, 0, c, 0, e, f) of x = a col + c, y = e row + f.
    """
    rows, cols = _pair(size)
    a, _, left, _, e, top = transform
    return np.array(
        [left + a * col, top + e * row, left + a * (col + cols), top + e * (row + rows)]
    )


def window_xy(
    tile_xy: Float[np.ndarray, '*batch 2'], tile_shape: Shape, row: int, col: int, size: int | Shape
) -> Float[np.ndarray, '*batch 2']:
    """Positions in the window at (row, col) of positions given in the tile."""
    shift, scale = _window_in_tile(tile_shape, row, col, size)
    return (tile_xy - shift) / scale


def tile_xy_from_window(
    xy: Float[np.ndarray, '*batch 2'], tile_shape: Shape, row: int, col: int, size: int | Shape
) -> Float[np.ndarray, '*batch 2']:
    """The inverse of `window_xy`."""
    shift, scale = _window_in_tile(tile_shape, row, col, size)
    return xy * scale + shift


def cell_centres(h: int, w: int) -> Float[np.ndarray, 'h w 2']:
    """Positions (xy) of the centres of an h x w grid of pixels or patches: (2 i + 1) / n - 1."""
    y, x = ((2 * np.arange(n, dtype=np.float64) + 1) / n - 1 for n in (h, w))
    return np.stack(np.meshgrid(x, y), axis=-1)


def _offset(at: float, n: int, size: int, placement: str, rng: np.random.Generator) -> int:
    """One axis: `at` in pixels from the tile's edge, tile of n pixels."""
    if placement == 'anywhere':
        return int(rng.integers(n - size + 1))
    if placement == 'centre':
        return min(max(int(np.floor(at - size / 2 + 0.5)), 0), n - size)
    # The far edge belongs to the last pixel.
    pixel = min(max(int(at), 0), n - 1)
    return int(rng.integers(max(0, pixel - size + 1), min(n - size, pixel) + 1))


def _window_in_tile(
    tile_shape: Shape, row: int, col: int, size: int | Shape
) -> tuple[np.ndarray, np.ndarray]:
    """The window's centre and half-width in tile_xy, as (x, y)."""
    rows, cols = _pair(size)
    extent = np.array([tile_shape[1], tile_shape[0]], np.float64)
    shift = (2 * np.array([col, row]) + [cols, rows]) / extent - 1
    return shift, np.array([cols, rows]) / extent


def _pair(size: int | Shape) -> Shape:
    return (size, size) if isinstance(size, int) else size
