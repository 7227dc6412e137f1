"""Confidence intervals by the bootstrap (Efron 1979), over groups of rows that hang together.

Photos of a tile, or patches of a window, resemble each other: drawing rows one by one would make
intervals too narrow, so whole groups are drawn.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer, Real

from gair_jax.config import InputError

RESAMPLES = 400
BLOCK = 32  # draws that are summed at a time: bounds the memory of their counts
KM_PER_DEGREE = 111.19508  # of a great circle on the sphere of the Earth's mean radius


def bootstrap(
    score: Callable[[np.ndarray], float],
    groups: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a score when groups are drawn anew with replacement.

    Args:
        score: of a resample, given as row indices int [m]; a nan (a resample in which the score
            has no value) is left out.
        groups: int [n], the group of every row.
        resamples: number of draws.
        level: coverage, 0..1.
        seed: of the draws.

    Returns:
        Lower and upper end; nan where no resample has a score.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind='stable')
    _, first, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    found = []
    for _ in range(resamples):
        drawn = rng.integers(len(first), size=len(first))
        found.append(score(order[_rows(first[drawn], sizes[drawn])]))
    return percentiles(np.asarray(found, np.float64), level=level)


def percentiles(values: Float[np.ndarray, ' r'], *, level: float = 0.95) -> tuple[float, float]:
    """What lies within `level` of the values, the rest cut off at both ends alike.

    A nan is left out; nan where there is nothing else.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return float('nan'), float('nan')
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(
    tallies: Real[np.ndarray, 'g ...'], *, resamples: int = RESAMPLES, seed: int = 0
) -> Float[np.ndarray, 'r ...']:
    """Sums of what is tallied of each group, over groups drawn anew with replacement.

    `bootstrap` for scores that follow from sums (counts of right answers, sums of squares): no row
    is touched again. One seed draws the same groups whatever is tallied, so that the difference
    of two scores is paired.

    Args:
      tallies: of each group; finite.
      resamples: number of draws.
      seed: of the draws.
    """
    rng, groups = np.random.default_rng(seed), len(tallies)
    flat = tallies.reshape(groups, -1).astype(np.float64)
    sums = []
    for start in range(0, resamples, BLOCK):
        drawn = [rng.integers(groups, size=groups) for _ in range(min(BLOCK, resamples - start))]
        counts = np.stack([np.bincount(draw, minlength=groups) for draw in drawn])
        sums.append(counts.astype(np.float64) @ flat)
    return np.concatenate(sums).reshape(resamples, *tallies.shape[1:])


def paired_difference(
    one: Callable[[np.ndarray], float],
    other: Callable[[np.ndarray], float],
    groups: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much better `one` scores than `other` on the same rows, and its interval.

    Both are scored on the same draws: what makes a draw easy for both cancels, and the interval is
    much narrower than those of the two scores suggest.

    Returns:
        The difference on all rows, its lower and its upper end.
    """

    def difference(rows: np.ndarray) -> float:
        return one(rows) - other(rows)

    ends = bootstrap(difference, groups, resamples=resamples, level=level, seed=seed)
    return (float(difference(np.arange(len(groups)))), *ends)


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


def _rows(first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The ranges [first, first + size) one after the other."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.arange(sizes.sum()) + np.repeat(first - starts, sizes)
