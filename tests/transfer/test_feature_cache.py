import json
import tracemalloc

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import feature_cache
from gair_jax.transfer.feature_cache import FeatureCache

KEY = {'params': 'a' * 64, 'split': 'train'}


class Encoder:
    """Row i -> (i, i squared); counts what it is asked for, and dies before row `dies`."""

    def __init__(self, dies=10**9):
        self.dies, self.asked = dies, []

    def __call__(self, rows):
        if rows[-1] >= self.dies:
            raise KeyboardInterrupt
        self.asked += rows.tolist()
        return np.stack([rows, rows**2], axis=1).astype(np.float32)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(feature_cache, 'ROWS', 4)


def test_features_are_made_once(tmp_path):
    encoder = Encoder()
    expected = encoder(np.arange(10))
    for _ in range(2):
        found = FeatureCache(tmp_path, KEY).features('sv', 10, encoder)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32
    assert encoder.asked == 2 * list(range(10))  # the expected ones, and one pass


def test_a_run_that_died_goes_on_behind_its_last_whole_block(tmp_path):
    dying, encoder = Encoder(dies=9), Encoder()
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, KEY).features('sv', 10, dying)
    found = FeatureCache(tmp_path, KEY).features('sv', 10, encoder)
    assert (dying.asked, encoder.asked) == (list(range(8)), [8, 9])
    np.testing.assert_array_equal(found, Encoder()(np.arange(10)))
    assert {path.name for path in tmp_path.glob('*/*')} == {'key.json', 'sv.npy'}


def test_a_block_whose_note_was_not_written_is_made_again(tmp_path, monkeypatch):
    def dies(path, text):
        raise KeyboardInterrupt

    cache = FeatureCache(tmp_path, KEY)
    monkeypatch.setattr(feature_cache, '_replace', dies)
    with pytest.raises(KeyboardInterrupt):
        cache.features('sv', 10, Encoder())
    monkeypatch.undo()
    encoder = Encoder()
    np.testing.assert_array_equal(cache.features('sv', 10, encoder), Encoder()(np.arange(10)))
    assert encoder.asked == list(range(10))


@pytest.mark.parametrize('other', [{'params': 'b' * 64}, {'split': 'val'}, {'size': 96}])
def test_another_key_never_gets_these_features(tmp_path, other):
    FeatureCache(tmp_path, KEY).features('sv', 10, Encoder())
    encoder = Encoder()
    FeatureCache(tmp_path, KEY | other).features('sv', 10, encoder)
    assert encoder.asked == list(range(10))


def test_a_folder_with_another_key_is_refused(tmp_path):
    cache = FeatureCache(tmp_path, KEY)
    (cache.folder / 'key.json').write_text(json.dumps({'params': 'b' * 64}))
    with pytest.raises(InputError, match=r'key\.json: expected the key of these features'):
        FeatureCache(tmp_path, KEY)


def test_another_number_of_rows_is_refused(tmp_path):
    cache = FeatureCache(tmp_path, KEY)
    cache.features('sv', 10, Encoder())
    with pytest.raises(InputError, match=r'sv\.npy: expected 12 rows, found 10'):
        cache.features('sv', 12, Encoder())


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / 'root').write_text('')
    with pytest.raises(InputError, match='cannot be used as a cache'):
        FeatureCache(tmp_path / 'root', KEY)


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, 'ROWS', 64)

    def peak(count):
        tracemalloc.start()
        found = FeatureCache(tmp_path, KEY | {'n': count}).features(
            'sv', count, lambda rows: np.ones((len(rows), 256), np.float32)
        )
        assert found.shape == (count, 256)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    small, large = peak(256), peak(256 * 40)
    assert large < small + 65_536  # a block is 64 KiB; all rows are 10 MiB
