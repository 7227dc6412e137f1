import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import splits


def test_burn_scars_are_split_as_the_benchmark_does():
    # The first indices of shared/parity/decoders/split_hlsburnscars and of the specification.
    train, val = splits.burn_scars(540)
    assert (len(train), len(val)) == (486, 54)
    np.testing.assert_array_equal(val[:5], [226, 394, 117, 148, 19])
    np.testing.assert_array_equal(train[:5], [271, 531, 444, 172, 464])


def test_a_block_of_ground_is_in_one_part(rng):
    lonlat = rng.uniform([5, 45], [8, 47], (500, 2))
    split = splits.per_block([f'{i:04d}' for i in range(500)], lonlat, km=20)
    assert sorted(np.concatenate(split)) == list(range(500))
    cells = splits.spatial_blocks(lonlat, 20)
    homes = [set(cells[part].tolist()) for part in split]
    assert not (homes[0] & homes[2] or homes[0] & homes[1] or homes[1] & homes[2])


def test_few_labels_keep_the_classes_and_nest(rng):
    ids = [f'{i:05d}' for i in range(1000)]
    target = rng.choice(3, size=1000, p=[0.9, 0.09, 0.01])
    draws = [splits.few_shot_share(ids, target, share) for share in (0.01, 0.1, 1.0)]
    for share, rows in zip((0.01, 0.1, 1.0), draws, strict=True):
        for kind in range(3):
            own = np.count_nonzero(target == kind)
            assert np.count_nonzero(target[rows] == kind) == max(1, int(share * own + 0.5))
    assert set(draws[0]) < set(draws[1]) < set(draws[2])
    assert set(splits.few_shot_share(ids, target, 0.1, seed=1)) != set(draws[1])


def test_few_numbers_come_from_every_bin(rng):
    ids = [f'{i:05d}' for i in range(1000)]
    target = np.exp(rng.normal(size=1000))
    rows = splits.few_shot_share(ids, target, 0.05)
    bins = np.searchsorted(np.quantile(target, np.arange(1, 10) / 10), target[rows], 'right')
    np.testing.assert_array_equal(np.bincount(bins, minlength=10), [5] * 10)


def test_a_count_of_each_class():
    ids = [str(i) for i in range(10)]
    target = np.array([0] * 7 + [1] * 3)
    rows = splits.few_shot_count(ids, target, 3)
    np.testing.assert_array_equal(np.bincount(target[rows]), [3, 3])
    with pytest.raises(InputError, match=r'class 1: expected 1\.\.3 rows, found 4 asked'):
        splits.few_shot_count(ids, target, 4)


def test_a_fingerprint_knows_the_rows_of_each_part_not_their_order():
    ids = ['a', 'b', 'c']
    one = {'train': np.array([0, 1]), 'test': np.array([2])}
    mark = splits.fingerprint(one, ids)
    assert mark == splits.fingerprint({'test': np.array([2]), 'train': np.array([1, 0])}, ids)
    assert mark != splits.fingerprint({'train': np.array([0, 2]), 'test': np.array([1])}, ids)


def test_ids_that_repeat():
    with pytest.raises(InputError, match='ids: expected unique ones, found 1 repeated'):
        splits.per_block(['a', 'a'], np.zeros((2, 2)), km=1)
