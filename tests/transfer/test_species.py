"""Species from photo and place: what priors add in a made-up world, what is kept and refused."""

import io
import json
import pathlib
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from rich.console import Console

from gair_jax import cli, config_files
from gair_jax.report import species as report
from gair_jax.scores import geo_bias
from gair_jax.scores.species import rank
from gair_jax.transfer import presence_fit, species_benchmark
from gair_jax.transfer.photo_scores import PhotoScores
from gair_jax.transfer.species_settings import PresenceConfig, SpeciesConfig, check
from tests.transfer import made_species

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'configs/species'
CONFIG = FOLDER / 'table.py'
FILES = sorted(path.stem for path in FOLDER.glob('*.py') if path.name != '__init__.py')
COUNTED = ('frequency', 'radius', 'histogram')


def settings(folder, **changed):
    made = SpeciesConfig(
        table=str(folder / 'photos.csv'), predictions=str(folder / 'photos.npy'),
        encoders=('wrap',), counted=COUNTED,
    )  # fmt: skip
    made.sizes.width = 32
    made.counts.radius_degrees, made.counts.columns, made.counts.rows = 15.0, 4, 18
    made.fit = PresenceConfig(rates=(1e-2,), batch=100, epochs=8, background_places=500)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def evaluated(made, folder):
    data = species_benchmark.load(made)
    found = species_benchmark.evaluate(made, data, folder)
    return {entry['name']: entry for entry in found}


def value(entry, metric='top1', what='scores'):
    return entry[what][metric]['value']


def test_places_tell_what_photos_confuse_and_rows_without_one_keep_the_photo(tmp_path):
    """Photos are right for half; places for all, of the three quarters of rows that have one."""
    made_species.table(tmp_path, lost=80)
    found = evaluated(settings(tmp_path), tmp_path / 'runs')
    assert value(found['none']) == 0.5
    assert value(found['none'], 'MRR') == 0.75
    ranks = {name: pd.read_parquet(entry['ranks']) for name, entry in found.items()}
    lost = ranks['none']['lon'].isna()
    assert lost.sum() == 80
    right = ranks['none'].loc[lost, 'right'].mean()
    ceiling = 0.75 + 0.25 * right  # every place right, and of the others what the photo says
    assert value(found['wrap']) == pytest.approx(ceiling, abs=0.02)
    assert value(found['radius']) == pytest.approx(ceiling, abs=0.02)
    assert value(found['wrap'], what='gain') == pytest.approx(value(found['wrap']) - 0.5)
    for name in found:
        pd.testing.assert_frame_equal(ranks[name][lost], ranks['none'][lost])
    low, high = found['wrap']['gain']['top1']['interval']
    assert 0 < low < value(found['wrap'], what='gain') < high
    # One interval is of all its draws: the reference gains nothing in any.
    assert found['none']['gain']['top1'] == {'value': 0.0, 'interval': [0.0, 0.0]}


def test_class_frequency_adds_nothing_where_classes_are_balanced(tmp_path):
    made_species.table(tmp_path)
    made = settings(tmp_path, counted=('frequency',))
    data = species_benchmark.load(made)
    # A val that is drawn leaves classes a few rows apart; here each keeps as many.
    every = np.bincount(data.species.train.label)
    keep = np.concatenate(
        [np.flatnonzero(data.species.train.label == k)[: every.min()] for k in range(8)]
    )
    data = data._replace(species=data.species._replace(train=data.species.train.at(keep)))
    prior = species_benchmark._made(made, data, 'frequency', lambda *_: None).prior
    none = species_benchmark._made(made, data, 'none', lambda *_: None).prior
    found, alone = (species_benchmark.ranked(data.test, p) for p in (prior, none))
    np.testing.assert_array_equal(found.rank, alone.rank)


def test_blocks_of_any_size_rank_alike(tmp_path, monkeypatch):
    made_species.table(tmp_path, lost=3)
    made = settings(tmp_path)
    data = species_benchmark.load(made)
    prior = species_benchmark._made(made, data, 'radius', lambda *_: None).prior
    whole = species_benchmark.ranked(data.test, prior)
    sizes = []

    def watched(places):
        sizes.append(len(places))
        return prior(places)

    monkeypatch.setattr(species_benchmark, 'HELD', 7 * made_species.CLASSES)
    parts = species_benchmark.ranked(data.test, watched)
    np.testing.assert_array_equal(parts.rank, whole.rank)
    np.testing.assert_array_equal(parts.true_score, whole.true_score)
    assert set(sizes[1:]) == {7} and len(sizes) == 1 + -(-320 // 7)
    # Beside all rows at once.
    photo = data.test.photo.rows(np.arange(320))
    place = np.where(data.test.rows.placed[:, None], prior(np.nan_to_num(data.test.rows.lonlat)), 1)
    np.testing.assert_array_equal(rank(photo * place, data.test.rows.label).rank, whole.rank)


def test_without_photos_priors_answer_alone_beside_class_frequency(tmp_path):
    made_species.table(tmp_path, lost=80)
    made = settings(tmp_path, predictions='', counted=('radius',))
    found = evaluated(made, tmp_path / 'runs')
    assert list(found) == ['frequency', 'radius', 'wrap']
    assert {entry['reference'] for entry in found.values()} == {'frequency'}
    assert found['wrap']['test_rows'] == 240
    assert value(found['frequency']) == pytest.approx(1 / 8, abs=0.05)
    assert value(found['wrap']) > 0.7 and value(found['radius']) > 0.7


def given_to_the_fit(made, data, monkeypatch):
    """What a network would be fitted with, instead of fitting it."""
    seen = {}

    def caught(network, rows, fit, score, seed, told):
        seen.update(network=network, rows=rows, score=score)
        return presence_fit.Fitted(lambda x: np.ones((len(x), 8)), 1.0, 1, 1.0)

    monkeypatch.setattr(presence_fit, 'fit', caught)
    species_benchmark._made(made, data, 'wrap', lambda *_: None)
    return seen


def test_val_is_weighed_by_its_own_photos_where_it_has_some(tmp_path, monkeypatch):
    rows = made_species.table(tmp_path, train=400, test=80)
    rows.loc[rows.index[:160], 'split'] = 'val'
    rows.to_csv(tmp_path / 'photos.csv', index=False)
    label = rows['class'].iloc[:160].to_numpy()
    np.save(tmp_path / 'val.npy', made_species.photos(label))
    made = settings(tmp_path)

    def value_of_a_prior_that_knows_nothing():
        data = species_benchmark.load(made)
        assert len(data.val.rows.label) == 160
        return given_to_the_fit(made, data, monkeypatch)['score'](lambda x: np.ones((len(x), 8)))

    # Of equal classes the first is ranked first; a photo puts the true one first or second.
    assert value_of_a_prior_that_knows_nothing() == pytest.approx(np.mean(1 / (1 + label)))
    made.val_predictions = str(tmp_path / 'val.npy')
    photos = rank(made_species.photos(label), label)
    assert value_of_a_prior_that_knows_nothing() == photos.mean_reciprocal_rank > 0.74


def test_users_are_learnt_where_they_are_asked_for(tmp_path, monkeypatch):
    rows = made_species.table(tmp_path, train=80, test=40)
    rows['user'] = ['abc'[i % 3] for i in range(len(rows))]
    rows.loc[rows.index[:10], 'user'] = None
    rows.to_csv(tmp_path / 'photos.csv', index=False)
    made = settings(tmp_path)
    data = species_benchmark.load(made)
    assert (data.species.users, data.species.left_out) == (3, 10)
    assert given_to_the_fit(made, data, monkeypatch)['network'].users == 0
    made.fit.users = True
    seen = given_to_the_fit(made, data, monkeypatch)
    assert seen['network'].users == 3
    np.testing.assert_array_equal(seen['rows'].user, data.species.train.user)
    assert set(data.species.train.user) == {0, 1, 2}


@pytest.mark.slow
def test_a_benchmark_goes_on_behind_its_last_prior(tmp_path, monkeypatch):
    made_species.table(tmp_path, train=80, test=40)
    made = settings(tmp_path, encoders=('xyz',))
    made.fit.epochs = 1
    real, seen = species_benchmark._made, []

    def counted(settings, data, name, told):
        seen.append(name)
        if name == 'xyz' and seen.count('xyz') == 1:
            raise KeyboardInterrupt
        return real(settings, data, name, told)

    monkeypatch.setattr(species_benchmark, '_made', counted)
    with pytest.raises(KeyboardInterrupt):
        evaluated(made, tmp_path / 'runs')
    found = evaluated(made, tmp_path / 'runs')
    assert seen == ['none', *COUNTED, 'xyz', 'xyz']
    assert evaluated(made, tmp_path / 'runs') == found
    made.fit.epochs = 2  # of networks only
    evaluated(made, tmp_path / 'runs')
    assert seen[6:] == ['xyz']
    made.counts.pseudo_count = 1.0  # of what is counted only
    evaluated(made, tmp_path / 'runs')
    assert seen[7:] == list(COUNTED)
    np.save(tmp_path / 'photos.npy', np.load(tmp_path / 'photos.npy')[::-1])
    evaluated(made, tmp_path / 'runs')
    assert seen[10:] == ['none', *COUNTED, 'xyz']


def test_intervals_can_be_drawn_over_blocks(tmp_path):
    """Rows at one place are one group: its interval is wider than that of so many rows."""
    rows = made_species.table(tmp_path, train=80, test=80)
    tested = rows['split'] == 'test'
    rows.loc[tested, 'lon'] = 0.5
    rows.to_csv(tmp_path / 'photos.csv', index=False)
    made = settings(tmp_path, counted=('frequency',), encoders=('xyz',))
    made.fit.epochs = 1
    ends = []
    for side in (0.0, 180.0):
        made.block_degrees = side
        ends.append(evaluated(made, tmp_path / 'runs')['none']['scores']['top1']['interval'])
    assert ends[0][0] < 0.5 < ends[0][1]
    # One cell of 180 degrees holds all rows: there is but one draw.
    assert ends[1] == [0.5, 0.5]


def test_sparse_and_dense_predictions_are_the_same(tmp_path):
    made_species.table(tmp_path, train=80, test=40)
    dense = np.load(tmp_path / 'photos.npy')
    scipy.sparse.save_npz(tmp_path / 'photos.npz', scipy.sparse.csc_matrix(dense))
    made = settings(tmp_path, predictions=str(tmp_path / 'photos.npz'))
    photo = species_benchmark.load(made).test.photo
    assert isinstance(photo, PhotoScores)
    at = np.array([3, 0, 39])
    np.testing.assert_array_equal(photo.rows(at), dense[at].astype(np.float64))


@pytest.mark.parametrize('name', FILES)
def test_every_config_is_sound_and_says_how_it_is_run(name):
    path = FOLDER / f'{name}.py'
    given = 'table' if name == 'table' else 'folder'
    found = config_files.load_kind(SpeciesConfig, str(path), [f'--config.{given}=x'])
    check(found)
    assert found.layout == name
    assert f'--config=configs/species/{name}.py' in path.read_text()


class Opened:
    """What a pickle would run."""

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path('opened'),)


def pickled(folder):
    with (folder / 'photos.npy').open('wb') as file:
        np.save(file, np.array([[Opened()] * 8] * 40, object), allow_pickle=True)


def photos(change):
    def write(folder):
        scores = np.load(folder / 'photos.npy')
        np.save(folder / 'photos.npy', change(scores))

    return write


def rows(**columns):
    def write(folder):
        table = pd.read_csv(folder / 'photos.csv')
        for name, change in columns.items():
            table[name] = change(table) if callable(change) else change
        table.to_csv(folder / 'photos.csv', index=False)

    return write


def put(at, value):
    def change(scores):
        scores[at] = value
        return scores

    return change


def nothing(folder):
    pass


BAD = {
    'rows missing': (
        photos(lambda x: x[:-1]), [],
        r'expected 40 rows \(one each photo\) x 8 columns .*, found 39 x 8',
    ),
    'transposed': (photos(lambda x: x.T), [], 'expected a class 0..39|expected 40 rows.* found 8'),
    'features': (photos(lambda x: x[:, :3]), [], 'expected a class 0..2, found'),
    'one dimension': (photos(lambda x: x[0]), [], 'expected rows x classes, found 1 dim'),
    'logits': (
        photos(put((4, 2), -1.5)), [],
        r'row 5, column 3: expected a probability, found -1.5; logits must go through',
    ),
    'nan': (photos(put((7, 1), np.nan)), [], 'row 8, column 2: expected a probability, found nan'),
    'text': (photos(lambda x: x.astype(str)), [], 'photos.npy: expected numbers, found <U'),
    'a pickle': (pickled, [], 'photos.npy: cannot be read as an array of numbers'),
    'no predictions': (nothing, ['--config.predictions=no.npy'], 'no.npy: no such file of pred'),
    'a picture': (nothing, ['--config.predictions=a.png'], r'expected predictions as \*.npy or'),
    'a table for a matrix': (
        lambda d: np.savez(d / 'photos.npz', a=np.zeros(3)), ['--config.predictions={}/photos.npz'],
        'photos.npz: cannot be read as a sparse matrix',
    ),
    'no test': (rows(split='train'), [], 'expected rows in the split test, found none'),
    'no train': (rows(split='test'), [], 'expected rows in the split train, found none'),
    'another split': (rows(split='dev'), [], "split: expected train, val, test, found 'dev'"),
    'no column': (
        lambda d: pd.read_csv(d / 'photos.csv').drop(columns='split').to_csv(d / 'photos.csv'), [],
        "column 'split' is missing; found Unnamed: 0, lon, lat, class",
    ),
    'one class': (rows(**{'class': 3}), [], "expected two classes or more to train on.* only '3'"),
    'half a class': (rows(**{'class': 1.5}), [], 'class: expected text or whole numbers'),
    'a negative class': (
        rows(**{'class': lambda t: t['class'] - 1}), [], r'expected a class 0\.\.7, found -1',
    ),
    'no class': (
        rows(**{'class': lambda t: t['class'].where(t.index != 2)}), [], 'class, row 3: expected a',
    ),
    'radians': (
        rows(lon=lambda t: np.deg2rad(t['lon']), lat=lambda t: np.deg2rad(t['lat'])), [],
        'looks like radians',
    ),
    'swapped': (
        rows(lon=10.0, lat=120.0), [], r'are lon and lat swapped\?',
    ),
    'no place at all': (
        rows(lon=np.nan), [], 'expected training rows with a place and user, found none of 80',
    ),
    'a val without places': (
        rows(
            split=lambda t: t['split'].where(t.index > 9, 'val'),
            lon=lambda t: t['lon'].where(t.index > 9),
        ), [], 'split val: expected rows with a place to choose by, found none',
    ),
    'no users': (nothing, ['--config.fit.users=true'], 'fit.users: expected rows with users'),
    'names that lack one': (
        rows(**{'class': lambda t: 'k' + t['class'].astype(str)}),
        ['--config.class_names={}/names.txt'], "names.txt: expected every class of .* no 'k",
    ),
    'predictions of no val': (
        nothing, ['--config.val_predictions={}/photos.npy'], 'val_predictions: expected a split',
    ),
    'unknown encoder': (nothing, ["--config.encoders=('sun',)"], "encoders: expected .*'sun'"),
    'encoder twice': (nothing, ["--config.encoders=('xyz','xyz')"], "found 'xyz' twice"),
    'unknown prior': (nothing, ["--config.counted=('luck',)"], "counted: expected .*'luck'"),
    'unknown layout': (nothing, ['--config.layout=inat'], "layout: expected table, .*'inat'"),
    'a layout without folder': (
        nothing, ['--config.layout=fmow'], 'folder: layout fmow expects a path, found none',
    ),
    'a folder beside a table': (nothing, ['--config.folder=x'], 'folder: layout table reads none'),
    'a background': (nothing, ['--config.fit.background=sea'], "fit.background: .*'sea'"),
    'no such activation': (
        nothing, ['--config.sizes.activation=sun'], 'sizes.activation: expected .* found .sun.',
    ),
    'all units dropped': (nothing, ['--config.fit.dropout=1.0'], 'fit.dropout: expected 0 to'),
    'a growing rate': (nothing, ['--config.fit.decay=1.1'], 'fit.decay: expected above 0 to 1'),
    'no rate': (nothing, ['--config.fit.rates=()'], 'fit.rates: expected at least one'),
    'no epoch': (nothing, ['--config.fit.epochs=0'], 'fit.epochs: expected 1 or more, found 0'),
    'no neighbour': (nothing, ['--config.counts.neighbours=0'], 'counts.neighbours: expected 1'),
    'an empty cell': (nothing, ['--config.counts.pseudo_count=0.0'], 'counts.pseudo_count'),
    'a val of nothing': (nothing, ['--config.val_share=1e-9'], 'val_share: expected rows in'),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, options, words = BAD[name]
    made_species.table(tmp_path, train=80, test=40)
    (tmp_path / 'names.txt').write_text('a\nb\n')
    change(tmp_path)
    run = [
        'species', f'--config={CONFIG}', f'--config.table={tmp_path / "photos.csv"}',
        f'--config.predictions={tmp_path / "photos.npy"}', f'--out={tmp_path / "out"}',
        *(option.format(tmp_path) for option in options),
    ]  # fmt: skip
    assert cli.main(run) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith('gair: ')
    assert re.search(words, said[0]), said
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'opened').exists()


def test_the_pickle_of_the_test_above_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Opened()))
    assert (tmp_path / 'opened').exists()


@pytest.mark.slow
def test_the_verb_writes_tables_ranks_and_a_picture(tmp_path, capsys):
    made_species.table(tmp_path, train=80, test=40, lost=8)
    out = tmp_path / 'out'
    run = [
        'species', f'--config={CONFIG}', f'--config.table={tmp_path / "photos.csv"}',
        f'--config.predictions={tmp_path / "photos.npy"}', "--config.encoders=('xyz',)",
        '--config.fit.epochs=1', '--config.fit.background_places=50', f'--out={out}',
    ]  # fmt: skip
    assert cli.main(run) == 0
    said = capsys.readouterr().out
    assert '40 rows scored, 32 of them with a place' in said and 'xyz' in said
    results = json.loads((out / 'results.json').read_text())['results']
    names = ['none', 'frequency', 'neighbours', 'radius', 'histogram', 'kernel', 'xyz']
    assert [entry['name'] for entry in results] == names
    lines = pd.read_csv(out / 'results.csv')
    assert lines['MRR'].tolist() == [value(entry, 'MRR') for entry in results]
    assert (out / 'scores.png').read_bytes()[:4] == b'\x89PNG'
    assert not list(out.rglob('*.part'))
    ranks = pd.read_parquet(out / 'ranks/xyz.parquet')
    assert list(ranks) == ['lon', 'lat', 'true_class_prob', 'rank', 'right']
    assert ranks['right'].mean() == value(results[-1])
    # What docs/species.md does with them.
    placed = ranks.dropna()
    marks = geo_bias.plus_minus(placed['right'].to_numpy())
    bias = geo_bias.ssi(
        placed[['lon', 'lat']].to_numpy(), marks, geo_bias.SsiParameters(radius_km=2000)
    )
    assert len(placed) == 32 and np.isfinite(bias.mean)


def test_the_reference_stands_first_and_what_is_left_out_is_told(tmp_path):
    made_species.table(tmp_path, train=80, test=40)
    made = settings(tmp_path, counted=('frequency', 'radius'), encoders=('xyz',))
    made.fit.epochs = 1
    data = species_benchmark.load(made)
    entries = species_benchmark.evaluate(made, data, tmp_path / 'runs')
    names = [entry['name'] for entry in report.best_first(entries)]
    assert names[0] == 'none' and set(names) == {'none', 'frequency', 'radius', 'xyz'}
    console = Console(width=100, record=True, file=io.StringIO())
    data = data._replace(species=data.species._replace(left_out=7))
    report.print_table(entries, data, console)
    assert '7 training rows lack a place, user or date' in ' '.join(console.export_text().split())
