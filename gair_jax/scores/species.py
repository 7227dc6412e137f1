"""Species of a photo and its place: P(y|photo) P(y|place), and how high the true one ranks.

Rows without a place keep what the photo alone says and stay in every score (TorchSpatial, Wu et al.
2024). Products are not normalised: ranks do not change.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gair_jax.config import InputError

TOPS = (1, 3, 5, 10)
METRICS = ('top1', 'top3', 'top5', 'MRR')


class Ranked(NamedTuple):
    """Of each row: the score of the true class, and its rank from 1."""

    true_score: Float[np.ndarray, ' n']
    rank: Int[np.ndarray, ' n']

    def top(self, k: int) -> float:
        """Share of rows whose true class is among the first k."""
        return float(np.mean(self.rank <= k))

    @property
    def mean_reciprocal_rank(self) -> float:
        """MRR, 0..1."""
        return float(np.mean(1 / self.rank))


def hits(rank: Int[np.ndarray, '*batch n']) -> Float[np.ndarray, '*batch n 4']:
    """What a row of each rank adds to `METRICS`: whether it is among the first k, and 1 / rank."""
    each = [rank <= k for k in TOPS[:3]]
    return np.stack([*each, 1 / rank], axis=-1).astype(np.float64)


def combine(
    photo: Float[np.ndarray, 'n c'], place: Float[np.ndarray, 'm k'], placed: Bool[np.ndarray, ' n']
) -> Float[np.ndarray, 'n c']:
    """The product of both where a row is `placed`, else that of the photo alone; float64."""
    if photo.shape != place.shape:
        raise InputError(
            f'scores of places: expected {photo.shape} as those of photos, found {place.shape}.'
        )
    return photo.astype(np.float64) * np.where(placed[:, None], place, 1.0)


def rank(scores: Float[np.ndarray, 'n c'], label: Int[np.ndarray, ' n']) -> Ranked:
    """The true class among all: one more than the number of classes that score higher.

    Classes that tie with the true one and stand before it count as higher, so that a true class
    that scores 0 among many zeros is not first.

    Raises:
      InputError: a label that is no class.
    """
    classes = scores.shape[1]
    if label.min() < 0 or label.max() >= classes:
        odd = label[(label < 0) | (label >= classes)][0]
        raise InputError(f'label: expected classes 0 to {classes - 1}, found {odd}.')
    own = np.take_along_axis(scores, label[:, None], axis=1)
    higher = np.count_nonzero(scores > own, axis=1)
    before = np.arange(classes) < label[:, None]
    return Ranked(own[:, 0], higher + np.count_nonzero((scores == own) & before, axis=1) + 1)
