"""Confidence intervals by the bootstrap (Efron 1979), over groups of rows that hang together.

Photos of a tile, or patches of a window, resemble each other: drawing rows one by one would make
intervals too narrow, so whole groups are drawn.
"""

from collections.abc import Callable

import numpy as np


def bootstrap(
    score: Callable[[np.ndarray], float],
    groups: np.ndarray,
    *,
    resamples: int = 400,
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
    values = np.asarray(found, np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return float('nan'), float('nan')
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _rows(first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The ranges [first, first + size) one after the other."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.arange(sizes.sum()) + np.repeat(first - starts, sizes)
