"""Linear probes of frozen encoders, alone and joined, on every labelled task of a data set.

All features of a task are probed on the same rows, those that hold what each of them reads, so
that their scores can be compared. Beside each stand the same encoder with random parameters and an
answer that ignores its input.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.models.gair import Params
from gair_jax.transfer.features import Drawn, draw, evaluated
from gair_jax.transfer.point_features import PointFeatures, seen_by, sides_of
from gair_jax.transfer.probes import Splits, compare
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.splits import few_shot_share
from gair_jax.transfer.tasks import RANDOM_SEED, SPLITS, Task, label_splits, read_tasks

PROTOCOL = 'linear'


class _Read(NamedTuple):
    """Rows of each split, and what each side makes of them: [sets][n, d] by side and split."""

    drawn: dict[str, Drawn]
    features: dict[str, dict[str, list[np.ndarray]]]


def evaluate(
    settings: TransferConfig, run: Config, params: Params, cache: str
) -> list[dict[str, Any]]:
    """Probes a checkpoint.

    Args:
        settings: what is read and compared.
        run: config of the checkpoint.
        params: its parameters.
        cache: folder that keeps features.

    Returns:
        An entry for each task, features and share: task, features, share, protocol, and what
        `probes.compare` gives.

    Raises:
        InputError: a setting, the data set or an encoder that is asked for cannot be used.
    """
    _require_ranges(settings)
    run = evaluated(dataclasses.replace(run, data=settings.data))
    store = Store(run.data)
    tasks = _tasks(settings, store)
    wanted = sorted({side for name in settings.features for side in sides_of(name)})
    if missing := [side for side in wanted if side not in params]:
        raise InputError(f'features: this checkpoint has no encoder {missing[0]!r}.')
    model = gair.build(run)
    keys = [jax.random.key(RANDOM_SEED + i) for i in range(settings.seeds)]
    sets = [params, *(model.init(key) for key in keys)]
    read = _read(settings, PointFeatures(model, sets, store, cache), store, wanted)
    return [
        _entry(settings, task, name, share, read)
        for task in tasks
        for name in settings.features
        for share in settings.shares
    ]


def _require_ranges(settings: TransferConfig) -> None:
    if settings.seeds < 1:
        raise InputError(f'seeds: expected 1 or more, found {settings.seeds}.')
    if wrong := [share for share in settings.shares if not 0 < share <= 1]:
        raise InputError(f'shares: expected more than 0 and at most 1, found {wrong[0]}.')
    if not settings.features or not settings.shares:
        raise InputError('features and shares: expected at least one of each.')


def _tasks(settings: TransferConfig, store: Store) -> list[Task]:
    """The tasks asked for, of those that say one thing of a photo's point."""
    known = {t.name: t for t in read_tasks(store.metadata) if t.kind != 'mask'}
    if odd := [name for name in settings.tasks if name not in known]:
        raise InputError(
            f'tasks: {settings.data.name} has {", ".join(known) or "none"} with a label a point, '
            f'found {odd[0]!r}.'
        )
    if not known:
        raise InputError(f'tasks: {settings.data.name} has none with a label a point.')
    return [known[name] for name in settings.tasks] or list(known.values())


def _read(
    settings: TransferConfig, points: PointFeatures, store: Store, sides: Sequence[str]
) -> _Read:
    if missing := [split for split in SPLITS if split not in store.splits]:
        raise InputError(f'the data set has no split {missing[0]!r}.')
    usable, drawn = seen_by(sides), {}
    for split in SPLITS:
        most = getattr(settings, f'{split}_rows') or store.splits[split]
        found = draw(store, split, most, seed=settings.seed)
        drawn[split] = found.take([i for i, photo in enumerate(found.photos) if usable(photo)])
        if not drawn[split].photos:
            raise InputError(f'split {split}: no row holds all that {"+".join(sides)} reads.')
    return _Read(drawn, {s: {split: points.of(s, drawn[split]) for split in SPLITS} for s in sides})


def _entry(
    settings: TransferConfig, task: Task, name: str, share: float, read: _Read
) -> dict[str, Any]:
    joined = {
        split: np.stack([
            np.concatenate(parts, axis=-1)
            for parts in zip(*(read.features[side][split] for side in sides_of(name)), strict=True)
        ])
        for split in SPLITS
    }  # fmt: skip
    trained, *random = label_splits(task, read.drawn, joined)
    subsets = _subsets(settings, share, trained)
    found = compare(trained, random, subsets=subsets, seed=settings.seed)
    about = {'task': task.name, 'features': name, 'share': share, 'protocol': PROTOCOL}
    return {**about, 'train_rows': int(subsets.sum(axis=1).mean()), **found}


def _subsets(settings: TransferConfig, share: float, splits: Splits) -> np.ndarray:
    """Training rows of each draw of a share, bool [s, n]; all rows need one draw only."""
    targets = splits.train.targets
    kept = np.zeros((1 if share == 1 else settings.seeds, len(targets)), bool)
    # Several numbers a row have no bins in common: those rows are one stratum.
    strata = targets if targets.ndim == 1 else np.zeros(len(targets), np.int64)
    ids = [f'{row:09d}' for row in range(len(targets))]
    for i, draw_of in enumerate(kept):
        draw_of[few_shot_share(ids, strata, share, seed=settings.seed + i)] = True
    return kept
