"""Encodings of places by a fixed set of points, directions or cells of the plane of degrees.

Sources: rbf, rff (Rahimi and Recht 2007) and tile as TorchSpatial has them (Wu et al. 2024). Places
are degrees, longitude first, float [n, 2]; an extent is (west, east, south, north), degrees.
"""

import numpy as np
from jaxtyping import Float, Int

from gair_jax.config import InputError

Places = Float[np.ndarray, 'n 2']
Extent = tuple[float, float, float, float]
WORLD: Extent = (-180.0, 180.0, -90.0, 90.0)


def rbf(
    places: Places, anchors: Float[np.ndarray, 'a 2'], width: float
) -> Float[np.ndarray, 'n a']:
    """exp(-d^2 / (2 width^2)), d the distance in degrees of the plane to each anchor."""
    gaps = places.astype(np.float64)[:, None] - anchors.astype(np.float64)
    return np.exp(-np.sum(gaps**2, axis=-1) / (2 * width**2))


def rff(
    places: Places,
    directions: Float[np.ndarray, '2 f'],
    shift: Float[np.ndarray, ' f'],
    extent: Extent = WORLD,
) -> Float[np.ndarray, 'n f']:
    """sqrt(2 / f) cos(x W + b) of places scaled so that the extent is [-1, 1] on both axes."""
    west, east, south, north = extent
    low, high = np.array([west, south]), np.array([east, north])
    scaled = 2 * (places.astype(np.float64) - low) / (high - low) - 1
    phase = scaled @ directions.astype(np.float64) + shift.astype(np.float64)
    return np.sqrt(2 / len(shift)) * np.cos(phase)


def cells(extent: Extent, side: float) -> tuple[int, int]:
    """Rows and columns of cells of `side` degrees that cover an extent.

    Raises:
      InputError: a side that is not above 0.
    """
    if not side > 0:
        raise InputError(f'cell side: expected degrees above 0, found {side}.')
    west, east, south, north = extent
    rows, columns = np.ceil(np.array([north - south, east - west]) / side).astype(int)
    return max(int(rows), 1), max(int(columns), 1)


def cell_of(places: Places, extent: Extent, side: float) -> Int[np.ndarray, ' n']:
    """The cell of each place, by rows from the south-west; the nearest one for places outside."""
    rows, columns = cells(extent, side)
    west, _, south, _ = extent
    lon, lat = places.astype(np.float64).T
    row = np.clip(np.floor((lat - south) / side), 0, rows - 1)
    column = np.clip(np.floor((lon - west) / side), 0, columns - 1)
    return (row * columns + column).astype(np.int64)
