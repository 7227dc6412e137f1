"""Photos weighed by where they were taken: every prior beside the photos alone.

A prior is trained or counted on the places of training rows alone; the score of a class is
P(class | photo) x P(class | place). Where there are no photos' scores the prior answers by itself,
beside class frequency. What a prior ranks is kept on disk under a key of rows, settings and name,
so that a benchmark that was stopped goes on behind its last prior.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from gair_jax.config import InputError
from gair_jax.models.place_encoders import PlacePrior, build
from gair_jax.scores.intervals import percentiles, resampled
from gair_jax.scores.species import METRICS, Ranked, combine, hits, rank
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import (
    counted_priors,
    photo_scores,
    presence_fit,
    species_layouts,
    species_rows,
    species_table,
)
from gair_jax.transfer.photo_scores import PhotoScores
from gair_jax.transfer.species_rows import Observations, Species
from gair_jax.transfer.species_settings import COUNTED, SpeciesConfig, check

NONE = 'none'
# Scores that are held dense at a time: bounds memory whatever the number of classes.
HELD = 1 << 22

Prior = Callable[[np.ndarray], np.ndarray]
Told = Callable[[int, str], None]


class Question(NamedTuple):
    """Rows whose true class is to be ranked, and what their photos say, if anything."""

    rows: Observations
    photo: PhotoScores | None


class Data(NamedTuple):
    """The data set, and the questions that choose and that are scored."""

    species: Species
    val: Question
    test: Question

    @property
    def reference(self) -> str:
        """What every prior is compared with."""
        return NONE if self.test.photo else 'frequency'


class Made(NamedTuple):
    """A prior: degrees [b, 2] to probabilities [b, C], and what is told of its making."""

    prior: Prior
    told: dict[str, Any]


def load(settings: SpeciesConfig) -> Data:
    """The rows and the photos' scores, checked.

    Raises:
      InputError: the settings or a file cannot be used.
    """
    check(settings)
    if settings.layout == 'table':
        read = species_table.read(settings.table, settings.predictions, settings.class_names)
    else:
        folder = pathlib.Path(settings.folder)
        read = species_layouts.read(settings.layout, folder, settings.meta)
    if settings.fit.users and not read.users:
        where = settings.table or settings.folder
        raise InputError(f'fit.users: expected rows with users, found none in {where}.')
    classes = len(read.classes)
    path = pathlib.Path(settings.predictions) if settings.predictions else read.predictions
    test = photo_scores.read(path, len(read.test.label), classes) if path else None
    val = None
    if settings.val_predictions:
        if not len(read.val.label):
            raise InputError('val_predictions: expected a split val, found none; leave it empty.')
        path = pathlib.Path(settings.val_predictions)
        val = photo_scores.read(path, len(read.val.label), classes)
    return _questions(species_rows.with_val(read, settings.val_share, settings.seed), val, test)


def _questions(species: Species, val: PhotoScores | None, test: PhotoScores | None) -> Data:
    """Rows without a place are no question where there is no photo either."""
    if not test:
        species = species._replace(test=species.test.at(np.flatnonzero(species.test.placed)))
        if not len(species.test.label):
            raise InputError('predictions: expected photos or test rows with a place, found none.')
    if not val:
        species = species._replace(val=species.val.at(np.flatnonzero(species.val.placed)))
    return Data(species, Question(species.val, val), Question(species.test, test))


def evaluate(settings: SpeciesConfig, data: Data, folder: pathlib.Path) -> list[dict[str, Any]]:
    """An entry for each prior, the reference first.

    Args:
      settings: which priors, and how.
      data: what `load` gave.
      folder: keeps the ranks of each prior.

    Returns:
      Entries with name, kind (none, counted, network), reference; scores and gain: of each of
      `METRICS` its value and 95 % interval, the gain paired with the reference; train_rows,
      val_rows, test_rows, placed_rows; seconds; ranks, the file; of networks rate, epoch and val.
    """
    first = (NONE,) if data.test.photo else ('frequency',)
    names = list(dict.fromkeys((*first, *settings.counted, *settings.names())))
    groups = species_rows.blocks(data.test.rows, settings.block_degrees)
    found: list[dict[str, Any]] = []
    entries = []
    per_run = len(settings.fit.rates) * settings.fit.epochs
    with ProgressBar('priors', len(names) * per_run) as bar:
        for i, name in enumerate(names):
            told = functools.partial(_shown, bar, i * per_run, name)
            found.append(_kept(settings, data, name, folder, told))
            entries.append(_entry(settings, data, found[0], found[-1], groups))
            bar.update(
                (i + 1) * per_run, f'{name} top1 {entries[-1]["scores"]["top1"]["value"]:.3f}'
            )
    return entries


def _shown(bar: ProgressBar, before: int, name: str, done: int, note: str) -> None:
    bar.update(before + done, f'{name} {note}')


def _kept(
    settings: SpeciesConfig, data: Data, name: str, folder: pathlib.Path, told: Told
) -> dict[str, Any]:
    """What a prior ranked, from disk where it was run before; `told` hears of training."""
    path = folder / f'{_key(settings, data, name)}.json'
    ranks = path.with_suffix('.parquet')
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        made = _made(settings, data, name, told)
        table = _table(data.test, ranked(data.test, made.prior))
        _replaced(ranks, lambda part: table.to_parquet(part, index=False))
        run = {'name': name, **made.told, 'seconds': round(time.perf_counter() - start, 2)}
        _replaced(path, lambda part: part.write_text(json.dumps(run), encoding='utf-8'))
    return {**json.loads(path.read_text(encoding='utf-8')), 'ranks': str(ranks)}


def _replaced(path: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
    part = path.with_name(f'{path.name}.part')
    write(part)
    os.replace(part, path)


def _key(settings: SpeciesConfig, data: Data, name: str) -> str:
    """Of all that the ranks of a prior depend on."""
    counted = {'counts': dataclasses.asdict(settings.counts)}
    network = {part: dataclasses.asdict(getattr(settings, part)) for part in ('sizes', 'fit')}
    own = {} if name == NONE else counted if name in COUNTED else network
    photos = [q.photo.digest if q.photo else '' for q in (data.val, data.test)]
    told = [name, own, settings.seed, data.species.classes, photos]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for rows in (data.species.train, data.val.rows, data.test.rows):
        for array in rows:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]


def _made(settings: SpeciesConfig, data: Data, name: str, told: Told) -> Made:
    train, classes = data.species.train, len(data.species.classes)
    if name == NONE:
        return Made(lambda places: np.ones((len(places), classes)), {'kind': NONE})
    if name in COUNTED:
        prior = counted_priors.build(name, settings.counts, train.lonlat, train.label, classes)
        return Made(prior, {'kind': 'counted'})
    return _network(settings, data, name, told)


def _network(settings: SpeciesConfig, data: Data, name: str, told: Told) -> Made:
    """A network that is trained; its encodings are computed once, on the host."""
    train, fit, seed = data.species.train, settings.fit, settings.seed
    encoder = build(name, settings.sizes, train.lonlat, seed, fit.dropout)
    users = data.species.users if fit.users else 0
    away = presence_fit.random_places(fit.background, fit.background_places, seed)
    rows = presence_fit.Rows(
        jnp.asarray(encoder.encode(train.lonlat)),
        jnp.asarray(train.label, jnp.int32),
        jnp.asarray(train.user, jnp.int32),
        jnp.asarray(encoder.encode(away)),
    )

    def score(answer: Prior) -> float:
        return ranked(data.val, lambda x: answer(encoder.encode(x))).mean_reciprocal_rank

    network = PlacePrior(encoder.network, len(data.species.classes), users)
    found = presence_fit.fit(network, rows, fit, score, seed, told)
    chosen = {'rate': found.rate, 'epoch': found.epoch, 'val': found.value}
    return Made(lambda x: found.answer(encoder.encode(x)), {'kind': 'network', **chosen})


def ranked(question: Question, prior: Prior) -> Ranked:
    """The true class of every row by photo x place, or by the place alone where there is no photo.

    Blocks of equal size, the last filled up with a place that does not count, so that what is
    compiled serves all.
    """
    rows = question.rows
    placed, places = rows.placed, np.nan_to_num(rows.lonlat)
    count, found = len(rows.label), []
    classes = prior(places[:1]).shape[1]
    block = min(max(1, HELD // classes), count)
    for start in range(0, count, block):
        at = np.arange(start, min(start + block, count))
        filled = np.pad(places[at], ((0, block - len(at)), (0, 0)))
        place = prior(filled)[: len(at)]
        photo = question.photo.rows(at) if question.photo else np.ones(place.shape)
        found.append(rank(combine(photo, place, placed[at]), rows.label[at]))
    return Ranked(*(np.concatenate(values) for values in zip(*found, strict=True)))


def _table(question: Question, found: Ranked) -> pd.DataFrame:
    lon, lat = question.rows.lonlat.T
    return pd.DataFrame(
        {
            'lon': lon,
            'lat': lat,
            'true_class_prob': found.true_score,
            'rank': found.rank,
            'right': found.rank == 1,
        }
    )


def _entry(
    settings: SpeciesConfig, data: Data, reference: dict[str, Any], run: dict[str, Any],
    groups: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    both = [hits(_ranks(entry)) for entry in (run, reference)]
    test = data.test.rows
    return {
        **run,
        'reference': reference['name'],
        'scores': _scores(both[0], groups, settings.seed),
        'gain': _scores(both[0] - both[1], groups, settings.seed),
        'train_rows': len(data.species.train.label),
        'val_rows': len(data.val.rows.label),
        'test_rows': len(test.label),
        'placed_rows': int(test.placed.sum()),
    }


def _ranks(run: dict[str, Any]) -> np.ndarray:
    return pd.read_parquet(run['ranks'], columns=['rank'])['rank'].to_numpy(np.int64)


def _scores(each: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    """Means of rows [n, k], with 95 % intervals over groups; one seed pairs all that is asked."""
    tallies = np.zeros((int(groups.max()) + 1, len(METRICS) + 1))
    np.add.at(tallies, groups, np.column_stack([each, np.ones(len(each))]))
    drawn = resampled(tallies, seed=seed)
    means, draws = each.mean(axis=0), drawn[:, :-1] / drawn[:, -1:]
    return {
        name: {'value': float(means[i]), 'interval': list(percentiles(draws[:, i]))}
        for i, name in enumerate(METRICS)
    }
