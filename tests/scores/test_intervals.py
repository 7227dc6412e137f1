import numpy as np

from gair_jax.scores.intervals import bootstrap


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
