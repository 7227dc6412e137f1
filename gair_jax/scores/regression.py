"""Scores of predicted numbers."""

from typing import NamedTuple

import numpy as np
import scipy.spatial
from jaxtyping import Float, Integer, Real

from gair_jax.config import InputError


def r2(predicted: np.ndarray, target: np.ndarray) -> float:
    """The coefficient of determination, averaged over the outputs; at most 1.

    0 is as good as answering the mean of `target`. Outputs whose target does not vary have no R2
    and are left out; nan where none varies.

    Args:
        predicted: [n, k].
        target: [n, k].
    """
    target = np.asarray(target, np.float64)
    spread = np.sum((target - target.mean(axis=0)) ** 2, axis=0)
    missed = np.sum((target - predicted) ** 2, axis=0)
    varies = spread > 0
    return float(np.mean(1.0 - missed[varies] / spread[varies])) if varies.any() else float('nan')


class Errors(NamedTuple):
    """One value a target, [k], in the target's unit (R2 has none); nan where there is none."""

    rmse: np.ndarray
    mae: np.ndarray
    r2: np.ndarray

    def mean(self) -> dict[str, float]:
        """The plain mean of each over the targets that have a value; nan where none has."""
        return {name: _mean(values) for name, values in self._asdict().items()}


def errors(predicted: Real[np.ndarray, 'n k'], target: Real[np.ndarray, 'n k']) -> Errors:
    """Errors of each target over the rows in which it is known (not nan).

    R2 has no value where the target does not vary. A nan in `predicted` at a known target makes
    its figures nan: nothing predicted is not left out.
    """
    columns = [_errors(p, t) for p, t in zip(predicted.T, target.T, strict=True)]
    return Errors(*np.array(columns, np.float64).reshape(-1, 3).T)


def nearest_place(
    places: Real[np.ndarray, 'm 2'], lonlat: Real[np.ndarray, 'n 2']
) -> Integer[np.ndarray, ' n']:
    """The index of the nearest training place, along the great circle, for every lonlat in degrees.

    What is true there is a trivial prediction, of a class or a number, that knows no image.
    """
    if not len(places):
        raise InputError('places: expected at least one to be the nearest, found none.')
    # The nearest along the sphere is the nearest through it.
    return scipy.spatial.KDTree(_directions(places)).query(_directions(lonlat))[1].astype(np.int64)


def _errors(
    predicted: Real[np.ndarray, ' n'], target: Real[np.ndarray, ' n']
) -> tuple[float, float, float]:
    known = ~np.isnan(target)
    if not known.any():
        return (float('nan'),) * 3
    true = target[known].astype(np.float64)
    missed = predicted[known] - true
    spread = np.sum((true - true.mean()) ** 2)
    r2_ = 1 - np.sum(missed**2) / spread if spread > 0 else float('nan')
    return float(np.sqrt(np.mean(missed**2))), float(np.mean(np.abs(missed))), float(r2_)


def _mean(values: Float[np.ndarray, ' k']) -> float:
    has = ~np.isnan(values)
    return float(values[has].mean()) if has.any() else float('nan')


def _directions(lonlat: Real[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 3']:
    """Unit vectors in Earth-centred axes."""
    lon, lat = np.deg2rad(lonlat.astype(np.float64)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
