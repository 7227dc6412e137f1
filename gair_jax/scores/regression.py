"""Scores of predicted numbers."""

from typing import NamedTuple

import numpy as np
import scipy.spatial
from jaxtyping import Float, Integer, Real

from gair_jax.config import InputError

# Of the mean square: a spread below is rounding of a target that does not vary.
NO_SPREAD = 1e-12


class Errors(NamedTuple):
    """One value a target, [*batch, k], in its unit (R2 has none); nan where there is none."""

    rmse: np.ndarray
    mae: np.ndarray
    r2: np.ndarray

    def mean(self) -> dict[str, np.ndarray]:
        """The plain mean of each, [*batch], over the targets that have a value; else nan."""
        return {name: _mean(values) for name, values in self._asdict().items()}


def errors(predicted: Real[np.ndarray, 'n k'], target: Real[np.ndarray, 'n k']) -> Errors:
    """Errors of each target over the rows in which it is known (not nan).

    R2 has no value where the target does not vary. A nan in `predicted` at a known target makes
    its figures nan: nothing predicted is not left out.
    """
    one = np.zeros(len(target), np.int64)
    return sum_errors(error_sums(predicted, target, one, n_groups=1)[0])


def error_sums(
    predicted: Real[np.ndarray, 'n k'],
    target: Real[np.ndarray, 'n k'],
    groups: Integer[np.ndarray, ' n'],
    *,
    n_groups: int,
) -> Float[np.ndarray, 'g 5 k']:
    """What errors follow from, of each group and target over the rows in which it is known.

    Rows, sums of the target and of its square (less its mean over all rows, which R2 does not
    depend on), sums of the error's square and of its size. Sums of groups add.

    Args:
      predicted: values.
      target: nan where it is not known.
      groups: 0..n_groups-1.
      n_groups: their number; a group may have no row.
    """
    known = ~np.isnan(target)
    count = np.maximum(known.sum(axis=0), 1)
    true = np.where(known, target, 0).astype(np.float64)
    centred = np.where(known, true - true.sum(axis=0) / count, 0)
    missed = np.where(known, predicted - true, 0)
    terms = np.stack([known, centred, centred**2, missed**2, np.abs(missed)], axis=1)
    sums = np.zeros((n_groups, *terms.shape[1:]))
    np.add.at(sums, groups, terms)
    return sums


def sum_errors(sums: Float[np.ndarray, '*batch 5 k']) -> Errors:
    """The errors of `error_sums`, or of their sums over groups."""
    rows, first, second, squares, sizes = np.moveaxis(sums, -2, 0)
    count = np.where(rows > 0, rows, np.nan)
    spread = second - first**2 / count
    varies = spread > NO_SPREAD * second
    return Errors(
        rmse=np.sqrt(squares / count),
        mae=sizes / count,
        r2=1 - squares / np.where(varies, spread, np.nan),
    )


def nearest_place(
    places: Real[np.ndarray, 'm 2'], lonlat: Real[np.ndarray, 'n 2']
) -> Integer[np.ndarray, ' n']:
    """The index of the nearest training place, along the great circle, for every lonlat in degrees.

    What is true there is a trivial prediction, of a class or a number, that knows no image.
    """
    return nearest_places(places, lonlat, 1)[0][:, 0]


def nearest_places(
    places: Real[np.ndarray, 'm 2'], lonlat: Real[np.ndarray, 'n 2'], count: int
) -> tuple[Integer[np.ndarray, 'n c'], Float[np.ndarray, 'n c']]:
    """The nearest training places, the nearest first, and how far they are, radians.

    Raises:
      InputError: there are fewer than `count` places.
    """
    if len(places) < count:
        raise InputError(
            f'places: expected at least {count} to be the nearest, found {len(places)}.'
        )
    # The nearest along the sphere is the nearest through it.
    tree = scipy.spatial.KDTree(_directions(places))
    chord, at = tree.query(_directions(lonlat), k=range(1, count + 1))
    return at.astype(np.int64), 2 * np.arcsin(np.minimum(chord / 2, 1))


def _mean(values: Float[np.ndarray, '*batch k']) -> Float[np.ndarray, '*batch']:
    has = ~np.isnan(values)
    total, count = np.where(has, values, 0).sum(axis=-1), has.sum(axis=-1)
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _directions(lonlat: Real[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 3']:
    """Unit vectors in Earth-centred axes."""
    lon, lat = np.deg2rad(lonlat.astype(np.float64)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
