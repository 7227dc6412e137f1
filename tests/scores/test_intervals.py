import numpy as np
import pytest
from scipy import stats

from gair_jax.scores.intervals import (
    bootstrap,
    over_seeds,
    paired_difference,
    percentiles,
    resampled,
)


def test_interval_of_a_mean_has_the_width_of_the_normal_law(rng):
    values = rng.normal(size=400)
    low, high = bootstrap(lambda rows: values[rows].mean(), np.arange(400), resamples=2000)
    width = 2 * 1.96 * values.std() / np.sqrt(400)
    assert abs((high - low) / width - 1) < 0.1
    assert low < values.mean() < high


def test_copies_in_a_group_do_not_narrow_the_interval(rng):
    values = rng.normal(size=100)
    once = bootstrap(lambda rows: values[rows].mean(), np.arange(100))
    copied = np.repeat(values, 8)
    often = bootstrap(lambda rows: copied[rows].mean(), np.repeat(np.arange(100), 8))
    np.testing.assert_allclose(often, once)


def test_groups_stay_whole_in_any_row_order(rng):
    groups = rng.permutation(np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9]))

    def whole(rows):
        counts = np.bincount(rows, minlength=45)
        return float(all(len(set(counts[groups == g])) == 1 for g in range(9)))

    assert bootstrap(whole, groups, resamples=50) == (1.0, 1.0)


def test_a_score_without_value_gives_nan():
    assert np.isnan(bootstrap(lambda rows: float('nan'), np.arange(4), resamples=5)).all()


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(30.0)
    one, two = (bootstrap(lambda rows: values[rows].mean(), np.arange(30)) for _ in range(2))
    assert one == two


def test_a_paired_difference_does_not_see_what_both_share(rng):
    shared, groups = rng.normal(size=50), np.arange(50)
    value, low, high = paired_difference(
        lambda r: (shared[r] + 0.25).mean(), lambda r: shared[r].mean(), groups, resamples=50
    )
    np.testing.assert_allclose([value, low, high], 0.25)


def test_a_paired_difference_has_the_width_of_the_normal_law(rng):
    one, other = rng.normal(size=(2, 400))
    value, low, high = paired_difference(
        lambda r: one[r].mean(), lambda r: other[r].mean(), np.arange(400), resamples=2000
    )
    assert np.isclose(value, one.mean() - other.mean())
    width = 2 * 1.96 * (one - other).std() / np.sqrt(400)
    assert abs((high - low) / width - 1) < 0.1


def test_sums_of_drawn_groups_are_those_of_the_rows_that_the_bootstrap_draws(rng):
    values, groups = rng.normal(size=60), rng.permutation(np.arange(60) % 11)
    tallies = np.stack([np.bincount(groups), np.bincount(groups, weights=values)], axis=1)
    means = []
    bootstrap(lambda rows: means.append(values[rows].mean()) or 0.0, groups, resamples=70, seed=3)
    sums = resampled(tallies, resamples=70, seed=3)
    np.testing.assert_allclose(sums[:, 1] / sums[:, 0], means)


def test_percentiles_leave_out_what_has_no_value():
    values = np.array([np.nan, *np.arange(101.0)])
    np.testing.assert_allclose(percentiles(values, level=0.9), (5.0, 95.0))
    assert np.isnan(percentiles(values[:1])).all()


def test_the_interval_over_seeds_is_that_of_students_t(rng):
    values = rng.normal(size=5)
    mean, low, high = over_seeds(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert [mean, low, high] == pytest.approx([values.mean(), *expected])


def test_one_seed_has_no_interval_and_none_no_mean():
    mean, low, high = over_seeds(np.array([0.5]))
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)
    assert np.isnan(over_seeds(np.zeros(0))).all()
