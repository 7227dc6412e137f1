"""Train, val and test within each city."""

import numpy as np
import pandas as pd
import pytest

from gair_jax.builders import city_splits


def table(cities, **columns):
    ids = [f'{i:04d}' for i in range(len(cities))]
    return pd.DataFrame({'id': ids, 'group': cities, **columns})


def counts(splits):
    return tuple(int((splits == name).sum()) for name in ('train', 'val', 'test'))


@pytest.mark.parametrize(('n', 'expected'), [(5, (3, 1, 1)), (7, (4, 1, 2)), (4, (4, 0, 0))])
def test_a_city_is_cut_as_the_protocol_rounds(n, expected):
    assert counts(city_splits.draw(table(['a'] * n), seed=0)) == expected


def test_every_city_is_in_every_part_and_order_changes_nothing():
    rng = np.random.default_rng(0)
    rows = table(rng.choice(list('abcdef'), size=300))
    splits = city_splits.draw(rows, seed=3)
    for name in ('train', 'val', 'test'):
        assert set(rows.group[splits == name]) == set('abcdef')
    pd.testing.assert_series_equal(
        splits, city_splits.draw(rows.sample(frac=1, random_state=0), seed=3).sort_index()
    )
    assert (splits != city_splits.draw(rows, seed=4)).any()


def test_photos_of_a_sequence_stay_together():
    rng = np.random.default_rng(0)
    rows = table(['a'] * 400, sequence=rng.integers(40, size=400))
    splits = city_splits.draw(rows, seed=0, by='sequence')
    assert (splits.groupby(rows.sequence).nunique() == 1).all()
    np.testing.assert_allclose(counts(splits), [240, 80, 80], atol=20)
