"""Train, val and test drawn within each city, 60/20/20 (GAIR, section 5 of the paper).

The paper states neither seed nor rounding. Here: the n photos of a city, sorted by id, are permuted
with a seed made of the given one and the city; floor(0.6 n + 0.5) go to train, floor(0.2 n + 0.5)
to val and the rest to test. A city of fewer than 5 photos goes to train whole.
"""

import hashlib
import math

import numpy as np
import pandas as pd

FEW = 5
SHARES = (0.6, 0.2)


def sizes(count: int, shares: tuple[float, float] = SHARES) -> tuple[int, int]:
    """Photos of a city in train and in val."""
    if count < FEW:
        return count, 0
    train, val = (math.floor(share * count + 0.5) for share in shares)
    return train, min(val, count - train)


def draw(
    rows: pd.DataFrame, *, seed: int, by: str = 'id', shares: tuple[float, float] = SHARES
) -> pd.Series:
    """The split of each row.

    Args:
      rows: with columns id and group (the city).
      seed: of the draw.
      by: column of what must not be divided, such as a sequence of photos; a sequence goes where
        its first photo would, so that train and val may be larger than their shares.
      shares: of train and val.
    """
    splits = pd.Series('train', index=rows.index)
    for city, members in rows.sort_values('id').groupby('group'):
        splits[members.index] = _draw_city(members[by], str(city), seed, shares)
    return splits


def _draw_city(keys: pd.Series, city: str, seed: int, shares: tuple[float, float]) -> np.ndarray:
    digest = hashlib.sha256(f'{seed}:{city}'.encode()).digest()
    codes, uniques = pd.factorize(keys)
    order = np.random.default_rng(list(digest[:16])).permutation(len(uniques))
    counts = np.bincount(codes)[order]
    before = np.cumsum(counts) - counts
    train, val = sizes(len(keys), shares)
    drawn = np.where(before < train, 'train', np.where(before < train + val, 'val', 'test'))
    found = np.empty(len(uniques), drawn.dtype)
    found[order] = drawn
    return found[codes]
