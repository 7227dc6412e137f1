"""Points without a sample around a centre: what the samples' places are held against.

Rings t = 1, 2, ... at the colatitude t / sqrt(density) around the pole, of ceil(2 pi t) points
each, turned to the centre; none at the centre, and the last ring may lie beyond the radius. About
5.8 points a sample for 100 samples, 20 for one (PyGBS, `gbs/ssi/utils.py`). Radians.
"""

import functools
import math

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

A_SAMPLE = 5  # points in the neighbourhood's area, taken as flat, for each sample


def density(samples: int, radius: float) -> int:
    """Points per square radian."""
    return math.ceil(A_SAMPLE * samples / (math.pi * radius**2))


def background(
    centre: Float[np.ndarray, ' 2'], radius: float, points_density: int
) -> Float[np.ndarray, 'p 2']:
    """Latitude and longitude of the points around a centre that is given so.

    The arithmetic is the reference's to the last bit, because equal distances are told apart by
    their rounding.
    """
    lat, lon = centre
    turn = Rotation.from_euler('yz', [0.5 * np.pi - lat, lon])
    x, y, z = turn.apply(polar_rings(radius, points_density)).T
    return np.stack([np.arcsin(np.clip(z, -1, 1)), np.arctan2(y, x)], axis=-1)


@functools.lru_cache(maxsize=128)  # the default neighbourhood has at most 100 samples
def polar_rings(radius: float, points_density: int) -> Float[np.ndarray, 'p 3']:
    """The points around the north pole, as unit vectors; shared, so not to be written to."""
    step = 1 / math.sqrt(points_density)
    lat, lon = [], []
    for ring in range(1, math.ceil(radius / step) + 1):
        points = math.ceil(2 * np.pi * ring)
        lat.append(np.full(points, np.pi / 2 - step * ring))
        lon.append(-np.pi + 2 * np.pi / points * np.arange(points))
    lats, lons = np.concatenate(lat), np.concatenate(lon)
    flat = np.cos(lats)
    return np.stack([np.cos(lons) * flat, np.sin(lons) * flat, np.sin(lats)], axis=-1)
