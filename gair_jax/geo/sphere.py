"""Distances and noise on the sphere.

The Earth is a sphere of its mean radius here; against the ellipsoid, distances are off by up to
0.6 %, which matters to none of their uses (masks of near places, errors of retrieval).
"""

from typing import Any

import numpy as np
from jaxtyping import Float

EARTH_RADIUS_M = 6371008.8


def great_circle_m(
    a: Float[Any, '*#batch 2'], b: Float[Any, '*#batch 2'], xp: Any = np
) -> Float[Any, '*batch']:
    """Metres between places given as lonlat in degrees, by the haversine formula.

    `a` and `b` broadcast against each other. `xp` is the array library: NumPy, or jax.numpy for
    use on a device. float32 degrees resolve about 1 m of longitude, whatever the formula.
    """
    lon_a, lat_a = xp.deg2rad(a[..., 0]), xp.deg2rad(a[..., 1])
    lon_b, lat_b = xp.deg2rad(b[..., 0]), xp.deg2rad(b[..., 1])
    h = (
        xp.sin((lat_b - lat_a) / 2) ** 2
        + xp.cos(lat_a) * xp.cos(lat_b) * xp.sin((lon_b - lon_a) / 2) ** 2
    )
    # Rounding can lift h of antipodes above 1, where arcsin has no value.
    return 2 * EARTH_RADIUS_M * xp.arcsin(xp.sqrt(xp.clip(h, 0, 1)))


def vmf_noise(
    lonlat: Float[np.ndarray, '*batch 2'], kappa: float, rng: np.random.Generator
) -> Float[np.ndarray, '*batch 2']:
    """Moves each place to one drawn from the von Mises-Fisher distribution around it.

    Args:
      lonlat: degrees, float64.
      kappa: concentration, > 0. The mean of the cosine of the angle moved is coth(kappa) - 1/kappa;
        at kappa 300 a place moves 461 km on average.
      rng: draws two numbers a place.

    Returns:
      lonlat in degrees, lon in [-180, 180].

    On the 2-sphere the cosine's distribution inverts in closed form (Ulrich 1984; Wood 1994): no
    rejection is needed.
    """
    u, turn = rng.random(lonlat.shape[:-1]), rng.random(lonlat.shape[:-1])
    # 1 - cosine, kept apart from 1 so that large kappa loses no digits; u = 0 means the antipode.
    drop = -np.log(u + (1 - u) * np.exp(-2 * kappa)) / kappa
    sine = np.sqrt(np.clip(drop * (2 - drop), 0, None))
    up, east, north = _frame(lonlat)
    across = (
        np.cos(2 * np.pi * turn)[..., None] * east + np.sin(2 * np.pi * turn)[..., None] * north
    )
    x, y, z = np.moveaxis((1 - drop)[..., None] * up + sine[..., None] * across, -1, 0)
    return np.rad2deg(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], axis=-1))


def _frame(
    lonlat: Float[np.ndarray, '*batch 2'],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors up, east and north of each place, [..., 3] in Earth-centred axes."""
    lon, lat = np.deg2rad(lonlat[..., 0]), np.deg2rad(lonlat[..., 1])
    zero = np.zeros_like(lon)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], axis=-1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    return up, east, north
