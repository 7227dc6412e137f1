"""Examines where a raster lies: CRS, axes, bounds, and the size of its pixels on the ground."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyproj

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input import raster_files
from gair_jax.serve.doctor.finding import Finding, suspicious, unusable

PIXEL = 10.0  # metres, of the 10 m bands to which all are brought
PIXEL_FACTOR = 1.5
# Pixels that people cut in degrees are either as long as wide in degrees, or square on the ground.
ALIKE, SQUARE = 0.02, 0.02


def examine(path: pathlib.Path, source: Any) -> Iterator[Finding]:
    """Looks at the georeference of an open raster."""
    transform = source.transform
    if source.crs is None or transform.is_identity:
        lacking = 'no CRS' if source.crs is None else 'a CRS and no position'
        yield suspicious(
            path,
            f'expected a georeference, found {lacking}; give left, top, right, bottom and crs in '
            'the table that names it',
        )
        return
    a, b, left, d, e, top = transform[:6]
    if b or d:
        yield unusable(path, 'expected a raster north up, found a turned one; gdalwarp turns it')
        return
    if a <= 0 or e >= 0:
        yield unusable(
            path,
            'expected bounds with left < right and bottom < top, found '
            f'left {left:g}, right {left + a * source.width:g}, '
            f'top {top:g}, bottom {top + e * source.height:g}; gdalwarp turns it',
        )
        return
    box = np.array([left, top, left + a * source.width, top + e * source.height])
    yield from _place(path, source, box)


def _place(path: pathlib.Path, source: Any, box: np.ndarray) -> Iterator[Finding]:
    crs = source.crs.to_string()
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    degrees = source.crs.is_geographic
    try:
        raster_files.check_box(box, crs)
    except InputError as error:
        swapped = degrees and abs(y) <= 180 and abs(x) <= 90
        hint = '; longitude and latitude look swapped' if swapped else ''
        yield unusable(path, f'{str(error).rstrip(".")}{hint}')
        return
    cell = (box[2] - box[0]) / source.width, (box[1] - box[3]) / source.height
    if degrees and _looks_swapped(x, y, *cell):
        yield suspicious(
            path,
            f'expected x as longitude, found pixels that are square on the ground only if {x:.5g} '
            'is the latitude; longitude and latitude look swapped',
        )
        return
    side = pixel_size(box, crs, source.shape)
    if not PIXEL / PIXEL_FACTOR <= side <= PIXEL * PIXEL_FACTOR:
        yield suspicious(
            path,
            f'expected pixels of about {PIXEL:g} m, found {side:.3g} m; resample it '
            '(gdalwarp -tr), or the encoder sees another scale than in training',
        )


def pixel_size(box: np.ndarray, crs: str, shape: tuple[int, int]) -> float:
    """Side in metres on the ground, the geometric mean of both, in the middle of the box."""
    rows, cols = shape
    corner = np.array([[0, 0], [2 / cols, 0], [0, 2 / rows]])
    lon, lat = tiles.tile_xy_to_lonlat(corner, box, crs).T
    _, _, metres = pyproj.Geod(ellps='WGS84').inv(lon[[0, 0]], lat[[0, 0]], lon[1:], lat[1:])
    return float(np.sqrt(np.prod(metres)))


def _looks_swapped(x: float, y: float, across: float, down: float) -> bool:
    """Whether pixels in degrees are square on the ground only if x is the latitude."""
    if abs(x) > 89 or abs(y) > 180 or abs(np.log(across / down)) < ALIKE:
        return False
    as_is = np.log(across * np.cos(np.radians(y)) / down) if abs(y) < 89 else np.inf
    swapped = down * np.cos(np.radians(x)) / across
    return bool(abs(as_is) > 2 * SQUARE and swapped > 0 and abs(np.log(swapped)) < SQUARE)
