"""Scores of centres, and what is said of all of them."""

import dataclasses

import numpy as np
from jaxtyping import Float, Integer

from gair_jax.scores.intervals import percentiles, resampled


@dataclasses.dataclass(frozen=True, eq=False)
class CentreScores:
    """A score a centre; larger is more biased.

    description: the score's parameters in words, to be shown beside every number.
    score: float64, nan where it is not defined.
    n: samples in the neighbourhood, the centre among them.
    """

    description: str
    score: Float[np.ndarray, ' c']
    n: Integer[np.ndarray, ' c']

    @property
    def defined(self) -> int:
        """Number of centres that have a score."""
        return int(np.isfinite(self.score).sum())

    @property
    def mean(self) -> float:
        """Plain mean over the centres that have a score; nan where none has."""
        return _mean(self.score, np.ones(len(self.score)))

    @property
    def weighted_mean(self) -> float:
        """Mean weighted by the samples of the neighbourhoods; nan where no centre has a score."""
        return _mean(self.score, self.n)

    def draws(self, seed: int = 0) -> Float[np.ndarray, ' r']:
        """Means over centres drawn anew with replacement; nan for a draw without any score.

        Scores are not taken anew: the draws tell how the mean depends on which centres were
        scored. Neighbourhoods overlap, so that neighbours hardly add to each other: another sample
        of the same ground would differ by more than these draws do.

        Args:
          seed: of the draws; scores of the same centres with the same seed are paired.
        """
        known = np.isfinite(self.score)
        sums = resampled(np.stack([np.where(known, self.score, 0.0), known], axis=-1), seed=seed)
        return sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan)

    @property
    def interval(self) -> tuple[float, float]:
        """What holds 95 % of the `draws` of the mean."""
        return percentiles(self.draws())


@dataclasses.dataclass(frozen=True, eq=False)
class PartScores(CentreScores):
    """Scores that are sums over the parts of a neighbourhood; nan where no part is large enough.

    parts: number of parts that are large enough.
    kept: their samples over those of the neighbourhood; above 1 where parts reach out of it.
    samples: in the whole data set.
    """

    parts: Integer[np.ndarray, ' c']
    kept: Float[np.ndarray, ' c']
    samples: int

    @property
    def normalised(self) -> Float[np.ndarray, ' c']:
        """The mean over the parts, weighted by their samples, in place of the sum."""
        return self.score / np.where(self.parts > 0, self.kept, np.nan)

    @property
    def total(self) -> float:
        """Sum of score times n over the samples of the data set, as PyGBS scores a data set."""
        return float(np.nansum(self.score * self.n) / self.samples)


def _mean(score: np.ndarray, weights: np.ndarray) -> float:
    known = np.isfinite(score)
    if not known.any():
        return float('nan')
    return float(np.average(score[known], weights=weights[known]))
