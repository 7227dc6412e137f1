"""Answers that look at no image: what every probe must beat.

Each is an answer a subset of the training rows, the same that the probes beside it are fitted on.
"""

import numpy as np

from gair_jax.scores.regression import nearest_place


def constant(targets: np.ndarray, subsets: np.ndarray, count: int) -> np.ndarray:
    """Always the commonest class, or the mean.

    Args:
        targets: of the training rows: class int [n], or float [n, k].
        subsets: bool [s, n], the rows that are looked at.
        count: of the test rows.

    Returns:
        int [s, count], or float [s, count, k].
    """
    if targets.ndim > 1:
        each = np.stack([targets[subset].mean(axis=0) for subset in subsets])
    else:
        each = np.array([np.bincount(targets[subset]).argmax() for subset in subsets])
    return np.repeat(each[:, None], count, axis=1)


def nearest(
    targets: np.ndarray, subsets: np.ndarray, places: np.ndarray, lonlat: np.ndarray
) -> np.ndarray:
    """What is true at the nearest training place: the coordinates alone.

    Args:
        targets: of the training rows: class int [n], or float [n, k].
        subsets: bool [s, n], the rows that are looked at.
        places: of the training rows, degrees [n, 2], all of them known.
        lonlat: of the test rows, degrees [m, 2], all of them known.

    Returns:
        int [s, m], or float [s, m, k].
    """
    return np.stack([targets[on][nearest_place(places[on], lonlat)] for on in subsets])
