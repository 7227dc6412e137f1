"""Samples of urban and rural places: what is urban, how many are drawn, what is refused."""

import json

import numpy as np
import pytest
import rasterio

from gair_jax import cli
from gair_jax.builders import raster_values, sample
from gair_jax.config import InputError
from gair_jax.input import sample_files
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from tests.input import toy


@pytest.fixture
def toy_folder(toy_set):
    return toy_set[0]


@pytest.fixture
def toy_config(toy_folder):
    return toy.config(toy_folder)


def raster(path, values, *, crs='EPSG:4326', transform=None, **options):
    """A raster whose pixels are 1 degree wide from lon 10, lat 52 on."""
    values = np.asarray(values)
    transform = transform or rasterio.Affine(1, 0, 10, 0, -1, 52)
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=values.shape[0], width=values.shape[1],
        dtype=values.dtype, crs=crs, transform=transform, **options,
    ) as sink:  # fmt: skip
        sink.write(values, 1)
    return path


def drawn(folder, rule, **options):
    given = {'name': 'toy', 'variant': 'tiny', 'data_dir': str(folder), **options}
    return sample.draw(rule=rule, **given)


def kinds(folder, rows):
    photos = Store(toy.config(folder).data).photos('train')
    return [int(photos[row].labels['kind']) for row in rows]


CITIES = sample.Rule(label='kind', classes=(0,))


def test_equal_numbers_are_drawn_without_replacement_and_by_seed(toy_folder, tmp_path):
    files = [tmp_path / name for name in ('a.json', 'b.json', 'c.json')]
    for seed, path in zip((0, 0, 1), files, strict=True):
        report = drawn(toy_folder, CITIES, out=str(path), seed=seed)
        # Of 20 records every fourth is of kind 0.
        assert (report.urban, report.rural, report.unknown) == (5, 15, 0)
        assert (report.drawn_urban, report.drawn_rural) == (5, 5)
    rows = [json.loads(path.read_text())['rows'] for path in files]
    assert rows[0] == rows[1] != rows[2]
    for own in rows:
        assert len(set(own)) == len(own) == 10
        assert sorted(kinds(toy_folder, own)).count(0) == 5


@pytest.mark.parametrize(
    ('urban', 'rural', 'share', 'count', 'wanted'),
    [
        (5, 15, 0.5, 0, (5, 5)),
        (5, 15, 0.25, 0, (5, 15)),
        (5, 15, 0.2, 10, (2, 8)),
        (5, 15, 1.0, 0, (5, 0)),
        (5, 15, 0.0, 3, (0, 3)),
        (1, 1, 0.9, 0, (1, 0)),
        (7, 100, 0.35, 0, (7, 13)),
    ],
)
def test_shares_are_kept_as_far_as_whole_places_can(urban, rural, share, count, wanted):
    assert sample.counts(urban, rural, share, count) == wanted


def test_a_component_of_a_label_is_held_against_a_bound(toy_folder, tmp_path):
    # Component 1 of `v` is 1 in every record, above 0.5 and not above 1.
    rule = sample.Rule(label='v:1', above=0.5)
    report = drawn(toy_folder, rule, out=str(tmp_path / 'x'), share=1.0)
    assert (report.urban, report.rural) == (20, 0)
    with pytest.raises(InputError, match='found 0 and 20'):
        drawn(toy_folder, sample.Rule(label='v:1', above=1.0), out=str(tmp_path / 'y'))


def test_the_pixel_that_holds_a_place_tells_and_nothing_is_known_elsewhere(tmp_path):
    path = raster(tmp_path / 'r.tif', np.float32([[1, 2], [3, -1]]), nodata=-1)
    lonlat = np.array([[10.5, 51.9], [11.01, 51.01], [10.0, 50.5], [11.5, 50.5], [12.5, 51.5]])
    lonlat = np.concatenate([lonlat, [[np.nan, np.nan]]])
    found = raster_values.at_places(path, lonlat)
    np.testing.assert_array_equal(found, [1, 2, 3, np.nan, np.nan, np.nan])


def test_a_raster_in_metres_and_of_many_blocks_is_read_alike(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1000, (40, 30)).astype(np.int32)
    left, top = 500_000.0, 5_500_000.0
    path = raster(
        tmp_path / 'r.tif', values, crs='EPSG:32633',
        transform=rasterio.Affine(100, 0, left, 0, -100, top),
    )  # fmt: skip
    to_degrees = raster_values.pyproj.Transformer.from_crs('EPSG:32633', 4326, always_xy=True)
    row, col = rng.integers(0, 40, 50), rng.integers(0, 30, 50)
    lon, lat = to_degrees.transform(left + 100 * col + 37, top - 100 * row - 61)
    monkeypatch.setattr(raster_values, 'ROWS', 7)
    found = raster_values.at_places(path, np.stack([lon, lat], axis=-1))
    np.testing.assert_array_equal(found, values[row, col])


def test_classes_that_are_neither_are_left_out(toy_folder, tmp_path):
    # All toy places lie within one pixel of water; with all others rural they count.
    path = raster(tmp_path / 'r.tif', np.full((20, 20), 10, np.uint8))
    rule = sample.Rule(raster=str(path), classes=(30, 23), rural=(13, 12, 11))
    with pytest.raises(InputError, match='found 0 and 0'):
        drawn(toy_folder, rule, out=str(tmp_path / 'x'))
    rule = sample.Rule(raster=str(path), classes=(30, 23))
    assert drawn(toy_folder, rule, out=str(tmp_path / 'x'), share=0.0).rural == 20


def test_training_reads_the_sample_alone_and_validation_all(toy_folder, toy_config, tmp_path):
    report = drawn(toy_folder, CITIES, out=str(tmp_path / 's.json'))
    toy_config.data.sample = str(report.path)
    toy_config.batch = 5
    data = Pipeline(toy_config, 'train')
    assert data.examples == 10
    rows = np.concatenate([data.batch(step)['index'] for step in range(2)])
    assert sorted(rows) == json.loads(report.path.read_text())['rows']
    assert Pipeline(toy_config, 'val', train=False).examples == 10
    assert len(Pipeline(toy_config, 'train', rows=[1, 2]).batch(0)['index']) == 5


BAD_FILES = {
    'no json': ('{', 'expected a file of `gair data sample`'),
    'a list': ('[]', 'found another'),
    'another format': ({'format': 'x'}, 'found another'),
    'another data set': ({'name': 'photos'}, "name 'toy'"),
    'another split': ({'split': 'val'}, "split 'train'"),
    'another build': ({'records': 21}, 'records 20'),
    'other splits': ({'splits_sha256': 'abc'}, "splits_sha256 ''"),
    'no rows': ({'rows': []}, 'found an empty list'),
    'rows of text': ({'rows': ['1']}, 'list of row numbers'),
    'true for a row': ({'rows': [True]}, 'list of row numbers'),
    'a row twice': ({'rows': [1, 1]}, 'once and within 0..19'),
    'a row beyond the end': ({'rows': [20]}, 'once and within 0..19'),
}


@pytest.mark.parametrize('case', BAD_FILES)
def test_a_file_that_is_no_sample_of_the_data_set_is_refused(case, toy_folder, tmp_path):
    change, sentence = BAD_FILES[case]
    data, path = toy.config(toy_folder).data, tmp_path / 's.json'
    drawn(toy_folder, CITIES, out=str(path))
    good = json.loads(path.read_text())
    assert sample_files.read(path, data, 'train').tolist() == good['rows']
    path.write_text(change if isinstance(change, str) else json.dumps({**good, **change}))
    with pytest.raises(InputError, match=sentence.replace('.', r'\.')):
        sample_files.read(path, data, 'train')


def test_a_sample_that_is_not_there_is_refused(toy_folder, tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        sample_files.read(tmp_path / 'absent.json', toy.config(toy_folder).data, 'train')


BAD_OPTIONS = {
    'no source': (['--urban-above=1'], 'expected one of --raster and --label'),
    'two sources': (['--label=kind', '--raster=r.tif', '--urban-above=1'], 'one of --raster'),
    'no test': (['--label=kind'], 'one of --urban-above and --urban-classes'),
    'two tests': (['--label=kind', '--urban-above=1', '--urban-classes=2'], 'one of --urban-above'),
    'rural alone': (['--label=kind', '--urban-above=1', '--rural-classes=2'], 'rural-classes'),
    'both urban and rural': (
        ['--label=kind', '--urban-classes=1,2', '--rural-classes=2'], '2 is among the urban',
    ),
    'share above 1': (['--label=kind', '--urban-above=1', '--urban-share=1.5'], '0 to 1'),
    'count below 0': (['--label=kind', '--urban-above=1', '--count=-1'], 'count: expected 0'),
    'too many': (
        ['--label=kind', '--urban-classes=0', '--count=30'], 'at most 5 urban places, found 15',
    ),
    'no such label': (['--label=nosuch', '--urban-above=1'], 'nosuch'),
    'no component': (['--label=v', '--urban-above=1'], 'v: and one of 0, 1, 2'),
    'no such split': (['--label=kind', '--urban-above=1', '--split=test'], 'expected split'),
    'no such set': (['--label=kind', '--urban-above=1', '--variant=none'], 'no data set toy'),
    'no raster': (['--raster=absent.tif', '--urban-above=1'], 'cannot be read as a GeoTIFF'),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD_OPTIONS)
def test_bad_options_are_refused_and_nothing_is_written(case, toy_folder, tmp_path, capsys):
    options, sentence = BAD_OPTIONS[case]
    given = ['data', 'sample', 'toy', '--variant=tiny', f'--data-dir={toy_folder}', *options]
    assert cli.main([*given, f'--out={tmp_path / "s.json"}']) == 2
    assert sentence in ' '.join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('bands', 'crs', 'sentence'), [(2, 'EPSG:4326', 'found 2'), (1, None, 'found 1 and None')]
)
def test_a_raster_that_does_not_say_what_or_where_is_refused(tmp_path, bands, crs, sentence):
    path = tmp_path / 'r.tif'
    given = {'transform': rasterio.Affine(1, 0, 10, 0, -1, 52)}
    with rasterio.open(
        path, 'w', driver='GTiff', count=bands, height=2, width=2, dtype='uint8', crs=crs, **given
    ) as sink:
        sink.write(np.zeros((bands, 2, 2), np.uint8))
    with pytest.raises(InputError, match=sentence):
        raster_values.at_places(path, np.array([[10.5, 51.5]]))


def test_the_command_line_says_what_was_drawn(toy_folder, tmp_path, capsys):
    given = ['data', 'sample', 'toy', '--variant=tiny', f'--data-dir={toy_folder}', '--label=kind']
    path = tmp_path / 'folder' / 's.json'
    assert cli.main([*given, '--urban-classes=0', f'--out={path}']) == 0
    said = capsys.readouterr().out
    assert 'Found 5 urban and 15 rural places' in said and 'Drawn 5 urban and 5 rural' in said
    assert json.loads(path.read_text())['rule'] == {
        'raster': '', 'label': 'kind', 'classes': [0], 'rural': [],
    }  # fmt: skip
