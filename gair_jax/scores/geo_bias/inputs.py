"""What is refused at the edge, in words: places, marks, values, centres."""

import numpy as np
from jaxtyping import Float, Integer, Shaped

from gair_jax.config import InputError

ALLOWED = {
    'zero_one': ((0, 1), '0 (wrong) or 1 (right)'),
    'plus_minus': ((-1, 1), '-1 (wrong) or +1 (right), as 0 is the background'),
}


def latlon_radians(lonlat: Shaped[np.ndarray, '...']) -> Float[np.ndarray, 'n 2']:
    """Places as the haversine metric takes them: latitude first, radians, float64.

    Args:
      lonlat: degrees [n, 2], longitude first.

    Raises:
      InputError: another shape, fewer than 2 places, a value that is not finite, or a latitude
        beyond 90 degrees.
    """
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise InputError(f'lonlat: expected an array of shape [n, 2], found {list(lonlat.shape)}.')
    if len(lonlat) < 2:
        raise InputError(f'lonlat: expected at least 2 places, found {len(lonlat)}.')
    lonlat = lonlat.astype(np.float64)
    _refuse('lonlat', 'finite degrees', lonlat, np.isfinite(lonlat).all(axis=1))
    lat = lonlat[:, 1]
    _refuse('lonlat', 'latitudes of -90..90 in the second column', lat, np.abs(lat) <= 90)
    return np.deg2rad(lonlat[:, ::-1])


def marks_of(kind: str, marks: Shaped[np.ndarray, '...'] | None, n: int) -> Float[np.ndarray, ' n']:
    """The marks of `n` samples, float64; without marks, all are 1.

    Raises:
      InputError: `kind` needs marks and there are none, not one a place, or others than it has.
    """
    if kind == 'unmarked':
        return np.ones(n)
    if marks is None:
        raise InputError(f'marks: expected one a place for the kind {kind!r}, found none.')
    _check_length('marks', marks, n)
    values, words = ALLOWED[kind]
    _refuse('marks', words, marks, np.isin(marks, values))
    return marks.astype(np.float64)


def finite_values(values: Shaped[np.ndarray, '...'], n: int) -> Float[np.ndarray, ' n']:
    """The values of `n` samples, float64; InputError: not one a place, or one is not finite."""
    _check_length('values', values, n)
    values = values.astype(np.float64)
    _refuse('values', 'finite numbers', values, np.isfinite(values))
    return values


def centre_rows(centres: Shaped[np.ndarray, ' c'] | None, n: int) -> Integer[np.ndarray, ' c']:
    """The rows of the centres, all `n` where none are named.

    Raises:
      InputError: there are no centres, they are not whole numbers (a mask), or no such row.
    """
    if centres is None:
        return np.arange(n)
    if not centres.size or centres.dtype.kind not in 'iu':
        raise InputError(f'centres: expected rows, found {centres.size} of type {centres.dtype}.')
    _refuse('centres', f'rows 0..{n - 1}', centres, (centres >= 0) & (centres < n))
    return centres


def _check_length(name: str, array: np.ndarray, n: int) -> None:
    if array.shape != (n,):
        raise InputError(f'{name}: expected one for each of {n} places, found {list(array.shape)}.')


def _refuse(name: str, expected: str, array: np.ndarray, good: np.ndarray) -> None:
    """Names the first row that is not good."""
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(f'{name}: expected {expected}, found {array[row]} in row {row}.')
