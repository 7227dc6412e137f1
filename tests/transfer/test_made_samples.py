"""The made samples of the street view benchmark, from raw files to scores, by the command line."""

import json
import math
import pathlib

import numpy as np
import pytest

from gair_jax import cli
from tests.builders import made, scenes
from tests.builders import test_street_views as street_views
from tests.models import small
from tests.serve.conftest import saved
from tests.transfer.labelled import drawn_by_rule

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPLITS = ('train', 'val', 'test')
PLATFORMS = [
    'walking surface', 'driving surface', 'cycling surface', 'railway', 'fields', 'tunnel',
]  # fmt: skip


def write_placed(root):
    """The sample of indicators with a place for each photo."""
    street_views.write_indicators(root)
    for row in range(10):
        for column, value in (('lon', -118 - row / 50), ('lat', 34)):
            street_views.change(root / 'images.csv', column, value, row)


def write_labelled(root):
    """Nine photos of three classes in turn, in given splits; the first class is last in the list.

    A number of each photo is missing in one row of every split.
    """
    rows = scenes.write_set(root, tiles=9, photos=1)
    splits = ['train'] * 4 + ['val'] * 2 + ['test'] * 3
    for number, (row, split) in enumerate(zip(rows, splits, strict=True)):
        row.update(use='cab'[number % 3], split=split, tile='')
        row['height'] = '' if number in (0, 4, 8) else number
    scenes.write_table(root / 'own.csv', rows)


STREETSCAPES = ('global_streetscapes', '--source={0}', '--images={0}/img')
LABELLED = ('labelled', '--source={0}/own.csv')
# How raw files are written, and what builds them.
SAMPLES = {
    'perception': (street_views.write_perception, (*STREETSCAPES, '--labels=perception')),
    'labels': (street_views.write_manual, (*STREETSCAPES, '--labels=manual')),
    'indicators': (street_views.write_indicators, ('indicators', '--source={0}')),
    'placed indicators': (write_placed, ('indicators', '--source={0}')),
    'classes': (write_labelled, (*LABELLED, '--target=use', '--classes=c,b,a')),
    'numbers': (write_labelled, (*LABELLED, '--target=height', '--kind=regression')),
}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint of the street view encoder alone, 16 wide."""
    config = small.config()
    config.model.rs.enabled = config.model.location.enabled = False
    return saved(config, tmp_path_factory.mktemp('tiny') / 'checkpoint')


@pytest.fixture(scope='module', autouse=True)
def by_rule(checkpoint):
    with drawn_by_rule():  # after the checkpoint, whose shapes come from the true initialisation
        yield


@pytest.fixture
def probed(checkpoint, tmp_path):
    """Builds a sample and probes it: its store, and what results.json says of each task."""

    def run(sample):
        write, build = SAMPLES[sample]
        write(tmp_path)
        prepared, name = tmp_path / 'prepared', build[0]
        raw = (option.format(tmp_path) for option in build)
        assert cli.main(['data', 'build', *raw, f'--data-dir={prepared}']) == 0
        data = {'dir': prepared, 'name': name, 'variant': 'default'}
        command = [
            'transfer',
            f'--config={ROOT}/configs/transfer/linear.py',
            f'--checkpoint={checkpoint}',
            f'--out={tmp_path}/out',
            "--config.features=('sv',)",
            '--config.seeds=1',
            *(f'--config.data.{field}={value}' for field, value in data.items()),
        ]
        assert cli.main(command) == 0
        results = json.loads((tmp_path / 'out/results.json').read_text())['results']
        return made.opened(prepared, name), {entry['task']: entry for entry in results}

    return run


def numbers(value):
    """Every number in JSON values; None, which stands for nan, is nan."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for item in inner for number in numbers(item)]
    return [] if isinstance(value, str) else [math.nan if value is None else value]


def known(store, task):
    """Rows of each split that hold a label of a task."""
    found = [np.array([photo.labels[task] for photo in store.photos(split)]) for split in SPLITS]
    return [int(np.sum(v >= 0 if v.dtype.kind == 'i' else np.isfinite(v))) for v in found]


def check(store, entries, task):
    """That all rows with a label were used, and all scores are numbers."""
    check_rows(store, entries, task)
    assert np.isfinite(numbers(entries[task])).all(), entries[task]


def check_rows(store, entries, task):
    train, val, test = known(store, task)
    assert min(train, val, test) > 0
    assert (entries[task]['train_rows'], entries[task]['test_rows']) == (train, test)


def test_perception(probed):
    """Two cities of 5 and 7 photos: 3 + 4, 1 + 1 and 1 + 2."""
    store, entries = probed('perception')
    assert store.splits == {'train': 7, 'val': 2, 'test': 3} and list(entries) == ['perception']
    entry = entries['perception']
    assert (entry['kind'], entry['train_rows'], entry['test_rows']) == ('regression', 7, 3)
    names = ['beautiful', 'boring', 'depressing', 'lively', 'safe', 'wealthy']
    for scores in entry['scores'].values():
        assert list(scores['each']) == names
    assert np.isfinite(numbers(entry)).all()


@pytest.mark.slow
def test_labels(probed):
    """Twelve photos: 2 of the official test, a quarter of train in each city (1 + 1) for val."""
    store, entries = probed('labels')
    assert store.splits == {'train': 8, 'val': 2, 'test': 2}
    assert list(entries) == ['platform', 'view_direction']
    # The order is fixed, though tunnel comes before walking surface in the tables, and side is
    # absent in test.
    for task, names in (('platform', PLATFORMS), ('view_direction', ['front/back', 'side'])):
        check(store, entries, task)
        assert all(list(scores['f1']) == names for scores in entries[task]['scores'].values())
    # The tables leave every fourth platform empty.
    assert sum(known(store, 'platform')) == 10 and sum(known(store, 'view_direction')) == 12


def test_indicators(probed):
    """The list of photos has no lon and lat: there is no nearest place, and all else is known."""
    store, entries = probed('indicators')
    check_rows(store, entries, 'sky')
    entry = entries['sky']
    assert entry['nearest'] is None and entry['nearest_interval'] == [None, None]
    assert np.isfinite([entry[name] for name in ('trained', 'random_init', 'floor')]).all()


def test_indicators_of_known_places(probed):
    """A city of 10: 6, 2 and 2; incomes of a block group in three are nan, and left out."""
    store, entries = probed('placed indicators')
    assert store.splits == {'train': 6, 'val': 2, 'test': 2}
    assert list(entries) == ['logincome', 'sky']
    assert sum(known(store, 'logincome')) == 6 and known(store, 'sky') == [6, 2, 2]
    check(store, entries, 'sky')
    check_rows(store, entries, 'logincome')
    for task, entry in entries.items():
        assert list(entry['scores']['trained']['each']) == [task]
    # One known income is left in test, and one value has no variance for R2 to explain.
    scores = entries['logincome']['scores']['trained']
    assert known(store, 'logincome')[2] == 1 and scores['R2'] is None
    assert np.isfinite([scores['RMSE'], scores['MAE']]).all()


@pytest.mark.slow
def test_classes_of_ones_own(probed):
    store, entries = probed('classes')
    assert store.splits == {'train': 4, 'val': 2, 'test': 3} and list(entries) == ['use']
    check(store, entries, 'use')
    assert list(entries['use']['scores']['trained']['f1']) == ['c', 'b', 'a']


def test_numbers_of_ones_own(probed):
    store, entries = probed('numbers')
    assert known(store, 'height') == [3, 1, 2] and list(entries) == ['height']
    check(store, entries, 'height')
