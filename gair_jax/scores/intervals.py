"""Confidence intervals by the bootstrap (Efron 1979), over groups of rows that hang together.

Photos of a tile, or patches of a window, resemble each other: drawing rows one by one would make
intervals too narrow, so whole groups are drawn.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Real
from scipy import stats

RESAMPLES = 400
BLOCK = 32  # draws that are summed at a time: bounds the memory of their counts


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


def over_seeds(
    values: Float[np.ndarray, ' n'], *, level: float = 0.95
) -> tuple[float, float, float]:
    """The mean of runs that differ in their seed, and its interval by Student's t.

    Args:
      values: one a run, finite.
      level: coverage, 0..1.

    Returns:
      Mean, lower and upper end; the ends are nan for a single run, all are for none.
    """
    if not len(values):
        return float('nan'), float('nan'), float('nan')
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float('nan'), float('nan')
    error = values.std(ddof=1) / np.sqrt(len(values))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * error)
    return mean, mean - half, mean + half


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


def _rows(first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The ranges [first, first + size) one after the other."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.arange(sizes.sum()) + np.repeat(first - starts, sizes)
