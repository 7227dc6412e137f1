"""How the ground is cut into tiles, and which tile a photo lies on.

native    UTM, 10 m. The photos of a city (or, without one, of a cell of 2,560 m) share the box
          around them with a margin, snapped to 20 m so that a pixel of 20 m is 2 x 2 of 10 m.
release   The web-map tile of zoom 14 that holds the centre of the photo's city, grown outward to
          whole pixels of a global grid in degrees. From a photo's lon and lat alone this gives
          sizes and corners of all three tiles published with the paper (examples of zpl99/GAIR).

lonlat is in degrees, WGS84, lon first; rows count from the top, columns from the left.
"""

import hashlib
import math
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyproj
from jaxtyping import Bool, Float, Int

from gair_jax.builders.streetscapes import utm
from gair_jax.geo import tiles as geo

NATIVE, RELEASE = 'native', 'release'
PIXEL_M = 10.0
SNAP_M = 20.0  # of Sentinel-2's coarser bands
CELL_M = 2560.0  # a zoom-14 tile is 2,446 m wide on the equator, so a city is one tile
ZOOM = 14
STEP = 8.983152841195215e-05  # degrees: 10 m on the equator's circle
_EDGE = 1e-6  # degrees, 0.1 m: how far the sides of a box bulge between the points looked at


class Tile(NamedTuple):
    """A footprint, north up.

    key: name of the tile, fit for a file's name.
    crs: EPSG code, as 'EPSG:32632'.
    transform: (a, b, c, d, e, f): x = a column + b row + c, y = d column + e row + f.
    width, height: pixels.
    city: id of the city, '' for none.
    """

    key: str
    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    city: str

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in the CRS; over the antimeridian degrees go on beyond 180."""
        a, _, left, _, e, top = self.transform
        return left, top, left + a * self.width, top + e * self.height

    @property
    def lonlat_box(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees that cover it; west > east over the antimeridian."""
        left, top, right, bottom = self.bounds
        if self.crs == geo.WGS84:
            return _wrapped(left), bottom, _wrapped(right), top
        back = pyproj.Transformer.from_crs(self.crs, geo.WGS84, always_xy=True)
        west, south, east, north = back.transform_bounds(left, bottom, right, top)
        return _wrapped(west - _EDGE), south - _EDGE, _wrapped(east + _EDGE), north + _EDGE

    def pixel_xy(self, lonlat: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2']:
        """(column, row) of places, float64 with fractions: 0 is the left or top edge."""
        xy = geo.lonlat_to_tile_xy(lonlat, np.array(self.bounds), self.crs)
        return (xy + 1) / 2 * np.array([self.width, self.height], np.float64)


class Layout(NamedTuple):
    """Tiles by key, and for each photo the index [n] of its own."""

    tiles: list[Tile]
    of: Int[np.ndarray, ' n']


def native(lonlat: Float[np.ndarray, 'n 2'], cities: pd.Series, margin: int) -> Layout:
    """Tiles around the photos of each city and UTM zone; cells of 2,560 m where that is too large.

    A tile has at most 257 + 2 margin + 2 pixels a side.

    Args:
      lonlat: of the photos.
      cities: [n] id of each photo's city, '' for none: then always by cells.
      margin: pixels around the photos, >= 0. With 95 any window of 96 that holds a photo fits.

    Raises:
      InputError: a place is none, or is 84 degrees or more from the equator.
    """
    utm.check_latitude(lonlat)
    codes = utm.codes(lonlat)
    xy = utm.xy(lonlat, codes)
    rows = pd.DataFrame({'crs': codes, 'x': xy[:, 0], 'y': xy[:, 1], 'city': np.asarray(cities)})
    rows['cell_x'], rows['cell_y'] = (xy // CELL_M).astype(int).T
    cities_xy = rows.groupby(['city', 'crs'])[['x', 'y']]
    spans = (cities_xy.transform('max') - cities_xy.transform('min')).max(axis=1)
    whole = (rows['city'] != '') & (spans <= CELL_M)
    rows.loc[whole, ['cell_x', 'cell_y']] = 0
    rows['whole'] = whole
    groups = rows.groupby(['city', 'crs', 'whole', 'cell_x', 'cell_y'])
    boxes = groups[['x', 'y']].agg(['min', 'max'])
    found = [
        _native_tile(name, box, margin)
        for name, box in zip(boxes.index, boxes.to_numpy(), strict=True)
    ]
    return _sorted(found, groups.ngroup().to_numpy())


def release(
    lonlat: Float[np.ndarray, 'n 2'], centres: Float[np.ndarray, 'n 2'], cities: pd.Series
) -> Layout:
    """The zoom-14 tile of each photo's city.

    Photos must lie in it: see `in_release_tile`. Cities with one tile between them share it under
    the id that comes first, so that no ground is in two groups.

    Args:
      lonlat: of the photos.
      centres: of their cities; (nan, nan) where unknown: the photo's own place counts.
      cities: [n] id of each photo's city, '' for none.

    Raises:
      InputError: a place is none, or is 84 degrees or more from the equator.
    """
    utm.check_latitude(lonlat)
    xy = _web_tiles(_anchors(lonlat, centres))
    rows = pd.DataFrame({'x': xy[:, 0], 'y': xy[:, 1], 'city': np.asarray(cities)})
    groups = rows.groupby(['x', 'y'])
    first = groups['city'].min()
    found = [
        release_tile(x, y, city) for (x, y), city in zip(first.index, first.tolist(), strict=True)
    ]
    return _sorted(found, groups.ngroup().to_numpy())


def in_release_tile(
    lonlat: Float[np.ndarray, 'n 2'], centres: Float[np.ndarray, 'n 2']
) -> Bool[np.ndarray, ' n']:
    """Whether each photo lies in the tile that `release` gives it."""
    xy = _web_tiles(_anchors(lonlat, centres))
    left, top, right, bottom = _grown(xy[:, 0], xy[:, 1]) * STEP
    # In turns from the middle: a grown tile reaches over the antimeridian.
    middle = (left + right) / 2
    lon = lonlat[:, 0] + 360 * np.round((middle - lonlat[:, 0]) / 360)
    return (left <= lon) & (lon <= right) & (bottom <= lonlat[:, 1]) & (lonlat[:, 1] <= top)


def release_tile(x: int, y: int, city: str) -> Tile:
    """Web-map tile (x, y) of zoom 14, grown outward to whole pixels of the global grid."""
    left, top, right, bottom = _grown(np.array(x), np.array(y)).tolist()
    return Tile(
        key=f'z{ZOOM}_{x}_{y}',
        crs=geo.WGS84,
        transform=(STEP, 0.0, left * STEP, 0.0, -STEP, top * STEP),
        width=int(right - left),
        height=int(top - bottom),
        city=city,
    )


def _native_tile(name: tuple, box: np.ndarray, margin: int) -> Tile:
    """The tile of photos whose x and y (metres) are within box = (x0, x1, y0, y1)."""
    city, code, whole, cell_x, cell_y = name
    x0, x1, y0, y1 = box / PIXEL_M
    # From whole pixels: one on its right or lower edge belongs to the next pixel.
    sides = np.array([np.floor(x0), np.ceil(y1), np.floor(x1) + 1, np.ceil(y0) - 1])
    sides += np.array([-1, 1, 1, -1]) * margin
    pixels = SNAP_M / PIXEL_M
    left, bottom = np.floor(sides[[0, 3]] / pixels) * pixels
    right, top = np.ceil(sides[[2, 1]] / pixels) * pixels
    cell = [] if whole else [str(cell_x), str(cell_y)]
    return Tile(
        key='_'.join([*([file_name(city)] if city else []), str(code), *cell]),
        crs=f'EPSG:{code}',
        transform=(PIXEL_M, 0.0, float(left) * PIXEL_M, 0.0, -PIXEL_M, float(top) * PIXEL_M),
        width=int(right - left),
        height=int(top - bottom),
        city=city,
    )


def file_name(text: str) -> str:
    """The text if it is fit for a file's name, else what is fit of it with a hash of the whole."""
    safe = re.sub(r'[^A-Za-z0-9.-]+', '-', text).strip('-.')
    if safe == text:
        return text
    return f'{safe}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}'.lstrip('-')


def _anchors(lonlat: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(centres).any(axis=1, keepdims=True), lonlat, centres)


def _web_tiles(lonlat: np.ndarray) -> np.ndarray:
    """Column and row [n, 2] of the zoom-14 tile of places, of 2**14 each."""
    count = 2**ZOOM
    lon, lat = lonlat[:, 0], np.radians(lonlat[:, 1])
    x = np.floor((lon + 180) / 360 * count).astype(int) % count
    y = np.floor((1 - np.arcsinh(np.tan(lat)) / np.pi) / 2 * count).astype(int)
    return np.stack([x, y], axis=-1)


def _grown(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom [4, ...] of zoom-14 tiles, in pixels of the global grid."""
    count = 2**ZOOM
    north, south = (np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * k / count)))) for k in (y, y + 1))
    west, east = (k / count * 360 - 180 for k in (x, x + 1))
    low, high = np.floor(np.array([west, south]) / STEP), np.ceil(np.array([east, north]) / STEP)
    return np.array([low[0], high[1], high[0], low[1]])


def _sorted(found: list[Tile], of: np.ndarray) -> Layout:
    """Tiles in order of key, and the photos' indices into them."""
    ranks = sorted(range(len(found)), key=lambda index: found[index].key)
    place = np.empty(len(found), int)
    place[ranks] = np.arange(len(found))
    assert len({tile.key for tile in found}) == len(found)
    return Layout([found[index] for index in ranks], place[of])


def _wrapped(lon: float) -> float:
    """The same meridian in [-180, 180]."""
    return lon - math.copysign(360, lon) if abs(lon) > 180 else lon
