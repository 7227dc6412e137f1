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
from typing import Any, NamedTuple

import numpy as np

from gair_jax.geo.place_encodings import coarser
from gair_jax.models.place_encoders import Answer, EncoderSizes, build
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import floors, place_answers, place_rows, sgd_probes
from gair_jax.transfer.place_rows import Parts, Places
from gair_jax.transfer.place_settings import PlacesConfig, check
from gair_jax.transfer.probes import Rows, Splits
from gair_jax.transfer.questions import MAIN
from gair_jax.transfer.scoring import Exam, mark

# No encoder: the commonest class or the mean, the nearest training place, and several of them.
FLOORS = ('guess', 'nearest', 'neighbours')


class Answered(NamedTuple):
    """What a run answers to test.

    answers: class int [seeds, n], or float [seeds, n, 1]; of floors one seed.
    coarseness: that val chose, of encoders that have a scale.
    val_error: of that, mean over seeds.
    """

    answers: np.ndarray
    coarseness: float = 1.0
    val_error: float = 0.0


def evaluate(settings: PlacesConfig, out: pathlib.Path) -> list[dict[str, Any]]:
    """An entry for each floor and encoder on each split.

    Args:
        settings: the table, the encoders, the splits.
        out: folder that gets `answers`, {split}-{name}.parquet of each (`place_answers`), and
            `runs`, what each run scored and answered.

    Returns:
        Entries with split, name, kind, metric, higher_is_better, score, interval, scores (all, as
        `scoring.mark` describes them), seconds, train_rows, test_rows, copies (test rows at the
        place of a training row) and, of encoders, coarseness (the one that val chose).

    Raises:
        InputError: the settings or the table cannot be used.
    """
    check(settings)
    places = place_rows.read(settings)
    drawn = {split: place_rows.parts(settings, places, split) for split in settings.splits}
    asked = [(split, name) for split in drawn for name in (*FLOORS, *settings.names())]
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
        if key not in ('table', 'target', 'encoders', 'splits')
    }
    digest = hashlib.sha256(json.dumps([name, places.classes, own], sort_keys=True).encode())
    for array in (places.lonlat, places.targets, *rows):
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
    marks = mark(exam, found.answers)
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
        **({} if name in FLOORS else {'coarseness': found.coarseness}),
    }
    return entry, found.answers


def _floor(settings: PlacesConfig, places: Places, rows: Parts, name: str) -> Answered:
    """Answers without any encoder; they know train and val."""
    known = rows.train | rows.val
    targets, every = places.targets[known], np.ones((1, int(known.sum())), bool)
    if name == 'guess':
        return Answered(floors.constant(targets, every, int(rows.test.sum())))
    here, there = places.lonlat[known], places.lonlat[rows.test]
    if name == 'nearest':
        return Answered(floors.nearest(targets, every, here, there))
    return Answered(floors.neighbours(targets, here, there, settings.neighbours)[None])


def _encoder(settings: PlacesConfig, places: Places, rows: Parts, name: str) -> Answered:
    """What an encoder trained from scratch answers at the coarseness that val likes best."""
    tried: list[tuple[float, EncoderSizes]] = []
    for factor in settings.coarseness:
        sizes = coarser(name, settings.sizes, factor)
        # An encoder without a scale is the same at every factor.
        if sizes not in [other for _, other in tried]:
            tried.append((factor, sizes))
    found = [_answered(settings, places, rows, name, *each) for each in tried]
    return min(found, key=lambda one: one.val_error)


def _answered(
    settings: PlacesConfig, places: Places, rows: Parts, name: str, factor: float,
    sizes: EncoderSizes,
) -> Answered:  # fmt: skip
    """Answers to test after a fit, and the error on val: of numbers the squared one."""
    encoder = build(name, sizes, places.lonlat[rows.train], settings.seed)
    features = encoder.encode(places.lonlat)
    asked = np.concatenate([np.flatnonzero(rows.val), np.flatnonzero(rows.test)])
    splits = Splits(
        *(
            Rows(features[part], places.targets[part], rows.groups[part])
            for part in (rows.train, rows.val, asked)
        )
    )
    fitted = sgd_probes.Fitted(functools.partial(Answer, encoder.network), standardised=False)
    subsets = np.ones((1, len(splits.train.targets)), bool)
    found = sgd_probes.predictions(splits, subsets, settings.fit, fitted=fitted, seed=settings.seed)
    count, true = len(splits.val.targets), splits.val.targets
    val = found[:, :count]
    wrong = val != true if places.classes else np.square(val - true)
    return Answered(found[:, count:], factor, float(wrong.mean()))
