"""Encoders of places on a table: what is read, split, fitted, scored and kept."""

import dataclasses
import io
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.geo import place_encodings
from gair_jax.models import place_encoders
from gair_jax.models.place_encoders import EncoderSizes
from gair_jax.report import places as report
from gair_jax.transfer import floors, place_answers, place_benchmark, place_images, place_rows
from gair_jax.transfer.place_settings import FitConfig, PlacesConfig
from gair_jax.transfer.scoring import Exam

CONFIG = pathlib.Path(__file__).resolve().parents[2] / 'configs/places/table.py'


def frame(count=300, seed=0):
    """A smooth number and a class of places within Europe."""
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-10, 30, count), rng.uniform(35, 60, count)
    value = np.sin(lon / 6) + np.cos(lat / 4)
    kind = np.where(value > 0.5, 'warm', np.where(value > -0.5, 'mild', 'cold'))
    return pd.DataFrame({'lon': lon, 'lat': lat, 'value': value, 'kind': kind})


@pytest.fixture
def table(tmp_path):
    frame().to_csv(tmp_path / 'places.csv', index=False)
    return tmp_path / 'places.csv'


def settings(table, **changed):
    made = PlacesConfig(table=str(table), target='value', encoders=('grid', 'tile'))
    made.fit = FitConfig(rates=(1e-2,), batch=100, epochs=40)
    made.sizes = EncoderSizes(width=16, hidden=(32,), frequencies=8, min_radius=3.0)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def r2(answers):
    error = answers['label'] - answers['answer']
    return 1 - (error**2).sum() / ((answers['label'] - answers['label'].mean()) ** 2).sum()


def check_answers(entry, out, columns):
    """The file of a run's answers has its own score."""
    kept = pd.read_parquet(out / f'answers/{entry["split"]}-{entry["name"]}.parquet')
    assert list(kept) == columns and len(kept) == entry['test_rows']
    score = kept['right'].mean() if 'right' in kept else r2(kept)
    assert score == pytest.approx(entry['score'], abs=1e-9)
    return kept


def test_a_smooth_number_is_learnt_and_floors_stand_beside_it(table, tmp_path):
    found = place_benchmark.evaluate(settings(table), tmp_path)
    names = [(entry['split'], entry['name']) for entry in found]
    every = ('guess', 'nearest', 'neighbours', 'grid', 'tile')
    assert names == [(split, name) for split in ('random', 'blocks') for name in every]
    scores = dict(zip(names, (entry['score'] for entry in found), strict=True))
    assert scores['random', 'grid'] > 0.8 > 0.01 > scores['random', 'guess']
    assert scores['random', 'nearest'] > 0.9
    for entry in found:
        low, high = entry['interval']
        assert low <= entry['score'] <= high
        assert entry['test_rows'] == pytest.approx(60, abs=15)
        check_answers(entry, tmp_path, ['lon', 'lat', 'label', 'answer'])


def test_classes_are_told_from_text(table, tmp_path):
    made = settings(table, target='kind', splits=('random',), encoders=('grid',))
    found = {e['name']: e for e in place_benchmark.evaluate(made, tmp_path)}
    assert found['grid']['metric'] == 'accuracy'
    assert found['grid']['score'] > found['guess']['score'] + 0.2
    assert set(found['grid']['scores']['f1']) == {'cold', 'mild', 'warm'}
    true = set(zip(*frame()[['lon', 'lat', 'kind']].to_numpy().T, strict=True))
    for entry in found.values():
        kept = check_answers(entry, tmp_path, ['lon', 'lat', 'label', 'answer', 'right'])
        np.testing.assert_array_equal(kept['right'], kept['label'] == kept['answer'])
        assert set(zip(kept['lon'], kept['lat'], kept['label'], strict=True)) < true


def test_of_several_seeds_numbers_are_averaged_and_classes_the_first():
    at, one = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([False, True])
    rows, none = place_rows.Parts(~one, ~one, one, np.arange(2)), np.empty((2, 0))
    numbers = place_rows.Places(at, np.array([[5.0], [6.0]]), (), np.full(2, ''), none)
    kept = place_answers.table(numbers, rows, np.array([[[1.0]], [[4.0]]])).to_pylist()
    assert kept == [{'lon': 3.0, 'lat': 4.0, 'label': 6.0, 'answer': 2.5}]
    classes = place_rows.Places(at, np.array([0, 1]), ('oak', 'fir'), np.full(2, ''), none)
    kept = place_answers.table(classes, rows, np.array([[0], [1], [1]])).to_pylist()
    assert kept == [{'lon': 3.0, 'lat': 4.0, 'label': 'fir', 'answer': 'oak', 'right': False}]


def test_a_run_whose_answers_are_gone_is_computed_again(table, tmp_path, monkeypatch):
    made, seen = settings(table, splits=('random',)), []
    run = place_benchmark._run
    monkeypatch.setattr(place_benchmark, '_run', lambda *a: seen.append(a[-1]) or run(*a))
    monkeypatch.setattr(place_benchmark, 'FLOORS', ('guess',))
    monkeypatch.setattr(PlacesConfig, 'names', lambda self: ())
    place_benchmark.evaluate(made, tmp_path)
    shown, (kept,) = (
        tmp_path / 'answers/random-guess.parquet',
        (tmp_path / 'runs').glob('*.parquet'),
    )
    answers = shown.read_bytes()
    shown.unlink()
    place_benchmark.evaluate(made, tmp_path)
    assert seen == ['guess'] and shown.read_bytes() == answers
    kept.unlink()
    place_benchmark.evaluate(made, tmp_path)
    assert seen == ['guess'] * 2 and kept.exists()


@pytest.mark.slow
def test_a_table_goes_on_behind_its_last_run(table, tmp_path, monkeypatch):
    made = settings(table, splits=('random',))
    run, seen = place_benchmark._run, []

    def counted(settings, places, rows, split, name):
        seen.append(name)
        if name == 'tile' and seen.count('tile') == 1:
            raise KeyboardInterrupt
        return run(settings, places, rows, split, name)

    monkeypatch.setattr(place_benchmark, '_run', counted)
    with pytest.raises(KeyboardInterrupt):
        place_benchmark.evaluate(made, tmp_path / 'runs')
    found = place_benchmark.evaluate(made, tmp_path / 'runs')
    assert seen == ['guess', 'nearest', 'neighbours', 'grid', 'tile', 'tile']
    assert place_benchmark.evaluate(made, tmp_path / 'runs') == found
    made.sizes.width = 8
    place_benchmark.evaluate(made, tmp_path / 'runs')
    assert len(seen) == 6 + 5  # other sizes are other runs


def test_blocks_are_whole_in_one_part_and_rows_are_drawn_otherwise(table):
    made = settings(table)
    read = place_rows.read(made)
    blocks = place_rows.parts(made, read, 'blocks')
    cells = np.floor((read.lonlat + [180, 90]) / 5) @ [100, 1]
    home = np.select([blocks.train, blocks.val, blocks.test], [0, 1, 2])
    assert len(np.unique(cells)) == len(np.unique(np.stack([cells, home]), axis=1).T)
    for rows in (blocks, place_rows.parts(made, read, 'random')):
        assert (rows.train.astype(int) + rows.val + rows.test == 1).all()
        assert rows.test.mean() == pytest.approx(0.2, abs=0.05)
        assert rows.val.sum() / (~rows.test).sum() == pytest.approx(0.1, abs=0.05)


def test_the_split_of_the_table_is_taken_and_val_is_drawn_where_it_has_none(tmp_path):
    rows = frame()
    rows['split'] = np.where(rows['lon'] > 20, 'test', 'train')
    rows.to_parquet(tmp_path / 'places.parquet')
    made = settings(tmp_path / 'places.parquet')
    read = place_rows.read(made)
    found = place_rows.parts(made, read, 'table')
    np.testing.assert_array_equal(found.test, read.lonlat[:, 0] > 20)
    assert found.val.any() and not (found.val & (found.train | found.test)).any()


def test_rows_without_a_label_are_left_out_and_copies_are_counted(tmp_path):
    rows = frame(100)
    rows.loc[:9, 'value'] = np.nan
    rows.loc[50:, ['lon', 'lat']] = rows.loc[40, ['lon', 'lat']].to_numpy()
    rows.to_csv(tmp_path / 'places.csv', index=False)
    made = settings(tmp_path / 'places.csv')
    read = place_rows.read(made)
    assert len(read.targets) == 90
    found = place_rows.parts(made, read, 'random')
    same = (read.lonlat == read.lonlat[-1]).all(axis=1)
    assert place_rows.copies(read, found) == (found.test & same).sum() > 0


def test_neighbours_are_weighted_by_their_distance():
    places = np.array([[0.0, 0.0], [0.0, 3.0], [90.0, 0.0]])
    here = np.array([[0.0, 1.0], [0.0, 3.0]])
    numbers = floors.neighbours(np.array([[1.0], [4.0], [9.0]]), places, here, 2)
    # 1 degree from the first, 2 from the second: weights 2 to 1; the second is at its own place.
    np.testing.assert_allclose(numbers[:, 0], [2.0, 4.0], atol=1e-6)
    classes = floors.neighbours(np.array([1, 0, 0]), places, here, 3)
    assert classes.tolist() == [1, 0]


@pytest.mark.parametrize('name', place_encoders.NAMES)
def test_every_encoder_turns_places_into_embeddings(name):
    places = np.random.default_rng(0).uniform([-180, -90], [180, 90], (12, 2))
    sizes = EncoderSizes(width=8, hidden=(16,), degrees=5, anchors=6, frequencies=4)
    made = place_encoders.build(name, sizes, places)
    features = made.encode(places)
    assert features.dtype == np.float32 and np.isfinite(features).all()
    given = jnp.asarray(features)
    params = made.network.init(jax.random.key(0), given)
    found = made.network.apply(params, given)
    assert found.shape == (12, 8) and np.isfinite(found).all()
    again = place_encoders.build(name, sizes, places).encode(places)
    np.testing.assert_array_equal(again, features)


def test_coarser_is_a_larger_finest_scale():
    sizes = EncoderSizes(min_radius=0.5, frequencies=6, anchors=5, kernel=2.0, degrees=12)
    places = np.random.default_rng(0).uniform([-180, -90], [180, 90], (5, 2))
    for name, same in {
        'grid': {'min_radius': 2.0}, 'sphere_c': {'min_radius': 2.0}, 'rbf': {'kernel': 8.0},
        'rff': {'kernel': 0.5}, 'tile': {'cell': 8.0}, 'satclip': {'degrees': 3},
    }.items():  # fmt: skip
        given = dataclasses.replace(sizes, max_radius=4.0)
        found, expected = (
            place_encoders.build(name, each, places).encode(places)
            for each in (
                place_encodings.coarser(name, given, 4.0),
                dataclasses.replace(given, **same),
            )
        )
        np.testing.assert_array_equal(found, expected)
    assert place_encodings.coarser('xyz', sizes, 4.0) == sizes
    own = place_encodings.coarser('grid', EncoderSizes(), 4.0)
    assert own.min_radius == 4 * place_encodings.RADII['grid'][0]


def test_scales_of_the_world_stand_where_no_size_is_given():
    made = PlacesConfig(scales='world')
    assert made.sizes_of('grid', 2.0).min_radius == 0.6
    assert made.sizes_of('rff', 2.0).kernel == 50.0  # directions are frequencies
    assert made.sizes_of('xyz', 2.0) == made.sizes
    made.sizes.min_radius = 7.0
    assert made.sizes_of('sphere_c', 1.0).min_radius == 7.0
    assert PlacesConfig().sizes_of('rbf', 1.0).kernel == place_encodings.KERNELS['rbf']


def test_val_chooses_the_scale_and_what_has_none_is_fitted_once(table, tmp_path, monkeypatch):
    fit, seen = place_benchmark._fit, []

    def counted(settings, places, rows, name, factor, sizes):
        seen.append((name, factor))
        return fit(settings, places, rows, name, factor, sizes)

    monkeypatch.setattr(place_benchmark, '_fit', counted)
    made = settings(table, splits=('random',), encoders=('grid', 'xyz'), coarseness=(1e-3, 1.0))
    found = {e['name']: e for e in place_benchmark.evaluate(made, tmp_path / 'several')}
    assert seen == [('grid', 1e-3), ('grid', 1.0), ('xyz', 1e-3)]
    # Waves of metres are noise to places that lie kilometres apart.
    assert found['grid']['coarseness'] == [1.0] and 'coarseness' not in found['nearest']
    alone = place_benchmark.evaluate(
        settings(table, splits=('random',), encoders=('grid',)), tmp_path / 'alone'
    )
    assert found['grid']['scores'] == alone[-1]['scores']


def fits(*errors):
    """Fits whose answers to one val row, 0, and one test row are their errors."""
    made = enumerate(errors)
    return [place_benchmark._Fit(float(i), np.full((1, 1, 1), e), np.full((1, 1, 1), e))
            for i, e in made]  # fmt: skip


def test_scales_are_averaged_where_val_says_that_they_are_better_together():
    true = np.zeros((1, 1))
    # Sorted by their error on val: 1, -2, 9; the means of the best 1, 2, 3 are 1, -1/2, 8/3.
    found = place_benchmark._averaged(fits(-2.0, 9.0, 1.0), true, 3)
    assert found.coarseness == (2.0, 0.0) and found.outputs.item() == -0.5
    found = place_benchmark._averaged(fits(-2.0, 9.0, 1.0), true, 1)
    assert found.coarseness == (2.0,) and found.outputs.item() == 1.0
    found = place_benchmark._averaged(fits(1.0, 2.0), true, 2)
    assert found.coarseness == (0.0,) and found.outputs.item() == 1.0


def test_classes_are_averaged_as_probabilities():
    sure, unsure = np.array([[[0.9, 0.1]]]), np.array([[[0.4, 0.6]]])
    made = [place_benchmark._Fit(1.0, sure, sure), place_benchmark._Fit(2.0, unsure, unsure)]
    found = place_benchmark._averaged(made, np.array([0]), 2)
    assert found.coarseness == (1.0,)  # one suffices: the first of those that are as good
    np.testing.assert_allclose(
        place_benchmark._averaged(made[::-1], np.array([1]), 2).outputs, unsure
    )


@pytest.mark.slow
def test_averaging_scales_answers_a_table_otherwise(table, tmp_path):
    made = settings(
        table, splits=('random',), encoders=('grid',), coarseness=(1.0, 1.1), averaged=2
    )
    *_, both = place_benchmark.evaluate(made, tmp_path)
    assert sorted(both['coarseness']) == [1.0, 1.1]
    made.averaged = 1
    *_, one = place_benchmark.evaluate(made, tmp_path)
    assert one['coarseness'] == both['coarseness'][:1] and one['score'] != both['score']


def test_the_true_class_is_ranked_among_all():
    outputs = np.array([[[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]])
    exam = Exam('class', tuple('abcd'), np.array([0, 0, 3]), np.array([0, 1, 1]), 2, 'accuracy')
    found = place_benchmark._ranking(exam, outputs)  # ranks 1, 4, 4
    assert list(found) == ['top3', 'top5', 'MRR']
    assert found['top3']['value'] == pytest.approx(1 / 3) and found['top5']['value'] == 1
    assert found['MRR']['value'] == pytest.approx((1 + 1 / 4 + 1 / 4) / 3)
    low, high = found['MRR']['interval']
    # A draw holds group 0 alone, group 1 alone or both.
    assert (low, high) == (pytest.approx(1 / 4), pytest.approx(1.0))


def test_what_neighbours_do_not_say_is_ranked_by_how_common_it_is(tmp_path):
    rows = pd.DataFrame({'lon': [0.0, 1.0, 50, 51, 52, 90], 'lat': 0.0, 'kind': list('abcccd')})
    rows['split'] = ['train', 'test', 'train', 'train', 'val', 'train']
    rows.to_csv(tmp_path / 'few.csv', index=False)
    made = settings(tmp_path / 'few.csv', target='kind', splits=('table',))
    read = place_rows.read(made)
    known = place_rows.parts(made, read, 'table')
    (votes,) = place_benchmark._floor(made, read, known, 'nearest').outputs
    assert np.argsort(-votes[0])[:2].tolist() == [0, 2]
    (votes,) = place_benchmark._floor(made, read, known, 'guess').outputs
    np.testing.assert_allclose(votes[0], [0.2, 0.0, 0.6, 0.2])


@pytest.fixture
def with_images(tmp_path):
    """A number that half the place and half an image tells; a row has no label."""
    rows, rng = frame(), np.random.default_rng(1)
    images = rng.normal(3, 2, size=(len(rows), 5))
    rows['value'] = rows['value'] + images[:, 2] / 2
    rows.loc[7, 'value'] = np.nan
    rows.to_csv(tmp_path / 'both.csv', index=False)
    images[:, 4] = 1.5  # does not vary
    np.save(tmp_path / 'images.npy', images)
    return tmp_path / 'both.csv', tmp_path / 'images.npy'


@pytest.mark.parametrize('head', ['linear', 'population'])
def test_an_image_and_its_place_together_tell_more_than_either(with_images, tmp_path, head):
    table, images = with_images
    made = settings(table, splits=('random',), encoders=('grid',), images=str(images), head=head)
    together = {e['name']: e['score'] for e in place_benchmark.evaluate(made, tmp_path / 'both')}
    assert list(together) == ['guess', 'nearest', 'neighbours', 'images', 'grid']
    made.images, made.head = '', 'linear'
    alone = {e['name']: e['score'] for e in place_benchmark.evaluate(made, tmp_path / 'place')}
    # About half of the variance is the image's.
    assert 0.1 < together['images'] < 0.8 and alone['grid'] < 0.6
    assert together['grid'] > max(together['images'], alone['grid']) + 0.1


def test_images_stay_with_their_rows(with_images):
    table, images = with_images
    made = settings(table, images=str(images), rows=50)
    read = place_rows.read(made)
    every = pd.read_csv(table)
    at = [int(np.argmax((every[['lon', 'lat']] == place).all(axis=1))) for place in read.lonlat]
    assert len(set(at)) == 50 and 7 not in at
    np.testing.assert_allclose(read.images, np.load(images)[at], rtol=1e-6)


def test_images_are_standardised_by_the_fitted_rows():
    images = np.array([[0.0, 1.0], [2.0, 1.0], [9.0, 5.0]], np.float32)
    found = place_images.standardised(images, np.array([True, True, False]))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0], [8, 0]])


BAD_IMAGES = {
    'no file': (None, 'no such file of image features'),
    'other rows': (np.zeros((3, 2)), r'expected 300 rows .* found 3 x 2'),
    'one dimension': (np.zeros(300), 'expected 300 rows .* found 300'),
    'text': (np.full((300, 2), 'a'), 'expected numbers, found <U1'),
    'objects': (np.full((300, 2), None), 'cannot be read as an array'),
    'infinite': (np.where(np.arange(300)[:, None] == 8, np.inf, 0.0), 'row 9: expected finite'),
}


@pytest.mark.parametrize('name', BAD_IMAGES)
def test_images_that_cannot_be_are_refused(name, with_images, tmp_path):
    values, words = BAD_IMAGES[name]
    table, _ = with_images
    if values is not None:
        np.save(tmp_path / 'odd.npy', values, allow_pickle=True)
    with pytest.raises(InputError, match=words):
        place_rows.read(settings(table, images=str(tmp_path / 'odd.npy')))


def changed(path, **columns):
    rows = frame(40)
    for name, values in columns.items():
        rows[name] = values
    rows.to_csv(path, index=False)


BAD = {
    'no table': (None, ['--config.table=none.csv'], 'none.csv: no such table'),
    'no name of a table': (None, ['--config.table='], 'table: expected a name, found none'),
    'another kind of file': (None, ['--config.table=x.txt'], r'expected a table named \*.csv'),
    'no such column': (None, ['--config.target=age'], "column 'age' is missing; found lon, lat"),
    'latitude beyond 90': ({'lat': 91.0}, [], 'row 1: expected degrees.*found .*, 91.'),
    'swapped': ({'lon': 10.0, 'lat': 120.0}, [], r'found 10, 120 \(are lon and lat swapped\?\)'),
    'radians': ({'lon': 0.1, 'lat': 0.9}, [], 'looks like radians'),
    'text for a longitude': ({'lon': 'east'}, [], 'expected numbers in lon and lat, found text'),
    'no place': ({'lon': np.nan}, [], 'row 1: expected degrees'),
    'one class': (
        {'kind': 'same'}, ['--config.target=kind'], 'expected two classes or more, found same',
    ),
    'one value': ({'value': 3.0}, [], 'expected values that vary, found one'),
    'infinite': ({'value': np.inf}, [], 'value, row 1: found inf'),
    'no label': ({'value': np.nan}, [], 'no row has a label'),
    'text regressed': (
        None, ['--config.target=kind', '--config.kind=regression'], 'expected numbers for',
    ),
    'unknown encoder': (None, ["--config.encoders=('sun',)"], "encoders: expected .*'sun'"),
    'encoder twice': (None, ["--config.encoders=('xyz','xyz')"], "found 'xyz' twice"),
    'unknown split': (None, ["--config.splits=('half',)"], "splits: expected .* found 'half'"),
    'no split column': (None, ["--config.splits=('table',)"], 'split table: expected rows in'),
    'one block': (None, ['--config.block_degrees=180'], 'split blocks: expected rows in'),
    'no scale': (None, ['--config.coarseness=()'], 'coarseness: expected at least one'),
    'unknown scales': (None, ['--config.scales=city'], 'scales: expected own or world, found'),
    'scale of 0': (None, ['--config.coarseness=(0.0,)'], 'coarseness: expected more than 0'),
    'no such head': (None, ['--config.head=deep'], "head: expected linear, .* found 'deep'"),
    'a head without images': (None, ['--config.head=elevation'], 'elevation reads images'),
    'a head of numbers for classes': (
        None,
        ['--config.target=kind', '--config.head=elevation', '--config.images=odd.npy'],
        'head: elevation answers a number, found classes',
    ),
    'no average': (None, ['--config.averaged=0'], 'averaged: expected 1 or more, found 0'),
    'share of 1': (None, ['--config.test_share=1.0'], 'test_share: expected 0..1, found 1.0'),
    'no pass': (None, ['--config.fit.epochs=0'], 'fit.epochs: expected 1 or more, found 0'),
    'rate of 0': (None, ['--config.fit.rates=(0.0,)'], 'fit.rates: expected more than 0'),
    'a cell of metres': (
        None,
        ["--config.encoders=('xyz','tile')", '--config.coarseness=(0.001,1.0)'],
        'cell: expected at most 1048576 cells in all, .* found 16200000000 of 0.002 degrees',
    ),
    'degrees of metres': (
        None,
        ["--config.encoders=('xyz','satclip')", '--config.coarseness=(0.1,1.0)'],
        'degrees: expected at most 128, .* found 200',
    ),
    'layer of 0': (None, ['--config.sizes.hidden=(0,)'], 'sizes.hidden: expected 1 or more'),
    'no neighbours': (None, ['--config.neighbours=0'], 'neighbours: expected 1 or more'),
    'radii the wrong way': (
        None,
        ["--config.encoders=('grid',)", '--config.sizes.min_radius=500.0'],
        'radii: expected 0 < min_radius <= max_radius',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence(name, tmp_path, capsys):
    columns, options, words = BAD[name]
    changed(tmp_path / 'places.csv', **(columns or {}))
    run = [
        'places', f'--config={CONFIG}', f'--config.table={tmp_path / "places.csv"}',
        '--config.target=value', f'--out={tmp_path / "out"}', *options,
    ]  # fmt: skip
    assert cli.main(run) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith('gair: ')
    assert re.search(words, said), said
    assert not (tmp_path / 'out/results.json').exists()


@pytest.mark.slow
def test_the_verb_writes_tables_and_a_picture(table, tmp_path, capsys):
    run = [
        'places', f'--config={CONFIG}', f'--config.table={table}', '--config.target=value',
        "--config.encoders=('xyz',)", '--config.fit.epochs=2', f'--out={tmp_path / "out"}',
    ]  # fmt: skip
    assert cli.main(run) == 0
    said = capsys.readouterr().out
    assert 'split random: R2' in said and 'split blocks: R2' in said
    results = json.loads((tmp_path / 'out/results.json').read_text())
    assert len(results['results']) == 2 * 4
    lines = pd.read_csv(tmp_path / 'out/results.csv')
    assert lines['score'].tolist() == [entry['score'] for entry in results['results']]
    assert (tmp_path / 'out/scores.png').read_bytes()[:4] == b'\x89PNG'


def entry(name, score, split='random'):
    return {
        'split': split, 'name': name, 'kind': 'regression', 'metric': 'R2', 'score': score,
        'higher_is_better': True, 'interval': [score - 0.1, score + 0.1], 'seconds': 1.0,
        'train_rows': 10, 'test_rows': 5, 'copies': 2,
    }  # fmt: skip


def test_the_best_stands_first_and_copies_are_told():
    made = [entry('xyz', 0.1), entry('guess', float('nan')), entry('grid', 0.7)]
    assert [e['name'] for e in report.ranked(made, 'random')] == ['grid', 'xyz', 'guess']
    console = Console(width=120, record=True, file=io.StringIO())
    report.print_tables(made, console)
    said = console.export_text()
    assert said.index('grid') < said.index('xyz') and '2 of 5 test rows lie at the place' in said
