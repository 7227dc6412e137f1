"""Location encoders on labelled places: each trained from scratch, beside what neighbours know.

A run is one encoder on one split. What it scores and answers is kept on disk under a key of rows,
settings and encoder, so that a stopped table goes on behind its last run.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.models.place_encoders import (
    Answer,
    EncoderSizes,
    Nowhere,
    PlaceEncoder,
    build,
)
from gair_jax.scores import species
from gair_jax.scores.intervals import percentiles, resampled
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import floors, place_answers, place_images, place_rows, sgd_probes
from gair_jax.transfer.place_rows import Parts, Places
from gair_jax.transfer.place_settings import PlacesConfig, check
from gair_jax.transfer.probes import Rows, Splits
from gair_jax.transfer.questions import MAIN
from gair_jax.transfer.scoring import Exam, mark

# No encoder: the commonest class or the mean, the nearest training place, and several of them.
FLOORS = ('guess', 'nearest', 'neighbours')
IMAGES = 'images'  # alone, without any place
TIE = 1e-9  # weight of how common a class is beside what neighbours say


class Answered(NamedTuple):
    """What a run puts out for test.

    outputs: float64 [seeds, n, k]: values, or weights of classes; of floors one seed.
    coarseness: those that are averaged, the best on val first; () of floors.
    """

    outputs: np.ndarray
    coarseness: tuple[float, ...] = ()


class _Fit(NamedTuple):
    """An encoder at one coarseness: `outputs` as `Answered`, for val and for test."""

    coarseness: float
    val: np.ndarray
    test: np.ndarray


def evaluate(settings: PlacesConfig, out: pathlib.Path) -> list[dict[str, Any]]:
    """An entry for each floor and encoder on each split.

    Args:
        settings: the table, the encoders, the splits.
        out: folder that gets `answers`, {split}-{name}.parquet of each (`place_answers`), and
            `runs`, what each run scored and answered.

    Returns:
        Entries with split, name, kind, metric, higher_is_better, score, interval, scores (all, as
        `scoring.mark` describes them), seconds, train_rows, test_rows, copies (test rows at the
        place of a training row); of encoders coarseness (those that val chose); of classes
        ranking (top3, top5 and MRR, each with its interval).

    Raises:
        InputError: the settings or the table cannot be used.
    """
    check(settings)
    places = place_rows.read(settings)
    drawn = {split: place_rows.parts(settings, places, split) for split in settings.splits}
    beside = (IMAGES,) if settings.images else ()
    asked = [(split, name) for split in drawn for name in (*FLOORS, *beside, *settings.names())]
    found = []
    with ProgressBar('encoders', len(asked)) as bar:
        for split, name in asked:
            found.append(_kept(settings, places, drawn[split], split, name, out))
            bar.update(len(found), f'{split} {name} {found[-1]["score"]:.3f}')
    return found


def _kept(
    settings: PlacesConfig, places: Places, rows: Parts, split: str, name: str, out: pathlib.Path
) -> dict[str, Any]:
    """What a run scored, from disk where it was run before; its answers are published."""
    path = out / 'runs' / f'{_key(settings, places, rows, name)}.json'
    answers = path.with_suffix('.parquet')
    if not (path.exists() and answers.exists()):
        entry, answered = _run(settings, places, rows, split, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        place_answers.write(place_answers.table(places, rows, answered), answers)
        part = path.with_suffix('.part')
        part.write_text(json.dumps(entry), encoding='utf-8')
        os.replace(part, path)
    place_answers.publish(answers, out / 'answers' / f'{split}-{name}.parquet')
    return json.loads(path.read_text(encoding='utf-8'))


def _key(settings: PlacesConfig, places: Places, rows: Parts, name: str) -> str:
    """Of all that a run depends on."""
    own = {
        key: value
        for key, value in dataclasses.asdict(settings).items()
        if key not in ('table', 'target', 'images', 'encoders', 'splits')
    }
    digest = hashlib.sha256(json.dumps([name, places.classes, own], sort_keys=True).encode())
    for array in (places.lonlat, places.targets, places.images, *rows):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _run(
    settings: PlacesConfig, places: Places, rows: Parts, split: str, name: str
) -> tuple[dict[str, Any], np.ndarray]:
    """What is scored, and the answers to test."""
    kind = 'class' if places.classes else 'regression'
    groups = np.unique(rows.groups[rows.test], return_inverse=True)[1]
    exam = Exam(
        kind, places.classes or (settings.target,), places.targets[rows.test], groups,
        int(groups.max()) + 1, MAIN[kind], settings.seed,
    )  # fmt: skip
    start = time.perf_counter()
    found = (_floor if name in FLOORS else _encoder)(settings, places, rows, name)
    answers = found.outputs.argmax(axis=-1) if places.classes else found.outputs
    marks = mark(exam, answers)
    entry = {
        'split': split,
        'name': name,
        'kind': kind,
        'metric': exam.metric,
        'higher_is_better': exam.higher_is_better,
        'score': marks.value(exam.metric),
        'interval': marks.interval(exam.metric),
        'scores': marks.described,
        'seconds': round(time.perf_counter() - start, 2),
        'train_rows': int(rows.train.sum()),
        'test_rows': int(rows.test.sum()),
        'copies': place_rows.copies(places, rows),
        **({'ranking': _ranking(exam, found.outputs)} if places.classes else {}),
        **({} if name in FLOORS else {'coarseness': list(found.coarseness)}),
    }
    return entry, answers


def _ranking(exam: Exam, outputs: np.ndarray) -> dict[str, Any]:
    """How high the true class ranks, means over seeds, and 95 % intervals over groups."""
    each = np.stack([species.hits(species.rank(one, exam.targets).rank) for one in outputs])
    rows = each.mean(axis=0)
    sums = np.zeros((exam.n_groups, len(species.METRICS) + 1))
    np.add.at(sums, exam.groups, np.column_stack([rows, np.ones(len(rows))]))
    drawn = resampled(sums, seed=exam.seed)
    found = {}
    for i, name in enumerate(species.METRICS):
        if name != 'top1':  # the accuracy
            ends = percentiles(drawn[:, i] / drawn[:, -1])
            found[name] = {'value': float(rows[:, i].mean()), 'interval': list(ends)}
    return found


def _floor(settings: PlacesConfig, places: Places, rows: Parts, name: str) -> Answered:
    """Answers without any encoder; they know train and val."""
    known = rows.train | rows.val
    targets = places.targets[known]
    here, there = places.lonlat[known], places.lonlat[rows.test]
    if places.classes:
        return Answered(_votes(settings, places, targets, here, there, name)[None])
    every = np.ones((1, len(targets)), bool)
    if name == 'guess':
        return Answered(floors.constant(targets, every, len(there)))
    if name == 'nearest':
        return Answered(floors.nearest(targets, every, here, there))
    return Answered(floors.neighbours(targets, here, there, settings.neighbours)[None])


def _votes(
    settings: PlacesConfig, places: Places, targets: np.ndarray, here: np.ndarray,
    there: np.ndarray, name: str,
) -> np.ndarray:  # fmt: skip
    """The weight of each class: what neighbours do not say is ranked by how common it is."""
    common = np.bincount(targets, minlength=len(places.classes)) / len(targets)
    if name == 'guess':
        return np.tile(common, (len(there), 1))
    count = 1 if name == 'nearest' else settings.neighbours
    votes = floors.votes(targets, here, there, count, len(places.classes))
    return votes / votes.sum(axis=1, keepdims=True) + TIE * common


def _encoder(settings: PlacesConfig, places: Places, rows: Parts, name: str) -> Answered:
    """What an encoder trained from scratch answers at the scales that val likes best."""
    tried: list[tuple[float, EncoderSizes]] = []
    for factor in settings.coarseness:
        sizes = settings.sizes_of(name, factor)
        # An encoder without a scale is the same at every factor.
        if sizes not in [other for _, other in tried]:
            tried.append((factor, sizes))
    fits = [_fit(settings, places, rows, name, *each) for each in tried]
    return _averaged(fits, places.targets[rows.val], settings.averaged)


def _averaged(fits: Sequence[_Fit], true: np.ndarray, most: int) -> Answered:
    """The mean of the fits that are best on val, of as many up to `most` as are best together."""
    fits = sorted(fits, key=lambda fit: _error(fit.val, true))
    together = [
        np.mean([fit.val for fit in fits[:count]], axis=0)
        for count in range(1, min(most, len(fits)) + 1)
    ]
    count = 1 + int(np.argmin([_error(outputs, true) for outputs in together]))
    test = np.mean([fit.test for fit in fits[:count]], axis=0)
    return Answered(test, tuple(fit.coarseness for fit in fits[:count]))


def _error(outputs: np.ndarray, true: np.ndarray) -> float:
    """The mean over seeds: the share of wrong answers, or the squared error of numbers."""
    wrong = np.square(outputs - true) if true.ndim > 1 else outputs.argmax(axis=-1) != true
    return float(np.mean(wrong))


def _fit(
    settings: PlacesConfig, places: Places, rows: Parts, name: str, factor: float,
    sizes: EncoderSizes,
) -> _Fit:  # fmt: skip
    """An encoder of some sizes, trained from scratch."""
    if name == IMAGES:
        encoder = PlaceEncoder(lambda x: np.empty((len(x), 0), np.float32), Nowhere())
    else:
        encoder = build(name, sizes, places.lonlat[rows.train], settings.seed)
    images = place_images.standardised(places.images, rows.train)
    features = np.concatenate([images, encoder.encode(places.lonlat)], axis=1)
    asked = np.concatenate([np.flatnonzero(rows.val), np.flatnonzero(rows.test)])
    splits = Splits(
        *(
            Rows(features[part], places.targets[part], rows.groups[part])
            for part in (rows.train, rows.val, asked)
        )
    )
    task = '' if settings.head == 'linear' else settings.head
    answer = functools.partial(Answer, encoder.network, images=images.shape[1], task=task)
    fitted = sgd_probes.Fitted(answer, standardised=False)
    found = sgd_probes.outputs(splits, settings.fit, fitted=fitted, seed=settings.seed)
    count = int(rows.val.sum())
    return _Fit(factor, found[:, :count], found[:, count:])
