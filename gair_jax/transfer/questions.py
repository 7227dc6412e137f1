"""What a benchmark asks of points: tasks, with few labels or all, on rows drawn once for all."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.geo.blocks import spatial_blocks
from gair_jax.input.store import Store
from gair_jax.transfer import few_labels, floors
from gair_jax.transfer.features import Drawn, draw
from gair_jax.transfer.point_features import seen_by
from gair_jax.transfer.probes import Splits
from gair_jax.transfer.scoring import Exam, Marks, mark, unknown
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.tasks import SPLITS, Task, label_splits

MAIN = {'class': 'accuracy', 'regression': 'R2', 'mask': 'mIoU'}


class Points(NamedTuple):
    """The drawn rows of each split, and what those of test hang together by, numbered from 0."""

    drawn: dict[str, Drawn]
    groups: np.ndarray


class Question(NamedTuple):
    """A task with few labels or all: rows whose features are their positions among those drawn.

    `floors` holds what answers score that look at no image; `lonlat` the places of the test rows.
    """

    task: Task
    labels: str
    rows: Splits
    subsets: np.ndarray
    exam: Exam
    floors: dict[str, Marks]
    lonlat: np.ndarray


def read(settings: TransferConfig, store: Store, sides: Sequence[str]) -> Points:
    """Rows of every split that hold what the sides read.

    Raises:
        InputError: a split is not there, or none of its rows does.
    """
    if missing := [split for split in SPLITS if split not in store.splits]:
        raise InputError(f'the data set has no split {missing[0]!r}.')
    usable, drawn = seen_by(sides), {}
    for split in SPLITS:
        most = getattr(settings, f'{split}_rows') or store.splits[split]
        found = draw(store, split, most, seed=settings.seed)
        drawn[split] = found.take([i for i, photo in enumerate(found.photos) if usable(photo)])
        if not drawn[split].photos:
            raise InputError(f'split {split}: no row holds all that {"+".join(sides)} reads.')
    return Points(drawn, groups_of(drawn['test'], settings.block_km))


def groups_of(test: Drawn, block_km: float) -> np.ndarray:
    """Blocks of the Earth of a side in km, or with 0 tiles."""
    if block_km > 0:
        return spatial_blocks(test.lonlat, block_km)
    return np.unique(test.tile, return_inverse=True)[1]


def ask(settings: TransferConfig, task: Task, points: Points) -> Iterator[Question]:
    """A question for each number of labels; InputError where the labels cannot be used."""
    positions = {s: np.arange(len(points.drawn[s].photos))[None, :, None] for s in SPLITS}
    rows = label_splits(task, points.drawn, positions)[0]
    exam = _exam(settings, task, rows, points)
    for labels in few_labels.asked(settings):
        subsets = labels.subsets(rows.train.targets, settings.seeds, settings.seed)
        found = _floors(exam, rows, subsets, points)
        lonlat = points.drawn['test'].lonlat[rows.test.features[:, 0]]
        yield Question(task, labels.name, rows, subsets, exam, found, lonlat)


def _exam(settings: TransferConfig, task: Task, rows: Splits, points: Points) -> Exam:
    targets = rows.test.targets
    names = _names(task, rows)
    if task.kind == 'class':
        for split, own in zip(SPLITS, rows, strict=True):
            if (most := own.targets.max()) >= len(names):
                raise InputError(
                    f'task {task.name}, split {split}: expected classes 0 to {len(names) - 1}, '
                    f'found {most}.'
                )
    metric = settings.metric or MAIN[task.kind]
    groups = points.groups[rows.test.features[:, 0]]
    count = int(points.groups.max()) + 1
    return Exam(task.kind, names, targets, groups, count, metric, settings.seed)


def _names(task: Task, rows: Splits) -> tuple[str, ...]:
    """Names of classes or targets; where the data set gives none, numbers or that of the task."""
    if task.kind == 'class':
        count = 1 + max(int(own.targets.max()) for own in rows)
        return task.classes or tuple(str(i) for i in range(count))
    count = rows.test.targets.shape[1]
    if len(task.classes) == count:
        return task.classes
    return (task.name,) if count == 1 else tuple(str(i) for i in range(count))


def _floors(exam: Exam, rows: Splits, subsets: np.ndarray, points: Points) -> dict[str, Marks]:
    train, _, test = rows
    places, lonlat = (
        points.drawn[split].lonlat[own.features[:, 0]]
        for split, own in (('train', train), ('test', test))
    )
    found = {'floor': mark(exam, floors.constant(train.targets, subsets, len(lonlat)))}
    if not np.isfinite(np.concatenate([places, lonlat])).all():
        return {**found, 'nearest': unknown(exam)}
    answers = floors.nearest(train.targets, subsets, places, lonlat)
    return {**found, 'nearest': mark(exam, answers)}
