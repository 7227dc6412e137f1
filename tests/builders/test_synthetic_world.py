import pathlib

import numpy as np
import pytest

from gair_jax.builders import catalogue, synthetic_world
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from gair_jax.input.synthetic import tiles

SIZE = tiles.Size(24, 8, 14, 2, 2, 3, (16, 24))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiles.SIZES, 'tiny', SIZE)
        where = tmp_path_factory.mktemp('synthetic')
        report = synthetic_world.build(data_dir=where / 'one', workers=1)
        synthetic_world.build(data_dir=where / 'two', workers=2)
    assert report.splits == {'train': 112, 'val': 16, 'test': 16}
    assert report.tiles == 4 * SIZE.tiles
    return where


def test_any_number_of_workers_writes_the_same_bytes(folder):
    files = [sorted((folder / k).rglob('*array_record*')) for k in ('one', 'two')]
    assert len(files[0]) == len(files[1]) >= 4
    for a, b in zip(*files, strict=True):
        assert a.name == b.name and a.read_bytes() == b.read_bytes()


def test_the_prepared_set_is_sound(folder):
    found = catalogue.check(folder / 'one', 'synthetic_world', 'tiny')
    assert not found.findings
    assert found.with_photo == found.with_tile == 8 * SIZE.tiles


def test_records_hold_what_the_generator_made(folder):
    data = DataConfig(dir=str(folder / 'one'), name='synthetic_world', variant='tiny')
    source = store.Store(data)
    made = {
        photo['id']: (photo, made.acquisitions)
        for made in (tiles.make_tile(0, SIZE, k) for k in range(SIZE.tiles))
        for photo in made.photos
    }
    for photo in (source.photos('test')[k] for k in (0, 7, 15)):
        expected, views = made[photo.id]
        assert photo.photo == expected['photo']
        np.testing.assert_array_equal(photo.lonlat, expected['lonlat'])
        for name, value in expected['labels'].items():
            np.testing.assert_array_equal(photo.labels[name], value)
        for row, view in zip(photo.acquisitions, views, strict=True):
            np.testing.assert_array_equal(source.tiles[row].bands, view['bands'])
            np.testing.assert_array_equal(
                source.tiles[row].labels['burn_scars'], view['labels']['burn_scars']
            )


def test_metadata_names_all_nine_tasks_and_what_is_synthetic(folder):
    data = DataConfig(dir=str(folder / 'one'), name='synthetic_world', variant='tiny')
    source = store.Store(data)
    metadata = source.metadata
    assert metadata['synthetic'] is True
    tasks = metadata['tasks']
    assert len(tasks) == 9
    assert {task['encoder'] for task in tasks.values()} == {'rs', 'sv', 'location'}
    photo, view = source.photos('train')[0], source.tiles[0]
    for task in tasks.values():
        labels = photo.labels if task['on'] == 'photo' else view.labels
        value = labels[task['label']]
        count = len(task['classes'])
        if task['kind'] == 'regression':
            assert value.shape == (count,)
        else:
            assert np.all((value >= 0) & (value < count))


def test_an_unknown_variant_or_seed_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(InputError, match='knows tiny or small, found .large.'):
        synthetic_world.build(variant='large', data_dir=tmp_path)
    with pytest.raises(InputError, match='seed: expected 0 or more, found -1'):
        synthetic_world.build(seed=-1, data_dir=tmp_path)
    assert not list(tmp_path.iterdir())
