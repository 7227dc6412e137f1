"""`gair geobias`: what it writes, says and refuses."""

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from gair_jax import cli
from gair_jax.report import geobias, geobias_maps
from gair_jax.report.answers import Answers
from gair_jax.scores.geo_bias import CentreScores
from gair_jax.serve import geoparquet, place_tables

ROWS = 150


def frame(seed=0, clustered=True):
    """Wrong answers in the east, or anywhere; the last row lies far off, the one before nowhere."""
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(5, 9, ROWS), rng.uniform(44, 47, ROWS)
    lon[-1], lat[-1], lon[-2] = 60.0, 10.0, np.nan
    error = np.where(lon > 7.5, -3.0, 0.1) + rng.uniform(0, 0.5, ROWS)
    if not clustered:
        error = rng.permutation(error)
    hit = (np.abs(error) < 1).astype(int)
    answer = np.where(hit == 1, 'oak', 'fir')
    return pd.DataFrame(
        {'lon': lon, 'lat': lat, 'hit': hit, 'error': error, 'label': 'oak', 'answer': answer}
    )


@pytest.fixture
def tables(tmp_path):
    frame().to_csv(tmp_path / 'clustered.csv', index=False)
    frame(clustered=False).to_parquet(tmp_path / 'scattered.parquet')
    return [str(tmp_path / name) for name in ('clustered.csv', 'scattered.parquet')]


@pytest.fixture
def undrawn(monkeypatch):
    """Maps take longer than scores."""
    monkeypatch.setattr(geobias_maps, 'draw', lambda *_: None)


def run(tables, out, *options):
    assert cli.main(['geobias', *tables, '--out', str(out), *options]) == 0
    return json.loads((out / 'geo_bias.json').read_text())


def test_tables_are_scored_side_by_side(tables, tmp_path, capsys):
    found = run(tables, tmp_path / 'out', '--sri', '--least=5')
    said = capsys.readouterr().out
    one, other = found['tables']
    assert [one['name'], other['name']] == ['clustered', 'scattered']
    assert (one['rows'], one['without_place'], one['centres']) == (ROWS - 1, 1, ROWS - 1)
    scores, scores_other = one['scores'], other['scores']
    assert scores['ssi_unmarked'] == scores_other['ssi_unmarked']  # the same places
    assert scores['ssi_marked']['mean'] > scores_other['ssi_marked']['mean']
    assert scores['sri_scale_grid']['mean'] > 2 * scores_other['sri_scale_grid']['mean']
    for name, score in scores.items():
        low, high = score['interval']
        assert low < score['mean'] < high
        assert score['undefined'] >= 1  # the far place is alone
        assert re.sub(r'\s+', ' ', said).count(score['description']) == 1
        assert geobias.HEADS[name] in said
    assert '1 further rows have no place' in said and '|answer' not in said


def test_files_agree_with_each_other(tables, tmp_path):
    out = tmp_path / 'out'
    options = ('--error=error', '--threshold=1', '--marks=hits', '--sri', '--least=5')
    found = run(tables[:1], out, *options)['tables'][0]
    places = pd.read_parquet(out / 'places_clustered.parquet')
    rows = frame().drop(index=ROWS - 2)
    np.testing.assert_allclose(places[['lon', 'lat', 'error']], rows[['lon', 'lat', 'error']])
    np.testing.assert_array_equal(places['mark'], rows['hit'])
    np.testing.assert_array_equal(places['right'], rows['hit'] == 1)
    assert found['accuracy'] == pytest.approx(rows['hit'].mean())
    row = next(csv.DictReader(io.StringIO((out / 'geo_bias.csv').read_text())))
    for name, score in found['scores'].items():
        assert places[name].mean() == pytest.approx(score['mean'])
        assert places[name].isna().sum() == score['undefined'] == int(row[f'{name}_undefined'])
        known = places.dropna(subset=[name])
        weighted = np.average(known[name], weights=known['samples'])
        if name.startswith('ssi'):
            assert score['weighted_mean'] == pytest.approx(weighted)
        assert float(row[name]) == pytest.approx(score['mean'])
        assert score['description'] in row['parameters']
    assert (out / 'map_clustered.png').read_bytes()[:4] == b'\x89PNG'
    assert not list(out.glob('*.part'))


def test_places_are_geoparquet_and_say_how_they_came_about(tables, tmp_path, undrawn):
    run(tables[:1], tmp_path / 'out', '--right=hit', '--centres=wrong', '--radius-km=80')
    path = tmp_path / 'out/places_clustered.parquet'
    opened = place_tables.open_table(path)
    batch = next(opened.batches(ROWS))
    points = place_tables.points(opened, batch)
    np.testing.assert_array_equal(points[:, 0], batch['lon'].to_numpy())
    about = geoparquet.read_provenance(path)
    assert about['parameters']['ssi']['radius_km'] == 80
    assert about['parameters']['centres'] == 'wrong'
    assert about['parameters']['sri'] == {}
    score, right = batch['ssi_marked'].to_numpy(), batch['right'].to_numpy(zero_copy_only=False)
    assert np.isnan(score[right]).all() and np.isfinite(score[~right]).any()
    assert json.loads(pq.read_schema(path).metadata[b'geo'])['columns']['geometry']['bbox'][0] >= 5


@pytest.mark.parametrize(
    'option',
    [
        '--radius-km=60', '--most=20', '--nearest=3', '--form=tail', '--marks=hits',
        '--centres=wrong', '--scale-km=20', '--lag-km=30', '--sectors=3', '--least=12',
        '--published', '--values=error',
    ],
)  # fmt: skip
def test_every_option_changes_a_score_and_its_words(tables, tmp_path, undrawn, option):
    answered = ['--error=error', '--threshold=1', '--sri']
    least = [] if option.startswith('--least') else ['--least=5']
    one, other = (
        run(tables[:1], tmp_path / name, *answered, *more)['tables'][0]['scores']
        for name, more in (('one', ['--least=5']), ('other', [*least, option]))
    )
    changed = [name for name in one if one[name]['mean'] != other[name]['mean']]
    assert changed
    assert all(one[name]['description'] != other[name]['description'] for name in changed)


def test_bins_change_the_scores_of_errors(tables, tmp_path, undrawn):
    options = ['--error=error', '--threshold=1', '--sri', '--least=5', '--values=error']
    one, other = (
        run(tables[:1], tmp_path / bins, *options, f'--bins={bins}')['tables'][0]['scores']
        for bins in ('10', '3')
    )
    assert one['sri_scale_grid']['mean'] != other['sri_scale_grid']['mean']
    assert '3 bins' in other['sri_scale_grid']['description']


def test_what_has_no_score_is_null_and_is_said_why(tables, tmp_path, capsys):
    found = run(tables[:1], tmp_path / 'out', '--sri', '--least=10000')
    score = found['tables'][0]['scores']['sri_scale_grid']
    assert score['mean'] is None and score['interval'] == [None, None]
    assert score['undefined'] == ROWS - 1
    said = capsys.readouterr().out
    assert 'none' in said and 'SRI needs a part of the neighbourhood that is large enough' in said
    assert (tmp_path / 'out/map_clustered.png').exists()


def test_shared_places_are_told():
    entry = {
        'name': 'x', 'rows': 9, 'right': 'hit is 1', 'without_place': 0, 'sharing_a_place': 4,
        'centres': 9, 'accuracy': 0.5, 'scores': {},
    }  # fmt: skip
    console = Console(width=200, record=True, file=io.StringIO())
    geobias.print_tables([entry], console)
    assert 'x: 4 rows share their place with another' in console.export_text()


BAD = {
    'no table': ('none.csv', [], 'none.csv: no such table'),
    'another kind of file': ('x.txt', [], r'x.txt: expected a table named \*.csv'),
    'no such column': ('', ['--right=hits'], "column 'hits' is missing; found lon, lat, hit"),
    'not right or wrong': ('', ['--right=error'], 'error, row 1: expected 0 or 1, or false or'),
    'an error that is text': (
        '', ['--error=label', '--threshold=1'], "label, row 1: expected a number, found 'oak'",
    ),
    'right and error': ('', ['--right=hit', '--error=error'], '--right and --error: expected one'),
    'an error without threshold': ('', ['--error=error'], '--error: expected --threshold with it'),
    'a threshold below 0': ('', ['--error=error', '--threshold=-1'], '--threshold: expected more'),
    'a threshold of hits': ('', ['--right=hit', '--threshold=1'], '--threshold: is of errors'),
    'a threshold of names': ('', ['--threshold=1'], '--threshold: is of numbers; .* has names in'),
    'numbers without threshold': (
        '', ['--columns=label=hit,answer=error'], 'hit and error are numbers: expected --threshold',
    ),
    'a name and a number': (
        '', ['--columns=answer=hit'], "label, row 1: expected a number, found 'oak'",
    ),
    'a label beside hits': (
        '', ['--right=hit', '--columns=label=answer'], '--columns: label is not read beside',
    ),
    'no such longitude': ('', ['--columns=lon=x'], 'expected columns x and lat, or a geometry'),
    'a longitude that is text': ('', ['--columns=lon=label'], 'label: expected degrees, found str'),
    'beyond the pole': ({'lat': 90.5}, [], r'row 1: expected lon in .* found lon .*, lat 90.5'),
    'swapped': ({'lon': 10.0, 'lat': 120.0}, [], 'row 1: .* they look swapped'),
    'radians': ({'lon': 0.1, 'lat': 0.8}, [], 'looks like radians'),
    'no place': ({'lon': np.nan}, [], 'expected at least 2 rows with a place, found 0'),
    'no answer': ({'answer': None}, [], 'answer, row 1: expected a value, found none'),
    'infinite': (
        {'error': np.inf}, ['--error=error', '--threshold=1'], 'error, row 1: expected a finite',
    ),
    'no wrong answer': (
        {'hit': 1}, ['--right=hit', '--centres=wrong'], 'expected wrong answers to be centres',
    ),
    'no radius': ('', ['--radius-km=0'], '--radius-km: expected more than 0'),
    'neighbours below 0': ('', ['--most=-1'], '--most: expected at least 0, found -1'),
    'no neighbours': ('', ['--nearest=0'], '--nearest: expected at least 1, found 0'),
    'sri asked for by half': ('', ['--lag-km=5'], '--lag-km: is of SRI; add --sri'),
    'a cell beyond the radius': ('', ['--sri', '--scale-km=200'], '--scale-km: expected more than'),
    'no sector': ('', ['--sri', '--sectors=0'], '--sectors: expected at least 1, found 0'),
    'parts of none': ('', ['--sri', '--least=0'], '--least: expected at least 1, found 0'),
    'bins of hits': ('', ['--sri', '--bins=5'], '--bins: right and wrong are two values'),
    'errors of names': ('', ['--sri', '--values=error'], 'expected errors for --values error'),
    'workers below 0': ('', ['--workers=-1'], '--workers: expected 0 or more, found -1'),
    'a table twice': ('twice', [], 'expected each table once, found two of this name'),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence(name, tmp_path, capsys):
    given, options, words = BAD[name]
    rows = frame()
    if isinstance(given, dict):
        rows = rows.assign(**given)
    good = tmp_path / 'made.csv'
    rows.to_csv(good, index=False)
    tables = [str(good)]
    if given == 'twice':
        tables *= 2
    elif given and isinstance(given, str):
        tables.append(str(tmp_path / given))
    out = tmp_path / 'out'
    assert cli.main(['geobias', *tables, '--out', str(out), *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith('gair: ')
    assert re.search(words, said[0]), said
    assert not out.exists()


def test_an_unreadable_table_is_one_sentence(tmp_path, capsys):
    (tmp_path / 'made.parquet').write_bytes(b'PAR1 but no more')
    run = ['geobias', str(tmp_path / 'made.parquet'), '--out', str(tmp_path / 'out')]
    assert cli.main(run) == 2
    assert 'cannot be read as a table' in capsys.readouterr().err


def test_many_places_are_drawn_as_means_of_cells():
    few, many = np.zeros((5000, 2)), np.random.default_rng(0).uniform(0, 200, (5001, 2))
    assert geobias_maps.cell_side(few) == 0
    assert geobias_maps.cell_side(many) == 2
    assert geobias_maps.cell_side(many / 10) == pytest.approx(20 / 50, rel=0.01)
    lonlat = np.array([[0.1, 0.1], [1.9, 1.5], [-0.5, 0.5], [6.0, 6.0]])
    layer = geobias_maps.Layer('x', lonlat, np.array([1.0, 3.0, 5.0, np.nan]), 'viridis')
    found = geobias_maps._cells(layer, 2.0)
    at = [tuple(place) for place in found.lonlat.tolist()]
    assert dict(zip(at, found.values.tolist(), strict=True)) == pytest.approx(
        {(-1.0, 1.0): 5.0, (1.0, 1.0): 2.0, (7.0, 7.0): np.nan}, nan_ok=True
    )


def test_tables_share_the_colours_of_a_score():
    one, other = (
        geobias_maps.Layer('x', np.zeros((101, 2)), np.linspace(low, low + 50, 101), 'viridis')
        for low in (0, 50)
    )
    low, high = geobias_maps._range([one, other])
    assert (low, high) == pytest.approx((2, 98), abs=0.5)


def test_a_map_of_many_places_is_drawn(tmp_path):
    rng = np.random.default_rng(0)
    lonlat = rng.uniform([-170, -60], [170, 70], (6000, 2))
    right = rng.random(6000) < 0.5
    table = Answers('many', tmp_path / 'x.csv', lonlat, right, None, 'hit is 1', 0)
    score = np.where(lonlat[:, 0] < 0, np.nan, 1.0)
    scores = {'ssi_marked': CentreScores('made', score, np.ones(6000, int))}
    geobias_maps.draw([(table, np.arange(6000), scores)], geobias.HEADS, tmp_path)
    assert (tmp_path / 'map_many.png').stat().st_size > 10_000
