"""The part of a tile that an example shows: which dates, which window, its pixels and its mask."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from gair_jax.config import InputError, RsInputConfig
from gair_jax.geo import tiles, windows
from gair_jax.input import records
from gair_jax.input.latest_dates import latest
from gair_jax.input.records import Acquisition, Example, Photo
from gair_jax.input.store import Records
from gair_jax.sensors import SensorContract

FIELDS = ('id', 'date', 'bands', 'codec', 'shape', 'dtype', 'band_names', 'bounds', 'crs')


class WindowInfo(NamedTuple):
    """Where a window lies in its tile.

    row, col: of its first pixel in the tile.
    size: rows and columns, in pixels of the tile.
    tile_row: index of the acquisition in `Store.tiles`.
    tile_xy: the photo's position in the whole tile, float64 [2], x east, y south, in [-1, 1].
    tile_shape: rows and columns of the tile.
    """

    row: int
    col: int
    size: tuple[int, int]
    tile_row: int
    tile_xy: Float[np.ndarray, '2']
    tile_shape: tuple[int, int]

    @property
    def xy(self) -> Float[np.ndarray, '2']:
        """The photo's position in the window, float64, in [-1, 1]."""
        return self.place(self.tile_xy)

    def place(self, tile_xy: Float[np.ndarray, '*batch 2']) -> Float[np.ndarray, '*batch 2']:
        """Where positions of the tile lie in the window; outside [-1, 1] if not in it."""
        return windows.window_xy(tile_xy, self.tile_shape, self.row, self.col, self.size)


class View(NamedTuple):
    """A window with what is in it.

    bands: the wanted bands in stored units, [rows, columns, bands], or [dates, ...] where the
      input has several.
    bounds, crs: the box of the whole tile.
    mask: classes of the pixels, where a label of the tile is wanted.
    """

    window: WindowInfo
    bands: Shaped[np.ndarray, '*dates h w c']
    bounds: Float[np.ndarray, '4']
    crs: str
    mask: UInt8[np.ndarray, 'h w'] | None = None


class TileWindows:
    """Cuts windows from the acquisitions of a data set, reading no more of them than that."""

    def __init__(
        self,
        acquisitions: Records[Acquisition],
        rs: RsInputConfig,
        sensor: SensorContract,
        mask: str = '',
    ) -> None:
        """`mask` names the label raster of the tiles that is cut too, if any.

        Bands are those of the sensor, or all that are stored where the data's own statistics
        scale them.
        """
        self._acquisitions, self._rs, self._sensor = acquisitions, rs, sensor
        self._mask = mask
        self._fields: tuple[str, ...] = FIELDS
        if mask:
            self._fields = (*FIELDS, records.label_field(mask, acquisitions.fields))

    def cut(
        self,
        photo: Photo,
        rng: np.random.Generator,
        *,
        any_date: bool,
        placement: str | tuple[int, int],
    ) -> View:
        """A window of the photo's tile.

        Args:
          photo: has acquisitions.
          rng: draws the date and the place of the window.
          any_date: a random date; else the first.
          placement: of `geo.windows.place_window`; 'whole', which takes the whole tile; or the
            first row and column of the window.

        Raises:
          InputError: the photo is outside its tile, the tile is smaller than the window or lacks a
            band, or the record is corrupt.
        """
        row = photo.acquisitions[int(rng.integers(len(photo.acquisitions))) if any_date else 0]
        example = self._acquisitions.example(row, self._fields)
        bounds, crs = records.bits_float(example['bounds']), example['crs'].decode()
        tile_xy = np.zeros(2)
        if placement in ('random', 'centre', 'whole'):
            tile_xy = tiles.place_in_tile(photo.lonlat, bounds, crs, f'photo {photo.id}')
        window = self._place(photo, row, example, tile_xy, placement, rng)
        bands = self._bands(photo, row, example, window)
        if self._rs.dates > 1:
            bands = self._latest(photo, window)
        return View(window, bands, bounds, crs, self._cut_mask(row, example, window))

    def _bands(
        self, photo: Photo, row: int, example: Example, window: WindowInfo
    ) -> Shaped[np.ndarray, 'h w c']:
        with self._acquisitions.blame(row):
            bands = records.packed_bands(example).window(window.row, window.col, *window.size)
        return self._select(photo, example, bands) if self._rs.scaling == 'contract' else bands

    def _latest(self, photo: Photo, window: WindowInfo) -> Shaped[np.ndarray, 't h w c']:
        """The window at the latest dates, newest first, zeros where there are fewer."""
        rows = [int(row) for row in photo.acquisitions]
        examples = [self._acquisitions.example(row, FIELDS) for row in rows]
        dates = [example['date'].decode() for example in examples]
        order = sorted(range(len(rows)), key=lambda i: dates[i])
        images = [self._bands(photo, rows[i], examples[i], window) for i in order]
        return latest(images, sorted(dates), self._rs.dates)[0]

    def _cut_mask(
        self, row: int, example: Example, window: WindowInfo
    ) -> UInt8[np.ndarray, 'h w'] | None:
        if not self._mask:
            return None
        with self._acquisitions.blame(row):
            packed = records.packed_label(example, self._mask)
            return packed.window(window.row, window.col, *window.size)

    def shape(self, photo: Photo) -> tuple[int, int]:
        """Rows and columns of the photo's tile."""
        rows, columns, _ = self._acquisitions.example(photo.acquisitions[0], ['shape'])['shape']
        return int(rows), int(columns)

    def _place(
        self,
        photo: Photo,
        row: int,
        example: Example,
        tile_xy: np.ndarray,
        placement: str | tuple[int, int],
        rng: np.random.Generator,
    ) -> WindowInfo:
        shape = (int(example['shape'][0]), int(example['shape'][1]))
        if placement == 'whole':
            return WindowInfo(0, 0, shape, row, tile_xy, shape)
        size = self._rs.window
        if min(shape) < size:
            raise InputError(
                f'tile {photo.tile} ({example["id"].decode()}): expected at least '
                f'input.rs.window = {size} pixels a side, found {shape[0]} x {shape[1]}.'
            )
        at = placement
        if isinstance(at, str):
            at = windows.place_window(tile_xy, shape, size, at, rng)
        return WindowInfo(*at, (size, size), row, tile_xy, shape)

    def _select(self, photo: Photo, example: Example, bands: np.ndarray) -> np.ndarray:
        names = records.band_names(example)
        try:
            order = _order(self._sensor, names)
        except InputError as error:
            raise InputError(f'tile {photo.tile}: {error}') from error
        return bands if len(order) == 0 else bands[..., order]


@functools.lru_cache(maxsize=64)
def _order(sensor: SensorContract, names: tuple[str, ...]) -> Int[np.ndarray, ' c']:
    """Indices of the sensor's bands among the stored ones; empty if they are these, in order."""
    order = sensor.select(names)
    return order[:0] if np.array_equal(order, np.arange(len(names))) else order
