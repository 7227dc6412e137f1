"""Hashed lattices and value noise: reproducible fields without stored permutation tables.

Coordinates are float64 and lattice indices are absolute, so a value belongs to a place and never
to the frame in which it was asked for.
"""

from typing import Any

import numpy as np

_STEP = np.uint32(0x9E3779B1)
_MIX = (np.uint32(0x7FEB352D), np.uint32(0x846CA68B))


def hash32(seed: int, *keys: Any) -> np.ndarray:
    """A well mixed uint32 for every combination of integer `keys` (broadcast), per `seed`."""
    state = np.asarray(0x5EED, np.uint32)
    with np.errstate(over='ignore'):
        for key in (seed, *keys):
            state = (state ^ np.asarray(key).astype(np.int64).astype(np.uint32)) * _STEP
            state = (state ^ (state >> np.uint32(16))) * _MIX[0]
            state = (state ^ (state >> np.uint32(15))) * _MIX[1]
            state = state ^ (state >> np.uint32(16))
    return np.asarray(state)


def unit(hashed: np.ndarray) -> np.ndarray:
    """Hash -> float32 in [0, 1)."""
    return np.asarray((hashed >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24))


def uniform(seed: int, *keys: Any) -> np.ndarray:
    """float32 in [0, 1) for every combination of integer `keys`."""
    return unit(hash32(seed, *keys))


def _cell(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Lattice index relative to the lowest one, eased fraction, the lowest, and how many."""
    floor = np.floor(x)
    low = int(floor.min())
    t = (x - floor).astype(np.float32)
    return (floor - low).astype(np.int32), t * t * (3 - 2 * t), low, int(floor.max()) - low + 2


def value_noise(seed: int, x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """Smooth noise in [0, 1), float32, of lattice width `scale` in the units of x and y (float64).

    The lattice is hashed once over the box of the points, so the points should lie near together.
    """
    ix, tx, x0, nx = _cell(x / scale)
    iy, ty, y0, ny = _cell(y / scale)
    lattice = uniform(seed, np.arange(y0, y0 + ny)[:, None], np.arange(x0, x0 + nx)).ravel()
    at = iy * nx + ix
    a, b = lattice[at], lattice[at + 1]
    low = a + (b - a) * tx
    a, b = lattice[at + nx], lattice[at + nx + 1]
    return low + (a + (b - a) * tx - low) * ty


def sphere_noise(seed: int, lonlat: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise in [0, 1) on the globe, float32 [...]; lonlat [..., 2] in degrees.

    `frequency` lattice cells an Earth radius: 2 varies over continents, 300 over some 20 km.
    """
    lon, lat = np.radians(lonlat[..., 0]), np.radians(lonlat[..., 1])
    point = (
        np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]) * frequency
    )
    floor = np.floor(point)
    t = point - floor
    t = t * t * (3 - 2 * t)
    corner = np.indices((2, 2, 2)).reshape(3, 8, *(1,) * lon.ndim)
    weight = np.prod(np.where(corner, t[:, None], 1 - t[:, None]), axis=0)
    return np.sum(weight * uniform(seed, *(floor[:, None] + corner)), axis=0).astype(np.float32)
