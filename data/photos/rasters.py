"""Tiles as they are stored: the contract's bands of a GeoTIFF, with box and CRS in float64."""

import dataclasses
import pathlib

import numpy as np

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.input import raster_files
from gair_jax.input.raster_files import RasterFile

# A record is read whole: larger rasters belong cut into tiles.
MAX_SIDE = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How tiles are read.

    Attributes:
      sensor: name of the sensor contract whose bands are kept.
      band_order: '' (band descriptions, else the known order of that many bands) or 'eurosat'.
      max_nodata: largest share of pixels without data, 0..1.
    """

    sensor: str
    band_order: str
    max_nodata: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raster:
    """One date of a tile: bands [H, W, C] in contract order, bounds (left, top, right, bottom)."""

    bands: np.ndarray
    bounds: np.ndarray
    crs: str
    transform: np.ndarray


def read(path: pathlib.Path, reading: Reading, box: list[float], crs: str) -> Raster:
    """Reads one date of a tile.

    Args:
      path: a GeoTIFF.
      reading: which bands, and what is refused.
      box: left, top, right, bottom for a file without georeference; empty: none given.
      crs: of the box.

    Raises:
      InputError: 'kind: details', when the tile cannot be used.
    """
    sensor, order = sensors.contract(reading.sensor), reading.band_order
    with raster_files.open_raster(path, sensor, band_order=order, box=box, crs=crs) as raster:
        height, width = raster.shape
        if max(height, width) > MAX_SIDE:
            raise InputError(
                f'tile too large: {width} x {height} pixels, at most {MAX_SIDE} a side: cut it'
            )
        place, bands = raster_files.place_of(raster), _read_bands(raster, reading.max_nodata)
    return Raster(bands=bands, bounds=place.bounds, crs=place.crs, transform=place.transform)


def _read_bands(raster: RasterFile, max_nodata: float) -> np.ndarray:
    bands = raster.window(0, 0, *raster.shape)
    missing = raster.sensor.missing(bands).mean()
    if missing > max_nodata:
        raise InputError(
            f'too little data: {missing:.0%} of the pixels are nodata or NaN, at most '
            f'{max_nodata:.0%} may be'
        )
    return _compact(bands)


def _compact(bands: np.ndarray) -> np.ndarray:
    """The same values as uint8, uint16 or else float32."""
    if bands.dtype.kind in 'iu' and bands.min() >= 0 and bands.max() <= 0xFFFF:
        return bands.astype(np.uint8 if bands.dtype == np.uint8 else np.uint16)
    return bands.astype(np.float32)
