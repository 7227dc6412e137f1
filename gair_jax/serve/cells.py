"""The cells of a map: where they lie over the raster they are drawn from.

Cells are anchored at the raster's upper left corner, a spacing apart. A cell exists where its
centre lies in the raster, so the last row or column may reach half a cell beyond the raster's edge,
or end half a cell before it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyproj
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.raster_files import Georeference
from gair_jax.serve.windows import Shape

# How far a projection's own metres may be from those on the ground to be taken for them: UTM stays
# below 0.1 %, web Mercator is 50 % off in mid latitudes.
TRUE_SCALE = 0.01


class Spacing(NamedTuple):
    """Asked for: `size` in pixels of the raster, or in metres on the ground."""

    size: float
    unit: str = 'px'


DEFAULT = Spacing(8.0)  # where none is asked for


class Chunk(NamedTuple):
    """A block of cells: the first row and column, and how many."""

    row: int
    col: int
    rows: int
    cols: int


class CellGrid(NamedTuple):
    """Cells over a raster.

    raster: rows and columns of it; place: where it lies; spacing: height and width of a cell in its
    pixels.
    """

    raster: Shape
    place: Georeference
    spacing: tuple[float, float]

    @property
    def shape(self) -> Shape:
        """Rows and columns of cells."""
        rows, cols = (_count(n, s) for n, s in zip(self.raster, self.spacing, strict=True))
        return rows, cols

    @property
    def transform(self) -> Float[np.ndarray, '6']:
        """As that of a `Georeference`, of the cells."""
        a, _, left, _, e, top = self.place.transform
        down, across = self.spacing
        return np.array([a * across, 0, left, 0, e * down, top])

    def axes(self, chunk: Chunk) -> tuple[Float[np.ndarray, ' r'], Float[np.ndarray, ' c']]:
        """Centres of a chunk's rows (y) and columns (x), in pixels of the raster."""
        rows = np.arange(chunk.row, chunk.row + chunk.rows)
        cols = np.arange(chunk.col, chunk.col + chunk.cols)
        return (rows + 0.5) * self.spacing[0], (cols + 0.5) * self.spacing[1]

    def points(self, chunk: Chunk) -> Float[np.ndarray, 'r c 2']:
        """Centres (x, y) in pixels of the raster."""
        y, x = self.axes(chunk)
        return np.stack(np.meshgrid(x, y), axis=-1)

    def lonlat(self, chunk: Chunk) -> Float[np.ndarray, 'r c 2']:
        """Centres in degrees, WGS84, longitude first."""
        tile_xy = 2 * self.points(chunk) / np.array(self.raster[::-1]) - 1
        return tiles.tile_xy_to_lonlat(tile_xy, self.place.bounds, self.place.crs)

    def chunks(self, side: int) -> list[Chunk]:
        """All cells in blocks of at most `side` x `side`, row by row."""
        return [
            Chunk(row, col, rows, cols)
            for row, rows in _cut(self.shape[0], side)
            for col, cols in _cut(self.shape[1], side)
        ]


def cell_grid(shape: Shape, place: Georeference, spacing: Spacing) -> CellGrid:
    """The cells over a raster of `shape` (rows, columns).

    Raises:
      InputError: the spacing is no positive number, or so large that no cell's centre is inside.
    """
    flag = f'spacing-{spacing.unit}'
    if not (np.isfinite(spacing.size) and spacing.size > 0):
        raise InputError(f'{flag}: expected a number above 0, found {spacing.size}.')
    metres = metres_per_pixel(shape, place) if spacing.unit == 'm' else (1.0, 1.0)
    cells = CellGrid(shape, place, (spacing.size / metres[0], spacing.size / metres[1]))
    if min(cells.shape) < 1:
        most = 2 * min(n * m for n, m in zip(shape, metres, strict=True))
        raise InputError(
            f'{flag}: expected less than {most:.6g}, twice the side of the raster, found '
            f'{spacing.size:g}.'
        )
    return cells


def metres_per_pixel(shape: Shape, place: Georeference) -> tuple[float, float]:
    """Height and width of a pixel on the ground, in the middle of the raster.

    A projection in units of length is taken at its word where it is true to `TRUE_SCALE`, so that
    80 m are 8 pixels of a UTM raster of 10 m, as everyone expects.
    """
    rows, cols = shape
    ends = np.array([[[0, -1 / rows], [0, 1 / rows]], [[-1 / cols, 0], [1 / cols, 0]]])
    lonlat = tiles.tile_xy_to_lonlat(ends, place.bounds, place.crs)
    geodesic = pyproj.Geod(ellps='WGS84')
    _, _, true = geodesic.inv(*lonlat[:, 0].T, *lonlat[:, 1].T)
    system = pyproj.CRS.from_user_input(place.crs)
    if system.is_projected:
        unit = system.axis_info[0].unit_conversion_factor
        said = unit * np.abs(place.transform[[4, 0]])
        if np.all(np.abs(said / true - 1) < TRUE_SCALE):
            true = said
    return float(true[0]), float(true[1])


def _count(n: int, spacing: float) -> int:
    """How many centres (i + 0.5) * spacing are below n."""
    count = max(0, int(np.ceil(n / spacing - 0.5)))
    return count - 1 if count and (count - 0.5) * spacing >= n else count


def _cut(n: int, side: int) -> Iterator[tuple[int, int]]:
    return ((start, min(side, n - start)) for start in range(0, n, side))
