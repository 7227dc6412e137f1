"""Probes of encoders, alone and joined, frozen or fine-tuned, on every task of a data set.

All features of a task are probed on the same rows, those that hold what each of them reads, so
that their scores can be compared. Beside each stand the same encoder with random parameters and
two answers that look at no image. Intervals are drawn over tiles, or over blocks of the Earth.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.models.gair import Params
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import fusion, mask_benchmark, probes, questions, sgd_probes
from gair_jax.transfer.features import Drawn, evaluated
from gair_jax.transfer.fine_tuning import Fitter
from gair_jax.transfer.fusion import Judged
from gair_jax.transfer.point_features import PointFeatures, sides_of
from gair_jax.transfer.probes import Splits
from gair_jax.transfer.questions import MAIN, Question
from gair_jax.transfer.scoring import Hits, mark, metrics_of, versus
from gair_jax.transfer.settings import TransferConfig, check
from gair_jax.transfer.tasks import RANDOM_SEED, SPLITS, Task, read_tasks

POINT_PROTOCOLS = ('linear', 'nonlinear', 'full')


class Found(NamedTuple):
    """Entries, what joined features gain over their sides (`fusion.compare`), and hits.

    `hits` has one for each entry, None but for points of classes.
    """

    entries: list[dict[str, Any]]
    fusion: list[dict[str, Any]]
    hits: list[Hits | None]


# What each side makes of the drawn rows: [sets][n, d] by side and split.
Features = dict[str, dict[str, list[np.ndarray]]]


def evaluate(settings: TransferConfig, run: Config, params: Params, cache: str) -> Found:
    """Probes a checkpoint.

    Args:
        settings: what is read and compared.
        run: config of the checkpoint.
        params: its parameters.
        cache: folder that keeps features; what is fine-tuned is kept beside it, in `fits`.

    Returns:
        An entry for each task, number of labels, protocol and features, with these names; its kind;
        train_rows; what `scoring.versus` gives; floor (the commonest class, or the mean) and
        nearest (the nearest training place; nan where a place is not known) in the main score,
        with their intervals; scores: all of trained, random_init, floor and nearest; gain_over
        where features are joined.

    Raises:
        InputError: a setting, the data set or an encoder that is asked for cannot be used.
    """
    check(settings)
    run = evaluated(dataclasses.replace(run, data=settings.data))
    store = Store(run.data)
    tasks = _tasks(settings, store)
    model = gair.build(run)
    keys = [jax.random.key(RANDOM_SEED + i) for i in range(settings.seeds)]
    sets = [params, *(model.init(key) for key in keys)]
    fitter = Fitter(settings.fit, run, sets, store, pathlib.Path(cache).parent / 'fits')
    judged = _of_points(settings, tasks, model, fitter, cache) + _of_masks(settings, tasks, fitter)
    hits = [one.hits for one in judged]
    return Found([one.entry for one in judged], fusion.compare(judged), hits)


def _of_points(
    settings: TransferConfig, tasks: Sequence[Task], model: gair.Model, fitter: Fitter, cache: str
) -> list[Judged]:
    tasks = [task for task in tasks if task.kind != 'mask']
    if not tasks:
        return []
    wanted = sorted({side for name in settings.features for side in sides_of(name)})
    if missing := [side for side in wanted if side not in fitter.sets[0]]:
        raise InputError(f'features: this checkpoint has no encoder {missing[0]!r}.')
    points = questions.read(settings, fitter.store, wanted)
    asked = [question for task in tasks for question in questions.ask(settings, task, points)]
    # Last, and kept on disk: whatever can be refused was.
    features: Features = {}
    if {'linear', 'nonlinear'} & set(settings.protocols):
        encoded = PointFeatures(model, fitter.sets, fitter.store, cache)
        features = encoded.of_all(wanted, points.drawn)
    return _judged(settings, asked, features, fitter, points.drawn)


def _of_masks(settings: TransferConfig, tasks: Sequence[Task], fitter: Fitter) -> list[Judged]:
    asked = mask_benchmark.asked(settings, tasks)
    if not asked:
        return []
    if 'rs' not in fitter.sets[0]:
        raise InputError("tasks: a mask is decoded from encoder 'rs', which this checkpoint lacks.")
    tiles = mask_benchmark.read(settings, fitter.store)
    return [mask_benchmark.judge(settings, *question, tiles, fitter) for question in asked]


def _tasks(settings: TransferConfig, store: Store) -> list[Task]:
    """The tasks asked for, of those that one of the protocols fits."""
    protocols = ', '.join(settings.protocols)
    known = {
        task.name: task
        for task in read_tasks(store.metadata)
        if task.kind in settings.kinds and set(_fitting(task, settings)) & set(settings.protocols)
    }
    if odd := [name for name in settings.tasks if name not in known]:
        raise InputError(
            f'tasks: for {protocols}, {settings.data.name} has {", ".join(known) or "none"}, found '
            f'{odd[0]!r}.'
        )
    if not known:
        raise InputError(f'tasks: {settings.data.name} has none for {protocols}.')
    chosen = [known[name] for name in settings.tasks] or list(known.values())
    for task in chosen:
        _require_metric(settings.metric or MAIN[task.kind], task)
    return chosen


def _fitting(task: Task, settings: TransferConfig) -> tuple[str, ...]:
    """The protocols that fit a task."""
    return mask_benchmark.protocols(settings) if task.kind == 'mask' else POINT_PROTOCOLS


def _require_metric(metric: str, task: Task) -> None:
    fitting = metrics_of(task.kind, len(task.classes))
    if metric not in fitting:
        raise InputError(
            f'metric: task {task.name} of kind {task.kind} has {", ".join(fitting)}, found '
            f'{metric!r}; choose tasks that have it.'
        )


def _judged(
    settings: TransferConfig, own: Sequence[Question], features: Features, fitter: Fitter,
    drawn: Mapping[str, Drawn],
) -> list[Judged]:  # fmt: skip
    asked = [
        (question, protocol, name)
        for question in own
        for protocol in settings.protocols
        for name in settings.features
        if protocol in POINT_PROTOCOLS
    ]
    found = []
    with ProgressBar('probes', len(asked)) as bar:
        for question, protocol, name in asked:
            if protocol == 'full':
                sides, exam = sides_of(name), question.exam
                answers = fitter.points(
                    question.task, exam.names, sides, question.rows, question.subsets, drawn
                )
            else:
                answers = _probed(settings, question, protocol, name, features)
            found.append(_judge(settings, question, protocol, name, answers))
            bar.update(len(found), f'{question.task.name} {name} {protocol}')
    return found


def _judge(
    settings: TransferConfig, question: Question, protocol: str, name: str,
    answers: Sequence[np.ndarray],
) -> Judged:  # fmt: skip
    exam, subsets, floor = question.exam, question.subsets, question.floors
    trained, random = (mark(exam, own) for own in answers)
    inits = settings.fit.seeds if protocol == 'full' else settings.seeds
    every = {'trained': trained, 'random_init': random, **floor}
    entry = {
        'task': question.task.name,
        'kind': question.task.kind,
        'features': name,
        'labels': question.labels,
        'protocol': protocol,
        'train_rows': int(subsets.sum(axis=1).mean()),
        **versus(exam, trained, random, inits),
        **{which: marks.value(exam.metric) for which, marks in floor.items()},
        **{f'{which}_interval': marks.interval(exam.metric) for which, marks in floor.items()},
        'scores': {which: marks.described for which, marks in every.items()},
    }
    hits = None
    if exam.kind == 'class':
        hits = Hits(question.lonlat, exam.groups, answers[0] == exam.targets)
    return Judged(entry, trained, hits)


def _seen(rows: Splits, name: str, features: Features) -> Iterator[Splits]:
    """The rows with their features, joined, of each parameter set."""
    sides = [features[side] for side in sides_of(name)]
    for i in range(len(sides[0]['train'])):
        yield rows.with_features([
            np.concatenate([side[split][i][own.features[:, 0]] for side in sides], axis=-1)
            for split, own in zip(SPLITS, rows, strict=True)
        ])  # fmt: skip


def _probed(
    settings: TransferConfig, question: Question, protocol: str, name: str, features: Features
) -> list[np.ndarray]:
    """Answers from cached features: of the trained encoders, and of all random ones."""
    answers = [
        _answers(settings, protocol, splits, question.subsets)
        for splits in _seen(question.rows, name, features)
    ]
    return [answers[0], np.concatenate(answers[1:])]


def _answers(
    settings: TransferConfig, protocol: str, splits: Splits, subsets: np.ndarray
) -> np.ndarray:
    if protocol == 'linear':
        return probes.predictions(splits, subsets)
    return sgd_probes.predictions(splits, subsets, settings.nonlinear, seed=settings.seed)
