import sys

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input import records
from gair_jax.input.store import Store
from tests.input import toy

AWKWARD = 139.7460578479397  # differs from its float32 by 0.6 m of longitude


def same(a, b):
    """Equal in every field, arrays bit for bit and of the same type."""
    for name, value in vars(a).items():
        other = vars(b)[name]
        pairs = value.items() if isinstance(value, dict) else [(name, value)]
        for key, item in pairs:
            found = other[key] if isinstance(value, dict) else other
            if isinstance(item, np.ndarray | float):
                item, found = np.asarray(item), np.asarray(found)
                assert item.dtype == found.dtype, key
                assert item.shape == found.shape, key
                assert item.tobytes() == found.tobytes(), key
            else:
                assert item == found, key


def test_records_survive_writing_bit_for_bit(tmp_path):
    photos = [
        toy.photo(0, 0, lonlat=np.array([AWKWARD, -1e-300]), heading=AWKWARD),
        toy.photo(1, 0, photo=bytes(range(256)) + b'\0\0', licence='Zürich ©', date='2020-02-29'),
        toy.photo(2, 0, photo=b'', tile=-1, acquisitions=[]),
    ]
    tile = toy.acquisition(0, 0, bounds=np.array([AWKWARD, 2.0, 3.0, -0.0]), cloud=0.1)
    store = Store(toy.write(tmp_path, {'train': photos}, [tile]).data)
    stored = {photo.id: photo for photo in store.photos('train')}
    for photo in photos:
        same(photo, stored[photo.id])
    same(tile, store.tiles[0])
    assert store.metadata['synthetic'] is True
    assert 'tensorflow' not in sys.modules


def test_a_float64_label_is_refused():
    with pytest.raises(InputError, match='label height: expected float32.*float64'):
        records.photo_features({'height': ((), np.float64)})
