"""GeoTIFFs as people keep them: a sensor contract's bands of any window, with box and CRS.

A raster is read by windows, so it may be larger than memory.
"""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from jaxtyping import Float, Shaped

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.warning_filters import filtered
from gair_jax.sensors import SensorContract


@dataclasses.dataclass(frozen=True, kw_only=True)
class Georeference:
    """Where a raster lies.

    Attributes:
      bounds: left, top, right, bottom in the units of `crs`, float64 [4].
      crs: anything that pyproj reads.
      transform: float64 [6], (a, b, c, d, e, f) of x = a col + b row + c, y = d col + e row + f.
    """

    bounds: Float[np.ndarray, '4']
    crs: str
    transform: Float[np.ndarray, '6']


def georeference(
    bounds: Sequence[float] | np.ndarray, crs: str, shape: tuple[int, int]
) -> Georeference:
    """That of a north-up raster of `shape` (rows, columns) which fills the box.

    Raises:
      InputError: the box is empty, its CRS is unknown, or it is nowhere on earth.
    """
    box = np.array(bounds, np.float64)
    check_box(box, crs)
    left, top, right, bottom = box
    cell = (right - left) / shape[1], (bottom - top) / shape[0]
    return Georeference(
        bounds=box, crs=crs, transform=np.array([cell[0], 0, left, 0, cell[1], top])
    )


class RasterFile:
    """An open GeoTIFF of which windows are read; safe to share between threads.

    Attributes:
      name: path of the file.
      shape: rows and columns.
      place: where it lies; None where nothing tells, see `place_of`.
      band_names: of its bands, in stored order.
      sensor: the contract whose bands are read.
    """

    def __init__(
        self, source: Any, sensor: SensorContract, band_order: str, box: Sequence[float], crs: str
    ) -> None:
        self.name, self.shape, self.sensor = source.name, source.shape, sensor
        self.place = placed(source, box, crs)
        try:
            self.band_names = stored_names(source, band_order, sensor.bands)
            self._indices = [int(index) + 1 for index in sensor.select(self.band_names)]
        except InputError as error:
            raise InputError(f'missing band: {error}') from error
        self._source, self._lock = source, threading.Lock()

    def window(self, row: int, col: int, h: int, w: int) -> Shaped[np.ndarray, 'h w c']:
        """The contract's bands of a window that lies in the raster, in stored units.

        Pixels without data (nodata in every band, as the file or the contract names it, or nan in
        any) hold the contract's nodata, where it has one.

        Raises:
          InputError: the file is cut short, or holds infinite pixels.
        """
        at = rasterio.windows.Window(col, row, w, h)
        try:
            with self._lock:
                stored = self._source.read(self._indices, window=at)
        except rasterio.errors.RasterioError as error:
            raise InputError(f'tile unreadable: {self.name}: {error}') from error
        bands = np.moveaxis(stored, 0, -1)
        missing = self.sensor.missing(bands)
        if self._source.nodata is not None:
            missing |= (bands == self._source.nodata).all(axis=-1)
        if np.isinf(bands).any():
            raise InputError(f'infinite pixels: {self.name}: expected finite values')
        if np.isnan(self.sensor.nodata) and missing.any():
            bands = bands.astype(np.float32)
        if missing.any():
            bands[missing] = self.sensor.nodata
        return bands


class RasterArray:
    """A raster in memory, read as a `RasterFile` is.

    Attributes:
      name: what errors call it.
      shape: rows and columns.
      place: where it lies; None where nothing tells, see `place_of`.
      sensor: the contract of its bands.
    """

    def __init__(
        self,
        bands: Shaped[np.ndarray, 'h w c'],
        sensor: SensorContract,
        place: Georeference | None = None,
        name: str = 'tile',
    ) -> None:
        """`bands` are the contract's, in its order, or all of a known order (10, 12 or 13)."""
        if bands.ndim != 3:
            raise InputError(
                f'{name}: expected an array [rows, columns, bands], found {bands.shape}.'
            )
        if bands.shape[-1] != len(sensor.bands):
            bands = bands[..., sensor.select(_known_order(bands.shape[-1], name))]
        self.name, self.place, self.sensor = name, place, sensor
        self.shape = (bands.shape[0], bands.shape[1])
        self._bands = bands

    def window(self, row: int, col: int, h: int, w: int) -> Shaped[np.ndarray, 'h w c']:
        """The bands of a window that lies in the raster, in stored units."""
        return self._bands[row : row + h, col : col + w]


Raster = RasterFile | RasterArray


@contextlib.contextmanager
def open_raster(
    path: str | os.PathLike[str],
    sensor: SensorContract,
    *,
    band_order: str = '',
    box: Sequence[float] = (),
    crs: str = '',
) -> Iterator[RasterFile]:
    """Opens a GeoTIFF.

    Args:
      path: the file.
      sensor: whose bands are read.
      band_order: '' (band descriptions, else the known order of that many bands) or 'eurosat'.
      box: left, top, right, bottom for a file without georeference; empty: none given.
      crs: of the box.

    Raises:
      InputError: 'kind: details', when the raster cannot be used.
    """
    try:
        with filtered(error=None, ignore=rasterio.errors.NotGeoreferencedWarning):
            source = rasterio.open(path, driver='GTiff')
    except rasterio.errors.RasterioError as error:
        raise InputError(f'tile unreadable: {error}') from error
    with source:
        yield RasterFile(source, sensor, band_order, box, crs)


def stored_names(source: Any, order: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Band names of an open raster: as described in it, else those of a known order.

    Raises:
      InputError: no names, and no known order of that many bands.
    """
    if not order:
        described = tuple(text or '' for text in source.descriptions)
        known = {sensors.canonical(band) for band in (*sensors.BAND_ORDERS[13], *wanted)}
        if all(sensors.canonical(band) in known for band in described):
            return described
    names = sensors.BAND_ORDERS.get(order or source.count, ())
    if order and len(names) != source.count:
        raise InputError(f'order {order} is of {len(names)} bands, found {source.count}')
    if not names:
        raise InputError(
            f'expected band descriptions, or 10, 12 or 13 Sentinel-2 bands; found {source.count} '
            f'bands described as {source.descriptions[0]}, ...'
        )
    return names


def _known_order(count: int, name: str) -> tuple[str, ...]:
    names = sensors.BAND_ORDERS.get(count)
    if names is None:
        raise InputError(f'{name}: expected 10, 12 or 13 Sentinel-2 bands, found {count}.')
    return names


def check_box(bounds: Float[np.ndarray, '4'], crs: str) -> None:
    """Raises InputError for an empty box, an unknown CRS, or a box that is nowhere on earth."""
    try:
        tiles.check_lonlat(tiles.tile_xy_to_lonlat(np.zeros(2), bounds, crs), 'middle')
    except InputError as error:
        if not str(error).startswith('middle'):
            raise
        box = ', '.join(f'{side:.9g}' for side in bounds)
        raise InputError(f'wrong crs: the box {box} is no place on earth in {crs}') from error


def place_of(raster: Raster) -> Georeference:
    """Where a raster lies; InputError where neither it nor a box that came with it tells."""
    if raster.place is None:
        raise InputError(
            f'no georeference: {raster.name} has none, and no left, top, right, bottom, crs came '
            'with it'
        )
    return raster.place


def placed(source: Any, box: Sequence[float], crs: str) -> Georeference | None:
    """That of an open raster, or else of the box that is given for it; None without either.

    Raises:
      InputError: it is not north up, or it is nowhere on earth.
    """
    transform, (height, width) = source.transform, source.shape
    if source.crs is None or transform.is_identity:
        return georeference(box, crs, source.shape) if len(box) else None
    a, b, left, d, e, top = transform[:6]
    if b or d or a <= 0 or e >= 0:
        raise InputError('not north up: the raster is turned or mirrored')
    bounds = np.array([left, top, left + a * width, top + e * height])
    crs = source.crs.to_string()
    check_box(bounds, crs)
    return Georeference(bounds=bounds, crs=crs, transform=np.array(transform[:6]))
