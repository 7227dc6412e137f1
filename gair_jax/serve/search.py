"""Search by cosine: where in a tile a photo was taken, and which photos look like a place.

A tile is embedded at the centres of a grid of cells (`serve.localize`), once; each photo then has a
cosine with every cell. Photos come in batches, from a gallery or from the command line, and only
the best of them are kept (`serve.gallery.Top`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Int

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.geo.sphere import great_circle_m
from gair_jax.input.raster_files import Georeference, Raster, place_of
from gair_jax.serve.engine import Engine
from gair_jax.serve.gallery import Top, cosines, unit64
from gair_jax.serve.localize import localize
from gair_jax.serve.windows import Shape, WindowGrid

CELLS_A_WINDOW = 24
CELLS_A_SIDE = 128  # of the default grid, at the most
MOST_CELLS = 65_536
Batches = Iterable[tuple[Int[np.ndarray, ' n'], Float[np.ndarray, 'n d']]]


class Cells(NamedTuple):
    """A tile as a grid of points with embeddings, row by row from the north-west.

    shape: rows and columns; lonlat: degrees [n, 2]; embedding: unit float64 [n, d], nan where the
    tile has no data; metres: height and width of a cell on the ground, at the tile's middle.
    """

    shape: Shape
    lonlat: Float[np.ndarray, 'n 2']
    embedding: Float[np.ndarray, 'n d']
    metres: tuple[float, float]


class Places(NamedTuple):
    """The best places of a photo in a tile, best first.

    cell: indices int [k]; score: cosines [k]; heat: the photo's cosine with every cell, float32
    [rows, columns], nan where the tile has no data.
    """

    cell: Int[np.ndarray, ' k']
    score: Float[np.ndarray, ' k']
    heat: Float[np.ndarray, 'r c']


class Photos(NamedTuple):
    """The photos that are most similar to a tile.

    best: of the whole tile, or of one place in it, one query; near: of every cell, a query each.
    """

    best: Top
    near: Top


def divisions(shape: Shape, window: Shape, spacing: float) -> Shape:
    """Rows and columns of the grid over a raster of `shape` pixels.

    Args:
      shape: of the raster.
      window: that the encoder sees, pixels.
      spacing: of the cells, pixels; 0 is 1/24 of a window, or what gives 128 cells a side where
        that would be more.

    Raises:
      InputError: too many cells, or a negative spacing.
    """
    if not (np.isfinite(spacing) and spacing >= 0):
        raise InputError(f'spacing-px: expected a number above 0, found {spacing}.')
    if not spacing:
        spacing = max(max(window) / CELLS_A_WINDOW, max(shape) / CELLS_A_SIDE)
    rows, columns = (max(1, round(side / spacing)) for side in shape)
    if rows * columns > MOST_CELLS:
        least = float(np.sqrt(shape[0] * shape[1] / MOST_CELLS))
        raise InputError(
            f'spacing-px: expected at most {MOST_CELLS} points in the tile, so at least '
            f'{least:.3g} pixels between them, found {spacing:g}.'
        )
    return rows, columns


def embed_cells(
    engine: Engine,
    raster: Raster,
    grid: WindowGrid,
    shape: Shape,
    done: Callable[[int], None] = lambda windows: None,
) -> Cells:
    """Localized embeddings at the centres of `shape` cells, which divide the raster evenly.

    Args:
      engine: the model.
      raster: with a place on earth.
      grid: windows over it.
      shape: rows and columns of cells (`divisions`).
      done: told the number of windows after each batch.

    Raises:
      InputError: the model has no tile encoder, or nothing in the raster holds data.
    """
    engine.require('rs', 'common')
    place = place_of(raster)
    rows, columns = shape
    x, y = ((np.arange(n) + 0.5) / n for n in (columns, rows))
    share = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    found = localize(engine, raster, grid, share * raster.shape[::-1], done=done)
    if np.isnan(found).all():
        raise InputError(f'{raster.name}: expected pixels with data, found none.')
    lonlat = tiles.tile_xy_to_lonlat(2 * share - 1, place.bounds, place.crs)
    height, width = ground_size(place)
    return Cells(shape, lonlat, unit64(found), (height / rows, width / columns))


def localize_place(
    engine: Engine, raster: Raster, grid: WindowGrid, lonlat: Sequence[float]
) -> Float[np.ndarray, '1 d']:
    """The unit localized embedding, float64, of one place in a raster.

    Raises:
      InputError: the place is not in the raster, or there is no data.
    """
    engine.require('rs', 'common')
    place = place_of(raster)
    tile_xy = tiles.place_in_tile(
        np.array([lonlat], np.float64), place.bounds, place.crs, raster.name
    )
    found = localize(engine, raster, grid, (tile_xy + 1) / 2 * raster.shape[::-1])
    if np.isnan(found).any():
        raise InputError(
            f'{raster.name}: expected data around lon {lonlat[0]:.6f}, lat {lonlat[1]:.6f}, found '
            'none.'
        )
    return unit64(found)


def find_places(cells: Cells, photo: Float[np.ndarray, ' d'], k: int, apart: float) -> Places:
    """Where in the tile a photo was taken, by its unit embedding.

    A place counts when no cell within `apart` metres is more similar, so that one summit is named
    once and its flanks are not.
    """
    heat = cosines(cells.embedding, photo[None])[:, 0].reshape(cells.shape)
    level = np.where(np.isnan(heat), -np.inf, heat)
    summits = np.flatnonzero((level == _highest(level, cells.metres, apart)) & ~np.isnan(heat))
    order = summits[np.argsort(-heat.flat[summits], kind='stable')]
    kept: list[int] = []
    for cell in order:
        # Only equal neighbours can still be too near.
        distance = great_circle_m(cells.lonlat[cell], cells.lonlat[kept])
        if not (distance <= apart).any():
            kept.append(int(cell))
        if len(kept) == k:
            break
    index = np.array(kept, np.int64)
    return Places(index, heat.flat[index], heat)


def find_photos(
    cells: Cells, photos: Batches, k: int, near: int, at: Float[np.ndarray, '1 d'] | None = None
) -> Photos:
    """The photos most similar to a tile, each by its best cell, and those nearest to every cell.

    Args:
      cells: of the tile.
      photos: batches of row numbers and unit embeddings, in order.
      k: photos of the tile.
      near: photos a cell.
      at: embedding of one place, by which the photos of the tile are ranked instead.
    """
    best, around = Top(1, k), Top(len(cells.embedding), near)
    for rows, embedding in photos:
        score = cosines(cells.embedding, embedding)
        around.add(score, rows)
        here = np.where(np.isnan(score), -np.inf, score).max(axis=0)[None]
        best.add(here if at is None else cosines(at, embedding), rows)
    return Photos(best, around)


def find_rows(queries: Float[np.ndarray, 'q d'], rows: Batches, k: int) -> Top:
    """The rows most similar to each of some unit embeddings."""
    top = Top(len(queries), k)
    for numbers, embedding in rows:
        top.add(cosines(queries, embedding), numbers)
    return top


def pick(rows: Batches, wanted: Sequence[int]) -> dict[int, Float[np.ndarray, ' d']]:
    """The embeddings of some rows by row number."""
    found: dict[int, np.ndarray] = {}
    for numbers, embedding in rows:
        here = np.flatnonzero(np.isin(numbers, wanted))
        found.update((int(numbers[i]), embedding[i]) for i in here)
    return found


def ground_size(place: Georeference) -> tuple[float, float]:
    """Height and width of a raster in metres, through its middle."""
    sides = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]], np.float64)
    lonlat = tiles.tile_xy_to_lonlat(sides, place.bounds, place.crs)
    height, width = great_circle_m(lonlat[::2], lonlat[1::2])
    return float(height), float(width)


def _highest(
    level: Float[np.ndarray, 'r c'], metres: tuple[float, float], apart: float
) -> Float[np.ndarray, 'r c']:
    """Of each cell, the highest level within `apart` metres."""
    reach = [min(int(apart / side), n - 1) for side, n in zip(metres, level.shape, strict=True)]
    down, across = (np.arange(-r, r + 1) * side for r, side in zip(reach, metres, strict=True))
    disc = down[:, None] ** 2 + across[None] ** 2 <= apart**2
    return scipy.ndimage.maximum_filter(level, footprint=disc, mode='constant', cval=-np.inf)
