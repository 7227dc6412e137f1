"""Which UTM zone a place belongs to for Sentinel-2, and where in it the place lies."""

import functools

import numpy as np
import pyproj
from jaxtyping import Float, Int

from gair_jax.config import InputError
from gair_jax.geo import tiles as geo

MOST_LAT = 84.0  # where UTM ends; no Sentinel-2 scene reaches so far
# Granules of the northern grid reach 9.8 km over the equator, those of the southern one none: a
# cell and its margin that begin in this strip (degrees) are whole in the northern grid alone.
STRIP = 0.05
_WIDER_V = (3.0, 12.0, 32)  # from, to (degrees east), zone
_WIDER_X = ((0.0, 9.0, 31), (9.0, 21.0, 33), (21.0, 33.0, 35), (33.0, 42.0, 37))


def check_latitude(lonlat: Float[np.ndarray, 'n 2']) -> None:
    """Raises InputError unless all are places less than 84 degrees from the equator."""
    geo.check_lonlat(lonlat, 'photos')
    if (far := np.abs(lonlat[:, 1]) >= MOST_LAT).any():
        raise InputError(
            f'photos: expected lat between -{MOST_LAT:g} and {MOST_LAT:g}, where Sentinel-2 looks, '
            f'found {lonlat[far][0, 1]}.'
        )


def codes(lonlat: Float[np.ndarray, 'n 2']) -> Int[np.ndarray, ' n']:
    """EPSG codes of the UTM zones whose Sentinel-2 granules hold the places.

    The granules follow MGRS (NGA.STND.0037), with the wider zone 32 off Norway (granule 32VKM lies
    at 4 to 5 degrees east) and without zones 32, 34 and 36 around Svalbard.
    """
    lon, lat = lonlat.T
    zone = np.floor((lon + 180) / 6).astype(int) % 60 + 1
    west, east, wider = _WIDER_V
    zone[(lat >= 56) & (lat < 64) & (lon >= west) & (lon < east)] = wider
    for west, east, wider in _WIDER_X:
        zone[(lat >= 72) & (lon >= west) & (lon < east)] = wider
    return np.where(lat < -STRIP, 32700, 32600) + zone


def xy(lonlat: Float[np.ndarray, 'n 2'], epsg: Int[np.ndarray, ' n']) -> Float[np.ndarray, 'n 2']:
    """Easting and northing of places, metres, each in the zone of its EPSG code."""
    metres = np.empty((len(lonlat), 2), np.float64)
    for code in np.unique(epsg):
        own = epsg == code
        metres[own] = np.stack(_to_utm(int(code)).transform(*lonlat[own].T), axis=-1)
    return metres


@functools.lru_cache(maxsize=128)
def _to_utm(code: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(geo.WGS84, f'EPSG:{code}', always_xy=True)
