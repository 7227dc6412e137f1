import pickle

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input import records
from gair_jax.input.store import Store
from tests.input import toy


def test_our_fast_reading_equals_that_of_tfds(toy_config):
    import tensorflow_datasets as tfds

    store = Store(toy_config.data)
    for kind, split in (('photos', 'train'), ('acquisitions', 'tiles')):
        ours = store.tiles if kind == 'acquisitions' else store.photos(split)
        theirs = tfds.builder_from_directory(str(ours.folder)).as_data_source(split=split)
        for index in range(len(ours)):
            example = ours.example(index)
            assert example.keys() == theirs[index].keys()
            for name, value in theirs[index].items():
                np.testing.assert_array_equal(example[name], value)


def test_a_photo_leads_to_its_tile_over_three_shards(toy_config):
    store = Store(toy_config.data)
    assert len(list(store.tiles.folder.glob('*.array_record-*-of-00003'))) == 3
    photos = [photo for photo in store.photos('train') if photo.acquisitions]
    assert len({photo.tile for photo in photos}) == 4
    for photo in photos:
        for date, row in enumerate(photo.acquisitions):
            assert store.tiles[row].id == f'tile{photo.tile}/{date}'


def test_a_store_can_be_pickled_after_reading(toy_config):
    store = Store(toy_config.data)
    tile = store.tiles[5]
    again = pickle.loads(pickle.dumps(store)).tiles[5]
    assert again.id == tile.id
    np.testing.assert_array_equal(again.bands, tile.bands)


def test_an_absent_data_set_says_what_makes_it(tmp_path, toy_config):
    toy_config.data.variant = 'large'
    with pytest.raises(InputError, match='variant large .only tiny.; `gair data build toy'):
        Store(toy_config.data)
    toy_config.data.dir = str(tmp_path)
    with pytest.raises(InputError, match='gair data build toy --variant=large'):
        Store(toy_config.data)


def test_an_unknown_split_is_named(toy_config):
    with pytest.raises(InputError, match="expected split train or val, found 'test'"):
        Store(toy_config.data).photos('test')


def test_a_set_without_tiles_has_none(tmp_path):
    photos = [toy.photo(0, 0, tile=-1, acquisitions=[])]
    store = Store(toy.write(tmp_path, {'train': photos}, []).data)
    assert len(store.tiles) == 0
    assert len(store.photos('train')) == 1


def damage(path, how):
    data = path.read_bytes()
    middle = len(data) // 2
    if how == 'truncated':
        path.write_bytes(data[:middle])
    elif how == 'empty':
        path.write_bytes(b'')
    else:
        end = len(data.rstrip(b'\0')) // 3
        path.write_bytes(data[: end - 500] + bytes(1000) + data[end + 500 :])


@pytest.mark.parametrize('how', ['truncated', 'empty', 'overwritten'])
def test_a_damaged_file_is_named_with_the_index(tmp_path, how):
    tiles = [toy.acquisition(tile, 0) for tile in range(6)]
    config = toy.write(tmp_path, {'train': [toy.photo(0, 0)]}, tiles, shards=2)
    store = Store(config.data)
    path = sorted(store.tiles.folder.glob('*-of-00002'))[1]
    damage(path, how)
    store = Store(config.data)
    with pytest.raises(InputError, match=rf'{path.name}: record \d \(tiles [345]\) cannot be read'):
        [tile.id for tile in store.tiles]
    assert store.tiles[0].id == 'tile0/0'


def test_bytes_that_are_no_pixels_are_named(tmp_path):
    class Broken(records.Acquisition):
        def to_example(self):
            return {**super().to_example(), 'bands': b'no zstd frame'}

    tile = toy.acquisition(0, 0)
    config = toy.write(tmp_path, {'train': [toy.photo(0, 0)]}, [Broken(**vars(tile))])
    with pytest.raises(InputError, match='record 0 .tiles 0. cannot be read.*do not decompress'):
        Store(config.data).tiles[0]
