import argparse
import json

import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.builders import catalogue, crop_type_south_sudan
from gair_jax.builders.crop_type_south_sudan import builder
from gair_jax.config import Config, DataConfig, InputError
from gair_jax.input.latest_dates import latest
from gair_jax.input.pipeline import Pipeline
from gair_jax.transfer.tasks import read_tasks
from gair_jax.verbs import data as verb
from tests.builders import made, scenes
from tests.shared import shared


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('crops')
    report = crop_type_south_sudan.build(made.write_crops(folder / 'raw'), data_dir=folder)
    return folder, report


def build(folder):
    return crop_type_south_sudan.build(folder, data_dir=folder / 'prepared')


def everything(folder):
    source = made.opened(folder, 'crop_type_south_sudan')
    return {k: v for split in source.splits for k, v in made.tiles_of(source, split).items()}


def test_fields_go_to_the_splits_of_the_list(built):
    folder, report = built
    assert report.splits == {'train': 2, 'val': 2, 'test': 2}
    assert report.tiles == 3 * 4 + 3 * 10 and report.notes == ()
    source = made.opened(folder, 'crop_type_south_sudan')
    for split, numbers in (('train', (0, 3)), ('val', (1, 4)), ('test', (2, 5))):
        assert list(made.tiles_of(source, split)) == [made.crop_name(n) for n in numbers]


def test_every_image_is_an_acquisition_with_its_date_and_mask(built):
    fields = everything(built[0])
    for number in range(6):
        count = made.crop_count(number)
        _, tiles = fields[made.crop_name(number)]
        stored = np.stack([tile.bands for tile in tiles])
        assert stored.dtype == np.uint16 and stored.shape == (count, 16, 16, 10)
        np.testing.assert_array_equal(stored, made.crop_s2(number, count).transpose(3, 1, 2, 0))
        assert [tile.date for tile in tiles] == made.crop_dates(count)
        truth = made.crop_truth(number)
        expected = np.where((truth >= 1) & (truth <= 4), truth - 1, 255)
        assert set(np.unique(expected)) == {0, 1, 2, 3, 255}
        for tile in tiles:
            np.testing.assert_array_equal(tile.labels['crop_type'], expected)


@pytest.mark.parametrize(('number', 'months'), [(0, [4, 3, 2, 1, 0, 0]), (1, [10, 9, 8, 7, 6, 5])])
def test_a_model_sees_the_six_latest_newest_first(built, number, months):
    _, tiles = everything(built[0])[made.crop_name(number)]
    series, days = latest([tile.bands for tile in tiles], [tile.date for tile in tiles], 6)
    assert days.tolist() == [20170001 + 100 * m if m else 0 for m in months]
    assert series.transpose(3, 0, 1, 2).shape == (10, 6, 16, 16)
    stored = made.crop_s2(number, made.crop_count(number))
    for image, month in zip(series, months, strict=True):
        expected = stored[..., month - 1].transpose(1, 2, 0) if month else np.zeros((16, 16, 10))
        np.testing.assert_array_equal(image, expected)


def test_fields_have_no_place_and_the_check_accepts_that(built):
    folder = built[0]
    check = catalogue.check(folder, 'crop_type_south_sudan')
    assert check.findings == [] and check.crs == {'no CRS': 42} and check.with_tile == 6
    assert 'in no CRS (42)' in str(check)
    source = made.opened(folder, 'crop_type_south_sudan')
    assert source.metadata['georeferenced'] is False
    photo, tiles = everything(folder)[made.crop_name(0)]
    assert np.isnan(photo.lonlat).all() and tiles[0].crs == ''
    assert tiles[0].bounds.tolist() == [0, 160, 160, 0]
    assert tiles[0].transform.tolist() == [10, 0, 0, 0, -10, 160]


def test_what_needs_a_place_refuses_them(built):
    config = Config(batch=2)
    config.data = DataConfig(dir=str(built[0]), name='crop_type_south_sudan', variant='default')
    config.input.rs.window = 8
    with pytest.raises(
        InputError, match='photo southsudan_00000.: expected lon in .*found lon nan'
    ):
        Pipeline(config, 'train').batch(0)


@pytest.mark.parametrize(
    ('placed', 'finding'),
    [(True, 'expected lon in'), (False, 'has a place, and the data set says')],
)
def test_places_must_be_known_exactly_where_the_set_says_so(built, placed, finding):
    photo = everything(built[0])[made.crop_name(0)][0]
    if not placed:
        object.__setattr__(photo, 'lonlat', np.array([30.0, 5.0]))
    found = list(catalogue._problems(photo, {}, 42, placed))
    assert len(found) == 1 and finding in found[0]


def test_the_task_is_in_the_metadata(built):
    metadata = made.opened(built[0], 'crop_type_south_sudan').metadata
    task = read_tasks(metadata)[0]
    assert task.dates == 'all' and task.classes == ('sorghum', 'maize', 'rice', 'groundnut')
    assert metadata['tasks']['crop_type']['protocol']['dates'] == 6


def test_statistics_are_those_of_the_reference():
    with np.load(shared('parity/decoders') / 'prep_croptypemapping.npz') as case:
        meta = json.loads(str(case['meta']))['kwargs']
    statistics = builder._content().metadata['tasks']['crop_type']['statistics']
    assert statistics == {'mean': meta['mean'], 'std': meta['std']}
    assert [sensors.canonical(band) for band in meta['dataset_bands']] == list(builder.BANDS)


def npz(root, kind, number=0):
    return root / 'southsudan' / kind / f'{made.crop_name(number)}.npz'


def test_unreadable_fields_are_left_out_with_a_warning(tmp_path):
    root = made.write_crops(tmp_path)
    made.truncate(npz(root, 'npy', 0))
    npz(root, 'truth', 4).unlink()
    objects = np.array([[{'a': 1}]], dtype=object)
    np.savez(npz(root, 'truth', 5), truth=objects)  # a pickle, which is never opened
    report = build(root)
    assert report.splits == {'train': 1, 'val': 1, 'test': 1}
    assert (report.rows, report.failed, len(report.notes)) == (6, 3, 3)
    for number, note in zip((0, 4, 5), report.notes, strict=True):
        assert note.startswith(f'Left out: {made.crop_name(number)}: ')
    assert 'Object arrays cannot be loaded' in report.notes[2]
    assert sorted(everything(root / 'prepared')) == [made.crop_name(n) for n in (1, 2, 3)]
    assert build(root).notes == report.notes  # a finished build still says so


def test_a_damaged_member_of_a_whole_archive_is_left_out(tmp_path):
    root = made.write_crops(tmp_path)
    data = bytearray(npz(root, 'npy').read_bytes())
    middle = len(data) // 2
    data[middle] ^= 0xFF  # the archive's checksum no longer holds
    npz(root, 'npy').write_bytes(data)
    assert build(root).failed == 1


def test_truth_of_small_integers_does_not_overflow(tmp_path):
    root = made.write_crops(tmp_path)
    for dtype in (np.uint8, np.int8, np.int64):
        truth = made.crop_truth(0).astype(dtype)
        np.testing.assert_array_equal(
            builder.crop_mask(truth), builder.crop_mask(made.crop_truth(0))
        )
    np.savez(npz(root, 'truth'), truth=np.arange(256, dtype=np.uint8).reshape(16, 16))
    build(root)
    _, tiles = everything(root / 'prepared')[made.crop_name(0)]
    mask = tiles[0].labels['crop_type'].ravel()
    assert mask[:6].tolist() == [255, 0, 1, 2, 3, 255] and (mask[5:] == 255).all()


def test_images_are_put_in_the_order_of_their_dates(tmp_path):
    root = made.write_crops(tmp_path)
    path = root / 'southsudan/s2' / f's2_{made.crop_name(0)}.json'
    path.write_text(json.dumps({'dates': made.crop_dates(4)[::-1]}))
    build(root)
    _, tiles = everything(root / 'prepared')[made.crop_name(0)]
    stored = made.crop_s2(0, 4).transpose(3, 1, 2, 0)
    assert [tile.date for tile in tiles] == made.crop_dates(4)
    np.testing.assert_array_equal(np.stack([tile.bands for tile in tiles]), stored[::-1])


def table(root, rows):
    scenes.write_table(root / 'southsudan/list_eval_partition.csv', rows)


def dates(root, value):
    path = root / 'southsudan/s2' / f's2_{made.crop_name(0)}.json'
    path.write_text(json.dumps(value))


SPOILT = [
    (
        lambda root: (root / 'southsudan/list_eval_partition.csv').unlink(),
        'list_eval_partition.csv: cannot be read',
    ),
    (lambda root: table(root, [{'id': 0, 'part': 0}]), "rows with a column 'partition'"),
    (
        lambda root: table(root, [{'id': 0, 'partition': 0}, {'id': 1, 'partition': 3}]),
        "row 2: expected partition 0, 1 or 2, found '3'",
    ),
    (
        lambda root: table(root, [{'id': '../../x', 'partition': 0}]),
        "row 1: expected a number as id, found '../../x'",
    ),
    (
        lambda root: table(root, [{'id': 1, 'partition': 0}, {'id': '001', 'partition': 1}]),
        'expected each id once, found southsudan_000001 twice',
    ),
    (lambda root: dates(root, {'dates': made.crop_dates(3)}), 'each of 4 images, found 3'),
    (lambda root: dates(root, {'days': []}), 'json: expected a list "dates"'),
    (lambda root: dates(root, {'dates': ['June']}), 'expected dates like 2017-01-15'),
    (
        lambda root: np.savez(npz(root, 'npy'), s2=made.crop_s2(0, 4)[:9]),
        r'expected s2 \[10, h, w, dates\], found \(9, 16, 16, 4\)',
    ),
    (lambda root: np.savez(npz(root, 'npy'), x=np.ones(1)), "expected an array 's2', found x"),
    (
        lambda root: np.savez(npz(root, 'truth'), truth=np.ones((16, 15))),
        r'expected truth \(16, 16\) as its images, found \(16, 15\)',
    ),
    (lambda root: np.savez(npz(root, 'truth'), truth=np.full((16, 16), 'x')), 'expected numbers'),
    (
        lambda root: [npz(root, 'npy', number).unlink() for number in range(6)],
        'none of 6 fields can be read; the first: southsudan_000000',
    ),
]


@pytest.mark.parametrize(('spoil', 'message'), SPOILT, ids=[message for _, message in SPOILT])
def test_a_bad_source_is_named(tmp_path, spoil, message):
    root = made.write_crops(tmp_path)
    spoil(root)
    with pytest.raises(InputError, match=message):
        build(root)
    assert not list((tmp_path / 'prepared').rglob('*.array_record*'))


def test_the_verb_builds_it(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    verb.add(parser.add_subparsers(dest='verb'))
    where = ['--data-dir', str(tmp_path / 'prepared')]
    root = str(made.write_crops(tmp_path))
    words = ['data', 'build', 'crop_type_south_sudan', '--source', root, '--workers', '1', *where]
    arguments = parser.parse_args(words)
    assert arguments.run(arguments, []) == 0
    assert '6 of 6 rows kept (train 2, val 2, test 2), 42 tile dates' in capsys.readouterr().out
    arguments = parser.parse_args(['data', 'check', 'crop_type_south_sudan', *where])
    assert arguments.run(arguments, []) == 0
    assert 'Sound.' in capsys.readouterr().out
