"""Which rows are fitted, which choose, and which are scored: every rule is a seed and a sort.

Rows are named by unique ids, and all but `burn_scars` depend on the ids and not on the order of
rows. A table that is shuffled or read anew gives the same split, and `fingerprint` proves it.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.scores.intervals import spatial_blocks

SHARES = (0.6, 0.2)  # of train and of val (GAIR, section 5.1); test has the rest


class Split(NamedTuple):
    """Row indices, int64."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def burn_scars(n: int, *, share: float = 0.1, seed: int = 23) -> tuple[np.ndarray, np.ndarray]:
    """PANGAEA-Bench's train and val of the n sorted training files of HLS Burn Scars.

    The first ceil(share n) of a permutation by the legacy MT19937 generator are val, the rest are
    train, both in permuted order.
    """
    order = np.random.RandomState(seed).permutation(n).astype(np.int64)
    held = math.ceil(share * n)
    return order[held:], order[:held]


def per_block(ids: Sequence[str], lonlat: np.ndarray, *, km: float, seed: int = 0) -> Split:
    """60 / 20 / 20 of the rows, nearly, in whole cells of a grid of about `km` (lonlat in degrees).

    No cell is in two parts, so that near rows are not both fitted and scored, but at cells' edges.
    """
    _check_rows(ids, lonlat.tolist())
    units = _gathered(ids, spatial_blocks(lonlat, km).tolist())
    parts = _allot(units, np.random.default_rng(seed))
    return Split(*(np.array(sorted(part), np.int64) for part in parts))


def few_shot_share(
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


def few_shot_count(
    ids: Sequence[str], target: np.ndarray, count: int, *, seed: int = 0, bins: int = 10
) -> np.ndarray:
    """`count` rows of each class or quantile bin; as `few_shot_share`.

    Raises:
      InputError: a class has fewer.
    """
    strata = _strata(ids, target, bins, seed)
    for name, rows in strata.items():
        if not 0 < count <= len(rows):
            raise InputError(f'class {name}: expected 1..{len(rows)} rows, found {count} asked.')
    return _firsts({name: (rows, count) for name, rows in strata.items()})


def fingerprint(parts: dict[str, np.ndarray], ids: Sequence[str]) -> str:
    """SHA-256, in hexadecimal, over each part's name and the ids of its rows, sorted."""
    named = {name: sorted(str(ids[row]) for row in rows) for name, rows in parts.items()}
    text = json.dumps(named, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


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


def _allot(units: list[list[int]], rng: np.random.Generator) -> list[list[int]]:
    """The rows of whole units, permuted, for train, val and test.

    A unit goes where the middle of its rows falls, which for units of one row is an exact cut.
    """
    n = sum(len(unit) for unit in units)
    train, val = (int(share * n + 0.5) for share in SHARES)
    cuts = (train, train + val)
    parts: list[list[int]] = [[], [], []]
    before = 0
    for at in rng.permutation(len(units)):
        middle = before + len(units[at]) / 2
        parts[sum(middle > cut for cut in cuts)] += units[at]
        before += len(units[at])
    return parts


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
