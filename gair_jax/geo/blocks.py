"""Places by the cell of the Earth that they lie in: what lies near hangs together."""

import numpy as np
from jaxtyping import Integer, Real

from gair_jax.config import InputError

KM_PER_DEGREE = 111.19508  # of a great circle on the sphere of the Earth's mean radius


def degree_blocks(lonlat: Real[np.ndarray, 'n 2'], side: float) -> Integer[np.ndarray, ' n']:
    """Groups of places by the cell of a grid of `side` degrees that they lie in, numbered from 0.

    Cells start at 180 degrees west and 90 degrees south; towards the poles they grow narrow.
    """
    _check_blocks(lonlat, side, 'degrees', 360)
    cells = np.floor(np.stack([(lonlat[:, 0] + 180) % 360, lonlat[:, 1] + 90], axis=-1) / side)
    return _numbered(cells)


def spatial_blocks(lonlat: Real[np.ndarray, 'n 2'], side: float) -> Integer[np.ndarray, ' n']:
    """Groups of places by the cell of a grid of about `side` km that they lie in, numbered from 0.

    Rows of latitude `side` km high are cut into a whole number of equal cells, at least one, about
    `side` km wide at the row's middle, so that no cell is cut at 180 degrees.

    Args:
      lonlat: degrees.
      side: km, > 0.
    """
    _check_blocks(lonlat, side, 'km', 180 * KM_PER_DEGREE)
    height = side / KM_PER_DEGREE
    row = np.floor((lonlat[:, 1] + 90) / height)
    middle = np.deg2rad(np.minimum((row + 0.5) * height - 90, 90))
    columns = np.maximum(np.round(360 * np.cos(middle) / height), 1)
    column = np.floor((lonlat[:, 0] + 180) % 360 / 360 * columns)
    return _numbered(np.stack([row, column], axis=-1))


def _check_blocks(lonlat: np.ndarray, side: float, unit: str, most: float) -> None:
    if not 0 < side <= most:
        raise InputError(
            f'block side: expected more than 0 and at most {most:g} {unit}, found {side}.'
        )
    if not np.isfinite(lonlat).all() or (np.abs(lonlat[:, 1]) > 90).any():
        raise InputError('lonlat: expected degrees with latitudes -90..90, found other values.')


def _numbered(cells: np.ndarray) -> np.ndarray:
    return np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
