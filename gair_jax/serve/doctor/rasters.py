"""Examines a tile: its bands, their order and unit, and the pixels without data.

The +1000 of Sentinel-2 products since processing baseline 04.00 stands in no field of a GeoTIFF, so
it is told from the pixels: nothing on earth is so bright in every band that its darkest places
would exceed 850 DN, clouds and fresh snow apart.
"""

import pathlib
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import rasterio
import rasterio.errors
from jaxtyping import Bool, Shaped

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.input import raster_files
from gair_jax.sensors import SensorContract
from gair_jax.serve.doctor import georeferences
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable

OFFSET = 1000
DARKEST = 850  # DN; the least that the darkest pixels of every band have where the offset is in
DARK_SHARE = 0.5  # percent of the pixels
SIDE, WINDOWS = 256, 5  # of large rasters, so many windows of that side are read along each axis
MOST_MISSING = 0.5  # as in `gair data build photos`
MOST_CLIPPED = 0.95  # real tiles of snow and sand reach 0.8
# What people write where nothing was seen, without saying so in the file.
HABITS = (-32768, -9999, 65535)
EUROSAT = sensors.BAND_ORDERS['eurosat']


class Pixels(NamedTuple):
    """What was read: stored values [n, bands], all pixels of a tile or of windows of a scene."""

    stored: Shaped[np.ndarray, 'n c']
    names: tuple[str, ...]
    nodata: float | None


def looks_offset(bands: Shaped[np.ndarray, '*size c']) -> bool:
    """Whether stored Sentinel-2 values look as if each had 1000 added (`--offset 1000`).

    True where the darkest 0.5 % of every band reach 850 DN; pixels without data are left out.
    """
    pixels = bands.reshape(-1, bands.shape[-1])
    pixels = pixels[~((pixels == 0).all(axis=-1) | np.isnan(pixels).any(axis=-1))]
    if not len(pixels):
        return False
    return bool((np.percentile(pixels, DARK_SHARE, axis=0) >= DARKEST).all())


def looks_eurosat(bands: Shaped[np.ndarray, '*size c']) -> bool:
    """Whether 13 bands stand as in the EuroSAT originals, with B8A last.

    B10 sees next to nothing of the ground, so it is the darkest of its neighbours; and B8A sees
    what B08 sees.
    """
    median = np.median(bands.reshape(-1, 13), axis=0)
    b08, ninth, tenth, eleventh, last = median[[7, 8, 9, 10, 12]]
    return bool(tenth < eleventh and abs(last - b08) < abs(ninth - b08))


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a GeoTIFF."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, driver='GTiff') as source:
                return _examine(path, source, expected)
    except rasterio.errors.RasterioError as error:
        # GDAL's first reason is the cause; rasterio's own says no more than "see above".
        reason = ' '.join(str(error.__cause__ or error).split()).rstrip('.')
        return [
            unusable(path, f'expected a whole GeoTIFF, found one cut short or damaged: {reason}')
        ]


def _examine(path: pathlib.Path, source: Any, expected: Expected) -> list[Finding]:
    found = [*georeferences.examine(path, source), *_size(path, source, expected.window)]
    sensor = expected.sensor
    try:
        names = raster_files.stored_names(source, '', sensor.bands)
    except InputError:
        _last_pixel(source)
        described = [text for text in source.descriptions if text]
        what = f', described as {", ".join(described[:3])}' if described else ' without names'
        return [*found, _wrong_bands(path, sensor, f'{source.count} bands{what}')]
    if lacking := _lacking(sensor, names):
        return [*found, _wrong_bands(path, sensor, lacking)]
    chosen = sensor.select(names)
    pixels = _read(source, names)
    found += _order(path, pixels)
    found += _values(path, pixels._replace(stored=pixels.stored[:, chosen]), sensor)
    what = f'{source.width} x {source.height} pixels, {source.count} bands for {sensor.name}'
    return or_fine(path, found, f'a tile of {what}, {source.crs}')


def _lacking(sensor: SensorContract, names: tuple[str, ...]) -> str:
    stored = [sensors.canonical(name) for name in names]
    absent = [band for band in sensor.bands if band not in stored]
    twice = [band for band in sensor.bands if stored.count(band) > 1]
    if absent:
        return f'{" ".join(stored)}, no {" ".join(absent)}'
    return f'{twice[0]} twice' if twice else ''


def _wrong_bands(path: pathlib.Path, sensor: SensorContract, found: str) -> Finding:
    return unusable(
        path,
        f'expected the bands {" ".join(sensor.bands)} of sensor {sensor.name} by name, or 10, 12 '
        f'or 13 Sentinel-2 bands, found {found}; name the bands in the file, or another --sensor',
    )


def _size(path: pathlib.Path, source: Any, window: int) -> Iterator[Finding]:
    if min(source.shape) < window:
        yield unusable(
            path,
            f'expected at least {window} x {window} pixels, the window that the encoder sees, '
            f'found {source.width} x {source.height}',
        )


def _read(source: Any, names: tuple[str, ...]) -> Pixels:
    """All pixels, or those of windows evenly spread, the corners among them."""
    parts = []
    for row in _starts(source.height):
        for col in _starts(source.width):
            size = min(SIDE, source.width - col), min(SIDE, source.height - row)
            part = source.read(window=rasterio.windows.Window(col, row, *size))
            parts.append(part.reshape(source.count, -1).T)
    return Pixels(np.concatenate(parts), names, source.nodata)


def _starts(length: int) -> list[int]:
    if length <= SIDE * WINDOWS:
        return list(range(0, length, SIDE))
    return [int(start) for start in np.linspace(0, length - SIDE, WINDOWS)]


def _last_pixel(source: Any) -> None:
    """Raises what reading raises where the file is cut short."""
    source.read(1, window=rasterio.windows.Window(source.width - 1, source.height - 1, 1, 1))


def _order(path: pathlib.Path, pixels: Pixels) -> Iterator[Finding]:
    stored = tuple(sensors.canonical(name) for name in pixels.names)
    if stored == sensors.BAND_ORDERS[13] and looks_eurosat(pixels.stored):
        yield suspicious(
            path,
            f'expected 13 bands in the order {" ".join(sensors.BAND_ORDERS[13])}, found B10, the '
            'darkest, in the tenth place, as in the EuroSAT originals, where B8A is the last; give '
            '--band-order eurosat',
        )


def _values(path: pathlib.Path, pixels: Pixels, sensor: SensorContract) -> Iterator[Finding]:
    missing = _missing(pixels, sensor)
    if missing.all():
        yield unusable(path, 'expected pixels with data, found none')
        return
    yield from _gaps(path, pixels, missing)
    values = pixels.stored[~missing]
    if not np.isfinite(values).all():
        yield unusable(path, 'expected finite values, found infinite pixels; set them to nodata')
        return
    wrong = list(_unit(path, values, sensor))
    yield from wrong or _levels(path, values, sensor)


def _missing(pixels: Pixels, sensor: SensorContract) -> Bool[np.ndarray, ' n']:
    missing = sensor.missing(pixels.stored)
    for value in (*HABITS, *([] if pixels.nodata is None else [pixels.nodata])):
        missing = missing | (pixels.stored == value).all(axis=-1)
    return missing


def _gaps(path: pathlib.Path, pixels: Pixels, missing: np.ndarray) -> Iterator[Finding]:
    stored, share = pixels.stored, missing.mean()
    if share > MOST_MISSING:
        yield suspicious(
            path, f'expected data in at least half of the pixels, found {1 - share:.0%}'
        )
    nan = np.isnan(stored).any(axis=-1)
    if nan.any() and not (pixels.nodata is not None and np.isnan(pixels.nodata)):
        yield suspicious(
            path,
            f'expected numbers, found nan in {nan.mean():.2%} of the pixels, which count as '
            'without data; name nan as nodata in the file if that is meant',
        )
    for value in HABITS:
        hidden = (stored == value).all(axis=-1)
        if hidden.any() and pixels.nodata != value:
            yield suspicious(
                path,
                f'expected a nodata value in the file, found {value} in every band of '
                f'{hidden.mean():.2%} of the pixels; set it as nodata (gdal_edit.py -a_nodata)',
            )


def _unit(path: pathlib.Path, values: np.ndarray, sensor: SensorContract) -> Iterator[Finding]:
    largest = values.max()
    if values.dtype.kind == 'f' and largest <= 2:
        yield unusable(
            path,
            f'expected {sensor.unit}, reflectance times 10000, found values up to {largest:.3g}, '
            'reflectance itself; multiply by 10000',
        )
    elif values.dtype.itemsize == 1:
        yield unusable(
            path,
            f'expected {sensor.unit}, reflectance times 10000, in 16 bits, found 8-bit pixels, a '
            'picture; take the product it was made from',
        )
    elif largest <= 255:
        yield suspicious(
            path,
            f'expected {sensor.unit}, reflectance times 10000, found no value above {largest:g}, '
            'as in an 8-bit picture or a very dark scene',
        )


def _levels(path: pathlib.Path, values: np.ndarray, sensor: SensorContract) -> Iterator[Finding]:
    offset = looks_offset(values)
    if offset and not sensor.offset:
        yield suspicious(
            path,
            f'expected values without the offset of {OFFSET} that Sentinel-2 products carry since '
            f'baseline 04.00, found the darkest {DARK_SHARE} % of every band at {DARKEST} or more; '
            f'give --offset {OFFSET}',
        )
    elif sensor.offset and not offset:
        yield suspicious(
            path,
            f'sensor {sensor.name} subtracts {sensor.offset:g}, and the values look as if that had '
            'been done; give --offset 0',
        )
    if not sensor.of_image:
        yield from _clipped(path, values - (OFFSET if offset else 0.0), sensor)


def _clipped(path: pathlib.Path, values: np.ndarray, sensor: SensorContract) -> Iterator[Finding]:
    """Values that the contract maps to its largest input; below, dark scenes reach any share."""
    share = (values > np.array(sensor.mean) + 2 * np.array(sensor.std)).mean()
    if share > MOST_CLIPPED:
        yield suspicious(
            path,
            f'expected values around those of sensor {sensor.name} (mean +- 2 standard '
            f'deviations), found {share:.1%} of them above: clouds or snow, or another unit',
        )
