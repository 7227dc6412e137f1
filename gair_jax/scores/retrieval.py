"""How well the right candidate is found among many: recall at k and ranks."""

import numpy as np


def ranks(similarity: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The place of the right candidate for every query, 1 is the best.

    Ties count against the query: a model that gives every candidate the same score ranks last,
    not first.

    Args:
        similarity: [N, M], larger is nearer.
        positive: int [N], the column of each row's right candidate.

    Returns:
        int64 [N], 1..M.
    """
    own = np.take_along_axis(similarity, positive[:, None], axis=1)
    return np.count_nonzero(similarity >= own, axis=1)


def ranks_within(similarity: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Ranks of the diagonal among the candidates of the query's own group (its tile).

    Args:
        similarity: [N, N], row i's right candidate is column i.
        group: int [N].

    Returns:
        int64 [N], 1..size of the group.
    """
    same = group[:, None] == group[None, :]
    return ranks(np.where(same, similarity, -np.inf), np.arange(len(group)))


def recall_at(rank: np.ndarray, k: int) -> float:
    """The share of queries whose right candidate is among the first k."""
    return float(np.mean(rank <= k))


def group_chance(group: np.ndarray) -> float:
    """Recall at 1 of a guess among the members of each query's group: the mean of 1 / size."""
    _, inverse, sizes = np.unique(group, return_inverse=True, return_counts=True)
    return float(np.mean(1.0 / sizes[inverse]))
