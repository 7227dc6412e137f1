"""Encodings of places by sines and cosines, in float64 on the host.

Frequencies reach 1e6 per degree, where the sine of a float32 argument is noise: at 1/0.005 per
degree it is off by 2e-3. So all arithmetic is NumPy's float64, and only results are rounded.

Sources: Space2Vec (Mai et al. 2020), Sphere2Vec (Mai et al. 2023), NeRF (Mildenhall et al. 2020)
and wrap (Mac Aodha et al. 2019), with the order of features of TorchSpatial (Wu et al. 2024). All
take places in degrees, longitude first, float [n, 2], and give float64 [n, width].
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError

Places = Float[np.ndarray, 'n 2']
Features = Float[np.ndarray, 'n f']
Scales = Float[np.ndarray, ' s']

# Three directions at 120 degrees.
DIRECTIONS = np.array([[1, 0], [-0.5, np.sqrt(3) / 2], [-0.5, -np.sqrt(3) / 2]])
NERF_SCALES = 16


def frequencies(count: int, min_radius: float, max_radius: float) -> Scales:
    """Geometric, from 1 / min_radius down to 1 / max_radius.

    Raises:
      InputError: fewer than two, or radii that are not 0 < min_radius <= max_radius.
    """
    if count < 2:
        raise InputError(f'frequencies: expected 2 or more, found {count}.')
    if not 0 < min_radius <= max_radius:
        raise InputError(
            f'radii: expected 0 < min_radius <= max_radius, found {min_radius} and {max_radius}.'
        )
    return 1 / (min_radius * (max_radius / min_radius) ** (np.arange(count) / (count - 1)))


def _rows(*features: np.ndarray) -> Features:
    """Features [n, ...] side by side for each of what stands before, as a row a place."""
    stacked = np.stack(features, axis=-1)
    return stacked.reshape(len(stacked), -1)


def _columns(places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude, float64 [n, 1], degrees."""
    lon, lat = places.astype(np.float64).T[:, :, None]
    return lon, lat


def unit_vectors(places: Places) -> Features:
    """Points on the unit sphere: x to (0, 0), z to the north pole."""
    lon, lat = np.deg2rad(places.astype(np.float64)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def nerf(places: Places, count: int = NERF_SCALES) -> Features:
    """Sines, then cosines, of the unit vector at pi, 2 pi, 4 pi, ...: 6 x `count`."""
    phase = unit_vectors(places)[..., None] * np.pi * 2.0 ** np.arange(count)
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1).reshape(len(places), -1)


def wrap(places: Places) -> Features:
    """Sines of the longitude and of twice the latitude, then their cosines."""
    phase = np.pi * places.astype(np.float64) / np.array([180, 90])
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=-1)


def grid(places: Places, scales: Scales) -> Features:
    """Space2Vec-grid: of longitude, then latitude, at each scale sin and cos of the degrees."""
    phase = places.astype(np.float64)[:, :, None] * scales
    return _rows(np.sin(phase), np.cos(phase))


def theory(places: Places, scales: Scales) -> Features:
    """Space2Vec-theory: at each scale sin and cos along three directions of the degrees."""
    phase = scales[:, None] * (places.astype(np.float64) @ DIRECTIONS.T)[:, None, :]
    return _rows(np.sin(phase), np.cos(phase))


def sphere_c(places: Places, scales: Scales, unit: float = np.pi / 180) -> Features:
    """Sphere2Vec-sphereC: the unit vector of scaled angles, z first.

    `unit` turns degrees into the angles of the sines; 1 is SatCLIP's reading, as of all spheres.
    """
    o, p = (unit * scales * angle for angle in _columns(places))
    return _rows(np.sin(p), np.cos(p) * np.cos(o), np.cos(p) * np.sin(o))


def sphere_c_plus(places: Places, scales: Scales, unit: float = np.pi / 180) -> Features:
    """Sphere2Vec-sphereC+: sphereC and each angle alone."""
    o, p = (unit * scales * angle for angle in _columns(places))
    alone = (np.sin(p), np.cos(p), np.sin(o), np.cos(o))
    return _rows(*alone, np.cos(p) * np.cos(o), np.cos(p) * np.sin(o))


def _mixed(places: Places, scales: Scales, unit: float) -> tuple[np.ndarray, ...]:
    """Products of a scaled and an unscaled angle, [n, s] each."""
    lon, lat = (unit * angle for angle in _columns(places))
    o, p = scales * lon, scales * lat
    return (
        np.cos(p) * np.cos(lon),
        np.cos(lat) * np.cos(o),
        np.cos(p) * np.sin(lon),
        np.cos(lat) * np.sin(o),
    )


def sphere_m(places: Places, scales: Scales, unit: float = np.pi / 180) -> Features:
    """Sphere2Vec-sphereM: one angle scaled, the other as it is."""
    _, lat = _columns(places)
    return _rows(np.sin(unit * scales * lat), *_mixed(places, scales, unit))


def sphere_m_plus(places: Places, scales: Scales, unit: float = np.pi / 180) -> Features:
    """Sphere2Vec-sphereM+: sphereM and each angle alone."""
    o, p = (unit * scales * angle for angle in _columns(places))
    return _rows(np.sin(p), np.cos(p), np.sin(o), np.cos(o), *_mixed(places, scales, unit))


def dfs(places: Places, scales: Scales) -> Features:
    """Sphere2Vec-dfs, the double Fourier sphere: every product of both angles' waves, and each."""
    o, p = (np.deg2rad(scales * angle) for angle in _columns(places))
    waves = np.concatenate([np.sin(o), np.cos(o)], axis=-1)
    products = waves[:, :, None] * np.concatenate([np.sin(p), np.cos(p)], axis=-1)[:, None, :]
    alone = _rows(np.sin(p), np.cos(p), np.sin(o), np.cos(o))
    return np.concatenate([products.reshape(len(places), -1), alone], axis=-1)


SCALED: dict[str, Callable[..., Features]] = {
    'grid': grid,
    'theory': theory,
    'sphere_c': sphere_c,
    'sphere_c_plus': sphere_c_plus,
    'sphere_m': sphere_m,
    'sphere_m_plus': sphere_m_plus,
    'dfs': dfs,
}
