"""Answers that look at no image: what every probe must beat.

Each is an answer a subset of the training rows, the same that the probes beside it are fitted on.
"""

import numpy as np

from gair_jax.scores.regression import nearest_place, nearest_places


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


def neighbours(
    targets: np.ndarray, places: np.ndarray, lonlat: np.ndarray, count: int
) -> np.ndarray:
    """What the nearest training places say, each weighted by 1 / its distance.

    Args:
        targets: of the training rows: class int [n], or float [n, k].
        places: of the training rows, degrees [n, 2].
        lonlat: of the test rows, degrees [m, 2].
        count: of neighbours, at most those there are. One at the very place decides alone.

    Returns:
        The class with most weight, int [m], or the weighted mean, float [m, k].
    """
    at, weight = _weighted(places, lonlat, count)
    if targets.ndim > 1:
        return np.einsum('mc,mck->mk', weight / weight.sum(axis=1, keepdims=True), targets[at])
    return votes(targets, places, lonlat, count, int(targets.max()) + 1).argmax(axis=1)


def votes(
    targets: np.ndarray, places: np.ndarray, lonlat: np.ndarray, count: int, classes: int
) -> np.ndarray:
    """The weight of each class among the nearest training places, as `neighbours`: [m, classes]."""
    at, weight = _weighted(places, lonlat, count)
    found = np.zeros((len(lonlat), classes))
    np.add.at(found, (np.arange(len(lonlat))[:, None], targets[at]), weight)
    return found


def _weighted(places: np.ndarray, lonlat: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training places of each test row, and their weights, [m, count]."""
    at, distance = nearest_places(places, lonlat, min(count, len(places)))
    return at, 1 / np.maximum(distance, 1e-9)
