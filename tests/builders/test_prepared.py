import dataclasses
import tempfile

import numpy as np
import pytest
from tensorflow_datasets.core import shuffle

from gair_jax.builders import build_report, photos, prepared, staging, variants
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from tests.builders import test_staging

CONTENT = prepared.Content(
    labels={'a': ((), np.float32), 'b': ((2, 3), np.int64)},
    tile_labels=('mask',),
    metadata={'bands': ['B02'], 'synthetic': True, 'tasks': {}},
)


def make(index):
    """Chunk i holds tile i, which its own photos refer to."""
    pixels = np.full((2, 3, 4), index, np.uint16)
    dates = [
        {
            **test_staging.acquisition(index),
            'id': f'a{index}_{date}',
            'date': date,
            'tile_key': f't{index}',
            'bands': pixels,
        }
        for date in ('2024-03-01', '2024-01-01')
    ]
    names = [f'p{index}_{number}' for number in range(5)]
    taken = [{**test_staging.photo(name), 'tile_key': f't{index}'} for name in names]
    return staging.Chunk(taken, dates, [])


def prepare(folder, **changed):
    options = {
        'variant': 'tiny',
        'data_dir': folder,
        'fingerprint': {'seed': 1},
        'content': CONTENT,
        'chunks': 3,
        'make': make,
        'workers': 1,
    }
    return prepared.prepare(photos.Photos, **{**options, **changed})


def test_every_photo_finds_its_tile_by_date(tmp_path):
    metadata = prepare(tmp_path)
    assert metadata['counts'] == {'train': 12, 'val': 3, 'tiles': 6}
    source = store.Store(DataConfig(dir=str(tmp_path), name='photos', variant='tiny'))
    assert source.splits == {'train': 12, 'val': 3}
    tiles = set()
    for split in source.splits:
        for photo in source.photos(split):
            index = int(photo.id[1])
            dates = [source.tiles[row] for row in photo.acquisitions]
            assert [date.date for date in dates] == ['2024-01-01', '2024-03-01']
            assert {date.tile for date in dates} == {photo.tile}
            assert all((date.bands == index).all() for date in dates)
            # The number that a float64 feature of TFDS would cut to 32 bits.
            assert photo.lonlat[0] == dates[0].bounds[0] == 139.7460578479397
            np.testing.assert_array_equal(photo.labels['b'], np.arange(6).reshape(2, 3))
            assert photo.labels['a'] == np.float32(0.1)
            tiles.add(photo.tile)
    assert tiles == {0, 1, 2}


def test_records_of_many_files_keep_the_order_of_the_input(tmp_path, monkeypatch):
    """No record passes through TFDS's shuffling, which needs TensorFlow for more than 1 GB."""
    monkeypatch.setattr(prepared, 'PER_SHARD', {'acquisitions': 4, 'photos': 5})
    monkeypatch.setattr(prepared, '_AT_ONCE', 2)
    monkeypatch.setattr(shuffle, 'Shuffler', None)
    prepare(tmp_path)
    for kind, files in (('acquisitions', 2), ('photos', 4)):
        where = variants.config_dir(tmp_path, 'photos', 'tiny', kind)
        assert len(list(where.glob('*array_record*'))) == files
    source = store.Store(DataConfig(dir=str(tmp_path), name='photos', variant='tiny'))
    ids = [photo.id for photo in source.photos('train')]
    assert ids == sorted(ids) and len(ids) == 12
    dates = [tile.id for tile in source.tiles]
    assert dates == [f'a{i}_{d}' for i in range(3) for d in ('2024-03-01', '2024-01-01')]


def test_metadata_of_builder_and_build_travel_with_the_set(tmp_path):
    metadata = prepare(tmp_path, accept=lambda folder: {'failed': 7})
    assert metadata['failed'] == 7 and metadata['build'] == {'seed': 1}
    source = store.Store(DataConfig(dir=str(tmp_path), name='photos', variant='tiny'))
    assert source.metadata == metadata and metadata['synthetic'] is True


def test_a_build_leaves_nothing_among_temporary_files(tmp_path, monkeypatch):
    (tmp_path / 'temporary').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
    prepare(tmp_path / 'prepared')
    assert list((tmp_path / 'temporary').iterdir()) == []


def test_a_refused_build_writes_no_record(tmp_path):
    def refuse(folder):
        raise InputError('not good enough')

    with pytest.raises(InputError, match='not good enough'):
        prepare(tmp_path, accept=refuse)
    assert not list(tmp_path.rglob('*array_record*'))


def test_a_finished_set_is_neither_made_again_nor_replaced(tmp_path):
    first = prepare(tmp_path)
    assert prepare(tmp_path, make=None) == first
    with pytest.raises(InputError, match='another --variant'):
        prepare(tmp_path, fingerprint={'seed': 2})


def test_chunks_left_by_a_kill_after_the_last_rename_are_removed(tmp_path):
    prepare(tmp_path)
    left = variants.staging_dir(tmp_path, 'photos', 'tiny') / 'chunk-000000'
    left.mkdir(parents=True)
    prepare(tmp_path)
    assert not left.parent.exists()


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / 'photos').write_text('a file where a folder should be')
    with pytest.raises(InputError, match='cannot be written'):
        prepare(tmp_path)


def test_other_errors_of_a_builder_are_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    def fail(made, expected, per_shard):
        raise RuntimeError('something else')

    monkeypatch.setattr(prepared, '_write', fail)
    with pytest.raises(RuntimeError, match='something else'):
        prepare(tmp_path)


def test_build_report_reads_as_two_lines(tmp_path):
    metadata = prepare(tmp_path, accept=lambda folder: {'failed': 5})
    report = build_report.report(tmp_path, 'photos', 'tiny', metadata, ['Said so.'])
    assert report.rows == 20 and dataclasses.asdict(report)['splits'] == {'train': 12, 'val': 3}
    assert str(report).startswith('photos/tiny: 15 of 20 rows kept (train 12, val 3), 6 tile dates')
    assert str(report).endswith('\nSaid so.')
