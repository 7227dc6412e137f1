"""How surprising Moran's I is, given how often each value occurs (TorchSpatial, PyGBS).

With N points, z the values less their mean, and w_ab = 1 where b is one of the nearest of a:

  I = sum_ab w_ab z_a z_b

Its mean and variance over arrangements of the same values are closed forms of the counts of the
values, for 4 neighbours. Two scores come from them: minus the log of the normal density at I
(TorchSpatial and all published tables), and minus the log of the probability of both tails beyond
it, with 1 added to the standard deviation (today's PyGBS). Neither can exceed CAP.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real
from scipy.special import ndtr

FLOOR = 1e-256  # added to a probability before its log
CAP = -np.log(FLOOR)  # 589.46
NEIGHBOURS = 4


class Moments(NamedTuple):
    """Mean and variance of Moran's I, [*batch]; a variance of 0 or less has no density."""

    mean: np.ndarray
    variance: np.ndarray


def morans_sums(
    values: Float[np.ndarray, 'k n'], lists: Integer[np.ndarray, 'n m']
) -> Float[np.ndarray, ' k']:
    """Moran's I, not divided by anything, of several values of the same points.

    Args:
      values: of each point.
      lists: the points that count for each; a point in its own list does not count.
    """
    z = values - values.mean(axis=1, keepdims=True)
    padded = np.concatenate([z, np.zeros((len(z), 1))], axis=1)
    points = np.arange(len(lists))[:, None]
    sums = padded[:, np.where(lists == points, len(lists), lists)].sum(axis=2)
    return (z * sums).sum(axis=1)


def moments(values: Real[np.ndarray, ' m'], counts: Real[np.ndarray, '*batch m']) -> Moments:
    """Mean and variance of Moran's I where each value occurs as often as counted.

    The variance leaves the commonest value out, the smallest of several. Its terms are summed over
    both orders of two values although they are not symmetric, as in the source.

    Args:
      values: ascending.
      counts: 0 where a value does not occur.
    """
    counts = counts.astype(np.float64)
    total = counts.sum(axis=-1, keepdims=True)
    apart = values - (values * counts).sum(axis=-1, keepdims=True) / total
    pairs = NEIGHBOURS * counts[..., :, None] * counts[..., None, :] / total[..., None]
    own = np.where(counts > 0, NEIGHBOURS * counts * (counts - 1) / total - 1, 0.0)
    same = np.eye(len(values), dtype=bool)
    expected = np.where(same, own[..., None], pairs)
    mean = (apart[..., :, None] * apart[..., None, :] * expected).sum(axis=(-2, -1))
    return Moments(np.asarray(mean), _variance(values, counts, apart, np.where(same, 0.0, pairs)))


def _variance(
    values: np.ndarray, counts: np.ndarray, apart: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """Of Moran's I; `pairs` are the expected numbers of neighbours of two different values."""
    total = counts.sum(axis=-1, keepdims=True)
    common = counts.argmax(axis=-1)[..., None]
    left = np.arange(len(values)) != common
    zero = np.take_along_axis(apart, common, axis=-1)[..., None]
    one, other = apart[..., :, None], apart[..., None, :]
    factor = (one * other - 2 * one * zero + zero**2) ** 2
    larger = np.maximum(counts[..., :, None], counts[..., None, :])
    mixed = factor * pairs * (1 - NEIGHBOURS * larger / total[..., None])
    both = left[..., :, None] & left[..., None, :]
    alike = (
        (values - values[common]) ** 4
        * (2 * NEIGHBOURS * counts * (counts - 1) / total)
        * (1 - NEIGHBOURS * (2 * counts - 1) / (3 * total))
    )
    found = np.where(both, mixed, 0).sum(axis=(-2, -1)) + np.where(left, alike, 0).sum(axis=-1)
    return np.asarray(found)


def density(
    observed: Float[np.ndarray, '*batch'], expected: Moments
) -> Float[np.ndarray, '*batch']:
    """The normal density at Moran's I; nan where it has no variance."""
    sigma = np.sqrt(np.where(expected.variance > 0, expected.variance, np.nan))
    distance = (observed - expected.mean) / sigma
    return np.asarray(np.exp(-(distance**2) / 2) / (np.sqrt(2 * np.pi) * sigma))


def tail(observed: Float[np.ndarray, '*batch'], expected: Moments) -> Float[np.ndarray, '*batch']:
    """The probability of both tails beyond Moran's I; nan where its variance is negative."""
    sigma = np.sqrt(np.where(expected.variance >= 0, expected.variance, np.nan)) + 1
    return np.asarray(2 * ndtr(-np.abs(observed - expected.mean) / sigma))


def surprisal(probability: Float[np.ndarray, '*batch']) -> Float[np.ndarray, '*batch']:
    """Minus the natural log, at most CAP; nan stays nan."""
    return np.asarray(0.0 - np.log(probability + FLOOR))
