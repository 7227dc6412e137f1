"""Few labels: which of the training rows are fitted, by a seed and a sort.

Rows are named by unique ids, and what is drawn depends on the ids and not on the order of rows: a
table that is shuffled or read anew gives the same rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.transfer.settings import TransferConfig


class Labels(NamedTuple):
    """How many of the training rows are fitted: a share of them, or so many of each class."""

    share: float = 0.0
    per_class: int = 0

    @property
    def name(self) -> str:
        """As tables say it."""
        return f'{100 * self.share:g}%' if self.share else f'{self.per_class} a class'

    def subsets(self, targets: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Rows of each draw, bool [s, n]; all rows need one draw only.

        Args:
          targets: int [n], or float [n, k]: one number a row is cut into bins, several have none
            in common and are one stratum.
          draws: number of them.
          seed: of the first.

        Raises:
          InputError: a class has fewer rows than are asked for.
        """
        kept = np.zeros((1 if self.share == 1 else draws, len(targets)), bool)
        strata = np.zeros(len(targets), np.int64)
        if targets.ndim == 1 or targets.shape[1] == 1:
            strata = targets.reshape(-1)
        ids = [f'{row:09d}' for row in range(len(targets))]
        for i, rows in enumerate(kept):
            if self.share:
                rows[of_share(ids, strata, self.share, seed=seed + i)] = True
            else:
                rows[of_each(ids, strata, self.per_class, seed=seed + i)] = True
        return kept


def asked(settings: TransferConfig) -> list[Labels]:
    """Every share, then every number a class."""
    shares = [Labels(share=share) for share in settings.shares]
    return shares + [Labels(per_class=count) for count in settings.per_class]


def of_share(
    ids: Sequence[str], target: np.ndarray, share: float, *, seed: int = 0, bins: int = 10
) -> np.ndarray:
    """A share of the rows, 0 < share <= 1, of each class or quantile bin: at least one of each.

    With one seed, a smaller share's rows are among a larger one's.

    Args:
      ids: unique.
      target: int [n], classes; or float [n], cut into `bins` quantile bins.
      share: of the rows.
      seed: of the draw.
      bins: of float targets.

    Returns:
      Sorted row indices, int64.
    """
    if not 0 < share <= 1:
        raise InputError(f'share: expected more than 0 and at most 1, found {share}.')
    strata = _strata(ids, target, bins, seed)
    return _firsts({name: (s, max(1, int(share * len(s) + 0.5))) for name, s in strata.items()})


def of_each(
    ids: Sequence[str], target: np.ndarray, count: int, *, seed: int = 0, bins: int = 10
) -> np.ndarray:
    """`count` rows of each class or quantile bin; as `of_share`.

    Raises:
      InputError: a class has fewer.
    """
    strata = _strata(ids, target, bins, seed)
    for name, rows in strata.items():
        if not 0 < count <= len(rows):
            raise InputError(f'class {name}: expected 1..{len(rows)} rows, found {count} asked.')
    return _firsts({name: (rows, count) for name, rows in strata.items()})


def _check_rows(ids: Sequence[str], keys: Sequence[object]) -> None:
    if len(keys) != len(ids):
        raise InputError(f'split: expected a key for each of {len(ids)} ids, found {len(keys)}.')
    if len(set(ids)) != len(ids):
        raise InputError(f'ids: expected unique ones, found {len(ids) - len(set(ids))} repeated.')


def _gathered(ids: Sequence[str], keys: Sequence[object]) -> list[list[int]]:
    """Rows by key, sorted by id within and among the keys."""
    found: dict[object, list[int]] = {}
    for row in sorted(range(len(ids)), key=lambda row: ids[row]):
        found.setdefault(keys[row], []).append(row)
    return list(found.values())


def _strata(
    ids: Sequence[str], target: np.ndarray, bins: int, seed: int
) -> dict[object, list[int]]:
    """Rows of each class or bin, sorted by id, then permuted."""
    if target.ndim != 1:
        raise InputError(f'target: expected one a row, found shape {target.shape}.')
    _check_rows(ids, target.tolist())
    keys = target
    if not np.issubdtype(target.dtype, np.integer):
        if not np.isfinite(target).all():
            raise InputError('target: expected finite numbers, found others.')
        keys = np.searchsorted(np.quantile(target, np.arange(1, bins) / bins), target, 'right')
    made = {keys[rows[0]].item(): rows for rows in _gathered(ids, keys.tolist())}
    rng = np.random.default_rng(seed)
    return {key: rng.permutation(made[key]).tolist() for key in sorted(made)}


def _firsts(strata: dict[object, tuple[list[int], int]]) -> np.ndarray:
    return np.array(
        sorted(row for rows, count in strata.values() for row in rows[:count]), np.int64
    )
