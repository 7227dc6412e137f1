import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import few_labels


def test_few_labels_keep_the_classes_and_nest(rng):
    ids = [f'{i:05d}' for i in range(1000)]
    target = rng.choice(3, size=1000, p=[0.9, 0.09, 0.01])
    draws = [few_labels.of_share(ids, target, share) for share in (0.01, 0.1, 1.0)]
    for share, rows in zip((0.01, 0.1, 1.0), draws, strict=True):
        for kind in range(3):
            own = np.count_nonzero(target == kind)
            assert np.count_nonzero(target[rows] == kind) == max(1, int(share * own + 0.5))
    assert set(draws[0]) < set(draws[1]) < set(draws[2])
    assert set(few_labels.of_share(ids, target, 0.1, seed=1)) != set(draws[1])


def test_few_numbers_come_from_every_bin(rng):
    ids = [f'{i:05d}' for i in range(1000)]
    target = np.exp(rng.normal(size=1000))
    rows = few_labels.of_share(ids, target, 0.05)
    bins = np.searchsorted(np.quantile(target, np.arange(1, 10) / 10), target[rows], 'right')
    np.testing.assert_array_equal(np.bincount(bins, minlength=10), [5] * 10)


def test_a_count_of_each_class():
    ids = [str(i) for i in range(10)]
    target = np.array([0] * 7 + [1] * 3)
    rows = few_labels.of_each(ids, target, 3)
    np.testing.assert_array_equal(np.bincount(target[rows]), [3, 3])
    with pytest.raises(InputError, match=r'class 1: expected 1\.\.3 rows, found 4 asked'):
        few_labels.of_each(ids, target, 4)


def test_ids_that_repeat():
    with pytest.raises(InputError, match='ids: expected unique ones, found 1 repeated'):
        few_labels.of_share(['a', 'a'], np.zeros(2, np.int64), 0.5)


def test_one_number_a_row_is_drawn_by_tenths_and_several_as_they_come(rng):
    values = rng.normal(size=(200, 2))
    few = few_labels.Labels(per_class=3)
    assert few.subsets(values[:, :1], 2, 0).sum(axis=1).tolist() == [30, 30]
    assert few.subsets(values, 2, 0).sum(axis=1).tolist() == [3, 3]
    assert few_labels.Labels(share=1.0).subsets(values, 5, 0).sum(axis=1).tolist() == [200]
    assert [few.name, few_labels.Labels(share=0.001).name] == ['3 a class', '0.1%']
