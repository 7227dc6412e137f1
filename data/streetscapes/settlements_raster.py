"""The cells of GHS-SMOD, a raster that says of every square kilometre whether it is urban.

The Degree of Urbanisation of the Global Human Settlement Layer (European Commission, R2019 to
R2023): one band in Mollweide, which is equal-area, 1 km. Its codes:

    30 urban centre, 23 dense and 22 semi-dense urban cluster, 21 suburban              urban
    13 rural cluster, 12 low and 11 very low density                                    rural
    10 water, and no data                                                               neither

The Earth has 36 082 x 18 000 cells, of which a band of rows is in memory at a time. Blocks are
squares of about 100 km, the size of a Sentinel-2 granule.
"""

import contextlib
import functools
import math
import pathlib
from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np
import pyproj
import rasterio
import rasterio.errors
from jaxtyping import Float, Int, UInt8
from rasterio.windows import Window

from gair_jax.config import InputError
from gair_jax.geo import tiles as geo
from gair_jax.input.warning_filters import filtered

URBAN, RURAL = 'urban', 'rural'
KINDS = (URBAN, RURAL)
CODES = {URBAN: (21, 22, 23, 30), RURAL: (11, 12, 13)}
WATER, NODATA = 10, -200  # of the releases, whatever a copy of them declares
BLOCK_M = 100_000.0
CELL_M = (500.0, 2000.0)  # sides of cells that are taken for 1 km
_CACHE = 256_000_000  # bytes that GDAL keeps: a row of its blocks, not the whole raster
_UNKNOWN = 255

Block = tuple[int, int]  # row and column of a block, from 0


class Cells(NamedTuple):
    """One or more cells of a block, of one kind, by (column, row) in the raster."""

    name: str
    kind: str
    column_row: Int[np.ndarray, 'n 2']


def block_name(block: Block) -> str:
    """Its row and column."""
    return '{}_{}'.format(*block)


class Settlements:
    """An open raster."""

    def __init__(self, path: pathlib.Path, source: rasterio.DatasetReader) -> None:
        """Checks what can be known without reading a cell; see `opened`."""
        self._path, self._source = path, source
        if source.count != 1 or source.crs is None:
            raise InputError(
                f'{path}: expected one band and a CRS (places.raster), found {source.count} and '
                f'{source.crs}.'
            )
        if not np.issubdtype(source.dtypes[0], np.integer):
            raise InputError(
                f'{path}: expected whole numbers (places.raster), found {source.dtypes[0]}.'
            )
        if not source.crs.is_projected:
            raise InputError(
                f'{path}: expected cells of equal area (places.raster), found the CRS {source.crs}.'
            )
        metres = source.crs.linear_units_factor[1]
        side = math.sqrt(abs(source.transform.determinant)) * metres
        if not CELL_M[0] <= side <= CELL_M[1]:
            raise InputError(
                f'{path}: expected cells of about 1 km (places.raster), found {side:.6g} m.'
            )
        self._side = round(BLOCK_M / side)
        self._to_degrees = pyproj.Transformer.from_crs(source.crs, geo.WGS84, always_xy=True)

    def counts(self) -> Int[np.ndarray, 'rows columns 2']:
        """Urban and rural cells of each block.

        Raises:
          InputError: a cell has a code that is none of GHS-SMOD, or cannot be read.
        """
        starts = np.arange(0, self._source.width, self._side)
        rows = [
            [np.add.reduceat((kinds == kind).sum(0), starts) for kind in (1, 2)]
            for _, kinds in self._bands(range(self._block_rows))
        ]
        return np.moveaxis(np.array(rows, np.int64), 1, -1)

    def cells(self, blocks: Container[Block]) -> Iterator[Cells]:
        """Cells of some blocks, urban ones first; raises as `counts` does."""
        columns = range(math.ceil(self._source.width / self._side))
        wanted = [r for r in range(self._block_rows) if any((r, c) in blocks for c in columns)]
        for row, kinds in self._bands(wanted):
            for column in (c for c in columns if (row, c) in blocks):
                first = column * self._side
                part = kinds[:, first : first + self._side]
                for number, kind in enumerate(KINDS, 1):
                    found = np.argwhere(part == number)[:, ::-1] + [first, row * self._side]
                    if len(found):
                        yield Cells(block_name((row, column)), kind, found)

    def lonlat(self, column_row: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2']:
        """Degrees of places in the raster, (column, row) with fractions; inf where there is none.

        0 is the left or top edge.
        """
        a, b, c, d, e, f = tuple(self._source.transform)[:6]
        column, row = column_row.T
        x, y = a * column + b * row + c, d * column + e * row + f
        return np.stack(self._to_degrees.transform(x, y), axis=-1)

    @property
    def _block_rows(self) -> int:
        return math.ceil(self._source.height / self._side)

    def _bands(self, rows: range | list[int]) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w']]]:
        """Rows of blocks, each with its cells: 0 neither, 1 urban, 2 rural."""
        for row in rows:
            first = row * self._side
            height = min(self._side, self._source.height - first)
            window = Window(0, first, self._source.width, height)
            try:
                values = self._source.read(1, window=window)
            except rasterio.errors.RasterioError as error:
                raise InputError(f'{self._path}: cannot be read: {error}.') from error
            yield row, self._kinds(values, first)

    def _kinds(self, values: Int[np.ndarray, 'h w'], first: int) -> UInt8[np.ndarray, 'h w']:
        """Kinds of cells; InputError on the first code that is none."""
        code = values.astype(np.uint8)
        kinds = _kind_of_code()[code]
        kinds[code != values] = _UNKNOWN
        kinds[values == NODATA] = 0
        if self._source.nodata is not None:
            kinds[values == self._source.nodata] = 0
        if (kinds == _UNKNOWN).any():
            row, column = np.argwhere(kinds == _UNKNOWN)[0]
            raise InputError(
                f'{self._path}: row {first + row}, column {column}: expected a code of GHS-SMOD '
                f'(10 to 13, 21 to 23, 30), found {values[row, column]}.'
            )
        return kinds


@functools.cache
def _kind_of_code() -> UInt8[np.ndarray, ' 256']:
    """0 neither, 1 urban, 2 rural of each code, 255 of what is none."""
    kinds = np.full(_UNKNOWN + 1, _UNKNOWN, np.uint8)
    kinds[WATER] = 0
    for number, kind in enumerate(KINDS, 1):
        kinds[list(CODES[kind])] = number
    return kinds


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Settlements]:
    """A raster to read from.

    Raises:
      InputError: it cannot be read, has several bands, does not say where it lies, or its cells are
        not of about 1 km in a projected CRS, or hold fractions.
    """
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        try:
            with filtered(error=None, ignore=rasterio.errors.NotGeoreferencedWarning):
                source = rasterio.open(path, driver='GTiff')
        except rasterio.errors.RasterioError as error:
            raise InputError(
                f'{path}: cannot be read as a GeoTIFF (places.raster): {error}.'
            ) from error
        with source:
            yield Settlements(path, source)
