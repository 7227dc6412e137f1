"""Tiles as they are stored: the contract's bands of a GeoTIFF, with box and CRS in float64."""

import dataclasses
import pathlib
import warnings
from typing import Any

import numpy as np
import rasterio
import rasterio.errors

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.geo import tiles

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


def _stored_names(source: Any, order: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Band names of an open raster: as described in it, else those of a known order."""
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


def _read_bands(source: Any, reading: Reading) -> np.ndarray:
    contract = sensors.contract(reading.sensor)
    try:
        stored = _stored_names(source, reading.band_order, contract.bands)
        indices = contract.select(stored)
    except InputError as error:
        raise InputError(f'missing band: {error}') from error
    bands = np.moveaxis(source.read([int(index) + 1 for index in indices]), 0, -1)
    missing = contract.missing(bands)
    if source.nodata is not None:
        missing |= (bands == source.nodata).all(axis=-1)
    if missing.mean() > reading.max_nodata:
        raise InputError(
            f'too little data: {missing.mean():.0%} of the pixels are nodata or NaN, at most '
            f'{reading.max_nodata:.0%} may be'
        )
    if np.isinf(bands).any():
        raise InputError('infinite pixels: expected finite values')
    if not np.isnan(contract.nodata):
        bands[missing] = contract.nodata
    return _compact(bands)


def _compact(bands: np.ndarray) -> np.ndarray:
    """The same values as uint8, uint16 or else float32."""
    if bands.dtype.kind in 'iu' and bands.min() >= 0 and bands.max() <= 0xFFFF:
        return bands.astype(np.uint8 if bands.dtype == np.uint8 else np.uint16)
    return bands.astype(np.float32)


def _georeference(source: Any, box: list[float], crs: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Bounds, transform and CRS of the file itself, or else of the box that the table gives."""
    transform, width, height = source.transform, source.width, source.height
    if source.crs is None or transform.is_identity:
        if not box:
            raise InputError(
                'no georeference: the file has none, and the table no left, top, right, bottom, crs'
            )
        left, top, right, bottom = box
        cell = (right - left) / width, (bottom - top) / height
        return np.array(box), np.array([cell[0], 0, left, 0, cell[1], top]), crs
    a, b, left, d, e, top = transform[:6]
    if b or d or a <= 0 or e >= 0:
        raise InputError('not north up: the raster is turned or mirrored')
    bounds = np.array([left, top, left + a * width, top + e * height])
    return bounds, np.array(transform[:6]), source.crs.to_string()


def _check_box(bounds: np.ndarray, crs: str) -> None:
    """Raises InputError for an empty box, an unknown CRS, or a box that is nowhere on earth."""
    try:
        tiles.check_lonlat(tiles.tile_xy_to_lonlat(np.zeros(2), bounds, crs), 'middle')
    except InputError as error:
        if not str(error).startswith('middle'):
            raise
        box = ', '.join(f'{side:.9g}' for side in bounds)
        raise InputError(f'wrong crs: the box {box} is no place on earth in {crs}') from error


def read(path: pathlib.Path, reading: Reading, box: list[float], crs: str) -> Raster:
    """Reads one date of a tile.

    Pixels without data (nodata in every band, as the file or the contract names it, or NaN in any)
    hold the contract's nodata afterwards.

    Args:
      path: a GeoTIFF.
      reading: which bands, and what is refused.
      box: left, top, right, bottom for a file without georeference; empty: none given.
      crs: of the box.

    Raises:
      InputError: 'kind: details', when the tile cannot be used.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, driver='GTiff') as source:
                if max(source.shape) > MAX_SIDE:
                    raise InputError(
                        f'tile too large: {source.width} x {source.height} pixels, at most '
                        f'{MAX_SIDE} a side: cut it'
                    )
                bounds, transform, crs = _georeference(source, box, crs)
                bands = _read_bands(source, reading)
    except rasterio.errors.RasterioError as error:
        raise InputError(f'tile unreadable: {error}') from error
    _check_box(bounds, crs)
    return Raster(bands=bands, bounds=bounds, crs=crs, transform=transform)
