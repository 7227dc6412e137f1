"""The map under the answers: a tile in true colour, or an empty frame around some places."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gair_jax import sensors
from gair_jax.geo import tiles
from gair_jax.geo.sphere import EARTH_RADIUS_M
from gair_jax.input.raster_files import Georeference, Raster, georeference
from gair_jax.serve.search import ground_size

TRUE_COLOUR = ('B04', 'B03', 'B02')
PERCENTILES = (2, 98)
SIDE = 800  # pixels of the picture, at the most
LATTICE = 17  # nodes a side between which the page interpolates lon and lat
STRIP = 256  # rows read at once
MARGIN, LEAST_DEGREES = 0.08, 0.002  # of a frame around places
DEGREE_M = math.radians(EARTH_RADIUS_M)


class TileMap(NamedTuple):
    """A map, north up.

    name: of the tile; picture: RGBA, no pixels for an empty frame; place: its box; ground: height
    and width in metres, through its middle.
    """

    name: str
    picture: UInt8[np.ndarray, 'h w 4']
    place: Georeference
    ground: tuple[float, float]

    def position(self, lonlat: tuple[float, float]) -> list[float] | None:
        """[x, y] from 0 to 1 from the upper left corner; None for a place outside or unknown."""
        if not np.isfinite(lonlat).all():
            return None
        at = np.array(lonlat, np.float64)
        xy = tiles.lonlat_to_tile_xy(at, self.place.bounds, self.place.crs)
        if not (np.abs(xy) <= 1 + tiles.EDGE).all():
            return None
        return [float(v) for v in np.clip((xy + 1) / 2, 0, 1)]

    def lattice(self) -> Float[np.ndarray, 'n n 2']:
        """Degrees at evenly spaced nodes; lon goes on beyond 180 degrees where it must."""
        side = np.linspace(-1, 1, LATTICE)
        xy = np.stack(np.meshgrid(side, side), axis=-1)
        lonlat = tiles.tile_xy_to_lonlat(xy, self.place.bounds, self.place.crs)
        middle = lonlat[LATTICE // 2, LATTICE // 2, 0]
        lonlat[..., 0] += 360 * np.round((middle - lonlat[..., 0]) / 360)
        return lonlat

    def north(self) -> float:
        """Degrees clockwise from up to true north at the middle of the map."""
        box, crs = self.place.bounds, self.place.crs
        middle = tiles.tile_xy_to_lonlat(np.zeros(2), box, crs)
        step = min(0.1, 90 - middle[1]) * self.ground[0] / (self.ground[0] + DEGREE_M)
        x, y = tiles.lonlat_to_tile_xy(middle + [0, step], box, crs)
        return math.degrees(math.atan2(x * self.ground[1], -y * self.ground[0]))


def of_tile(raster: Raster) -> TileMap:
    """A raster in true colour, at most `SIDE` pixels a side; clear where it has no data.

    Raises:
      InputError: the raster's sensor lacks a band of true colour.
    """
    assert raster.place is not None
    indices = sensors.band_indices(raster.sensor.bands, TRUE_COLOUR)
    height, width = raster.shape
    step = math.ceil(max(raster.shape) / SIDE)
    rows = step * max(1, STRIP // step)
    strips = []
    for row in range(0, height, rows):
        bands = raster.window(row, 0, min(rows, height - row), width)[::step, ::step]
        seen = ~raster.sensor.missing(bands)
        strips.append(np.concatenate([bands[..., indices], seen[..., None]], axis=-1, dtype='f4'))
    picture = _stretched(np.concatenate(strips))
    return TileMap(raster.name, picture, raster.place, ground_size(raster.place))


def around(lonlat: Float[np.ndarray, 'n 2']) -> TileMap:
    """An empty frame around places, of which those that are nan are left out."""
    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    if not len(known):
        known = np.zeros((1, 2))
    low, high = known.min(axis=0), known.max(axis=0)
    pad = np.maximum(MARGIN * (high - low), LEAST_DEGREES)
    low, high = np.maximum(low - pad, [-180, -90]), np.minimum(high + pad, [180, 90])
    place = georeference((low[0], high[1], high[0], low[1]), tiles.WGS84, (1, 1))
    across, down = (high - low) * DEGREE_M
    width = across * math.cos(math.radians((low[1] + high[1]) / 2))
    # A frame all the same where every place lies on one line.
    ground = (float(np.clip(down, width / 2, width * 1.2)), float(width))
    return TileMap('places', np.zeros((0, 0, 4), np.uint8), place, ground)


def _stretched(values: Float[np.ndarray, 'h w 4']) -> UInt8[np.ndarray, 'h w 4']:
    """Colours between percentiles of what was seen; the last channel says where that is."""
    seen = values[..., 3] > 0
    rgba = np.zeros(values.shape, np.uint8)
    if not seen.any():
        return rgba
    colours = values[seen][:, :3]
    low, high = np.percentile(colours, PERCENTILES, axis=0)
    level = np.clip((colours - low) / np.maximum(high - low, 1e-6), 0, 1)
    rgba[seen] = np.append(np.round(255 * level), np.full((len(level), 1), 255), axis=1)
    return rgba
