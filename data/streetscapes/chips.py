"""Chips: squares of a tile that are packed in its place, so that a sample reads little.

Their corners lie on a grid of the tile. A photo's chip is the one whose middle cell holds it: of a
chip of 128 pixels on a grid of 32 the photo is at 48..80, so that any window of 96 that holds it
there at 16..80 lies in the chip.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gair_jax.builders.streetscapes.layouts import RELEASE, Tile
from gair_jax.builders.streetscapes.settings import TilesConfig
from gair_jax.config import InputError


class Box(NamedTuple):
    """A part of a tile: its first column and row, and its size, pixels."""

    column: int
    row: int
    width: int
    height: int


def check(settings: TilesConfig) -> None:
    """Refuses chips that no photo could be in the middle of.

    Raises:
      InputError: which setting, and what it must be.
    """
    chip, cell = settings.chip, settings.cell
    if chip > 0 and not 0 < cell <= chip:
        raise InputError(f'tiles.cell: expected 1 to tiles.chip = {chip}, found {cell}.')
    if chip < 0 or (chip and (chip - cell) % 2):
        raise InputError(
            f'tiles.chip: expected 0, or tiles.cell = {cell} and an even number more, found {chip}.'
        )


def corners(
    pixel_xy: Float[np.ndarray, 'n 2'], tile: Tile, settings: TilesConfig
) -> Int[np.ndarray, 'n 2']:
    """First column and row, int [n, 2], of the chip of each photo; (0, 0) of whole tiles.

    Args:
      pixel_xy: (column, row) of photos in the tile, with fractions.
      tile: that holds them.
      settings: `chip` and `cell`; chips do not go beyond the tile, so near its border, which a
        margin keeps photos from, one may lie outside the middle cell.
    """
    if not is_cut(tile, settings):
        return np.zeros((len(pixel_xy), 2), np.int64)
    before = (settings.chip - settings.cell) // 2
    first = np.floor((pixel_xy - before) / settings.cell).astype(np.int64) * settings.cell
    last = np.array([tile.width, tile.height]) - settings.chip
    return np.clip(first, 0, np.maximum(last, 0))


def is_cut(tile: Tile, settings: TilesConfig) -> bool:
    """Whether a tile is packed as chips: those of the release layout are shared whole."""
    return settings.chip > 0 and settings.layout != RELEASE and tile.width > settings.chip


def box(corner: tuple[int, int], tile: Tile, settings: TilesConfig) -> Box:
    """The chip at a corner, or the whole tile."""
    if not is_cut(tile, settings):
        return Box(0, 0, tile.width, tile.height)
    column, row = corner
    height = min(settings.chip, tile.height)
    return Box(column, row, settings.chip, height)


def transform_of(part: Box, tile: Tile) -> tuple[float, float, float, float, float, float]:
    """Affine coefficients (a, b, c, d, e, f) of a part of a north-up tile."""
    a, b, left, d, e, top = tile.transform
    return a, b, left + a * part.column, d, e, top + e * part.row


def bounds_of(part: Box, tile: Tile) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a part, in the tile's CRS."""
    a, _, left, _, e, top = transform_of(part, tile)
    return left, top, left + a * part.width, top + e * part.height
