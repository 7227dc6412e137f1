"""How much the values of a part differ from those of its neighbourhood: histograms and KL."""

import dataclasses

import numpy as np
from jaxtyping import Float, Integer
from scipy.special import rel_entr

SMOOTH = 1e-8  # added to the shares of a part, which then sum to a little more than 1


@dataclasses.dataclass(frozen=True, eq=False)
class Histograms:
    """Counts the values of groups of samples in equal bins.

    values: of all samples.
    bins: number of bins.
    own_range: whether each group's bins span its own values, as published, or all span those of the
      whole data set. A constant group has the range of its value +- 0.5, as in NumPy.
    """

    values: Float[np.ndarray, ' n']
    bins: int
    own_range: bool

    def counts(
        self, rows: Integer[np.ndarray, ' p'], groups: Integer[np.ndarray, ' p'], n_groups: int
    ) -> Integer[np.ndarray, 'g b']:
        """Of samples (rows), each in a group 0..n_groups-1."""
        values = self.values[rows]
        if self.own_range:
            low, high = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
            np.minimum.at(low, groups, values)
            np.maximum.at(high, groups, values)
            low, high = low[groups], high[groups]
        else:
            low, high = (np.full(len(rows), end(self.values)) for end in (np.min, np.max))
        keys = groups * self.bins + bin_of(values, low, high, self.bins)
        return np.bincount(keys, minlength=n_groups * self.bins).reshape(n_groups, self.bins)


def bin_of(
    values: Float[np.ndarray, ' p'],
    low: Float[np.ndarray, ' p'],
    high: Float[np.ndarray, ' p'],
    bins: int,
) -> Integer[np.ndarray, ' p']:
    """The bin of each value among equal ones of its own range, by the rules of `np.histogram`.

    A bin holds its lower edge, the last one both.
    """
    half = np.where(low == high, 0.5, 0.0)
    low, high = low - half, high + half
    index = ((values - low) / (high - low) * bins).astype(np.int64).clip(max=bins - 1)
    width = (high - low) / bins
    index -= values < low + index * width
    index += (values >= low + (index + 1) * width) & (index < bins - 1)
    return index


def relative_information(
    whole: Integer[np.ndarray, 'c b'], parts: Integer[np.ndarray, 'c p b'], threshold: int
) -> tuple[Float[np.ndarray, ' c'], Integer[np.ndarray, ' c'], Float[np.ndarray, ' c']]:
    """The KL divergence of neighbourhoods from their parts, each weighted by its share of samples.

    Sum over the parts of (n_part / n) sum_b P ln(P / Q), with P the shares of the neighbourhood's
    samples and Q those of the part's, smoothed.

    Args:
      whole: histograms of the neighbourhoods, none empty.
      parts: those of their parts.
      threshold: parts of fewer samples are left out.

    Returns:
      The scores, nan where no part is left; the number of parts left; their samples over the
      neighbourhood's.
    """
    n, n_parts = whole.sum(axis=-1), parts.sum(axis=-1)
    left = n_parts >= threshold
    shares = whole / n[:, None]
    own = parts / np.maximum(n_parts, 1)[..., None] + SMOOTH
    information = rel_entr(shares[:, None], own).sum(axis=-1)
    weights = np.where(left, n_parts / n[:, None], 0.0)
    score = np.where(left.any(axis=1), (weights * information).sum(axis=1), np.nan)
    return score, left.sum(axis=1), weights.sum(axis=1)
