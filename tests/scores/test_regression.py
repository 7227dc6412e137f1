import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from gair_jax.config import InputError
from gair_jax.geo.sphere import great_circle_m
from gair_jax.scores import regression


def _mean_r2(predicted, target):
    return regression.errors(predicted, target).mean()['r2']


def test_r2_equals_scikit_learn(rng):
    target, predicted = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    assert np.isclose(_mean_r2(predicted, target), r2_score(target, predicted))


def test_the_mean_scores_zero_and_the_target_one(rng):
    target = rng.normal(size=(50, 2))
    assert np.isclose(_mean_r2(np.tile(target.mean(axis=0), (50, 1)), target), 0.0)
    assert _mean_r2(target, target) == 1.0


def test_an_output_that_does_not_vary_is_left_out():
    target = np.array([[1.0, 4.0], [2.0, 4.0], [3.0, 4.0]])
    assert _mean_r2(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]), target) == 1.0
    assert np.isnan(_mean_r2(target[:, 1:], target[:, 1:]))


def test_errors_equal_scikit_learn_where_the_target_is_known(rng):
    target, predicted = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    target[:7, 1] = np.nan
    found = regression.errors(predicted, target)
    for column, rows in ((0, slice(0, None)), (1, slice(7, None))):
        pair = target[rows, column], predicted[rows, column]
        assert np.isclose(found.rmse[column], np.sqrt(mean_squared_error(*pair)))
        assert np.isclose(found.mae[column], mean_absolute_error(*pair))
        assert np.isclose(found.r2[column], r2_score(*pair))
    assert np.isclose(found.mean()['rmse'], found.rmse.mean())


def test_a_target_without_value_is_left_out_of_the_means():
    target = np.array([[1.0, np.nan], [2.0, np.nan]])
    found = regression.errors(np.array([[1.0, 5.0], [4.0, 5.0]]), target)
    assert np.isnan([found.rmse[1], found.mae[1], found.r2[1]]).all()
    assert found.mean() == {'rmse': np.sqrt(2.0), 'mae': 1.0, 'r2': -7.0}


def test_a_missing_prediction_is_not_left_out():
    found = regression.errors(np.array([[np.nan], [1.0]]), np.array([[0.0], [1.0]]))
    assert np.isnan(found.rmse[0])


def test_the_nearest_place_is_that_of_the_great_circle(rng):
    def draw(n):
        return np.stack([rng.uniform(-180, 180, n), rng.uniform(-90, 90, n)], axis=-1)

    places, lonlat = draw(60), draw(200)
    expected = great_circle_m(lonlat[:, None], places[None]).argmin(axis=1)
    np.testing.assert_array_equal(regression.nearest_place(places, lonlat), expected)


def test_the_nearest_place_may_lie_across_the_date_line():
    places = np.array([[170.0, 0.0], [-179.9, 0.0]])
    assert regression.nearest_place(places, np.array([[179.9, 0.0]])).tolist() == [1]


def test_no_training_place_is_refused():
    with pytest.raises(InputError, match='at least 1'):
        regression.nearest_place(np.zeros((0, 2)), np.zeros((1, 2)))


def test_sums_of_groups_add_up_to_the_errors_of_all_rows(rng):
    target, predicted = 1e4 + rng.normal(size=(40, 2)), 1e4 + rng.normal(size=(40, 2))
    target[:7, 1] = np.nan
    groups = rng.integers(5, size=40)
    sums = regression.error_sums(predicted, target, groups, n_groups=6)
    for rows, total in ((slice(None), sums.sum(axis=0)), (groups == 3, sums[3])):
        expected = regression.errors(predicted[rows], target[rows])
        for name, values in regression.sum_errors(total)._asdict().items():
            np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-9)
    assert np.isnan(regression.sum_errors(sums).rmse[5]).all()


def test_draws_of_a_target_that_does_not_vary_have_no_r2():
    target = np.array([[0.1], [0.1], [0.1], [7.3]])
    sums = regression.error_sums(np.zeros((4, 1)), target, np.array([0, 0, 1, 2]), n_groups=3)
    drawn = np.stack([3 * sums[0] + sums[1], 2 * sums[0] + sums[2]])
    found = regression.sum_errors(drawn).r2[:, 0]
    assert np.isnan(found[0])
    rows = np.array([0.1] * 4 + [7.3])
    assert np.isclose(found[1], r2_score(rows, np.zeros(5)))
