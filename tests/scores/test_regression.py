import numpy as np
from sklearn.metrics import r2_score

from gair_jax.scores import regression


def test_r2_equals_scikit_learn(rng):
    target, predicted = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    assert np.isclose(regression.r2(predicted, target), r2_score(target, predicted))


def test_the_mean_scores_zero_and_the_target_one(rng):
    target = rng.normal(size=(50, 2))
    assert np.isclose(regression.r2(np.tile(target.mean(axis=0), (50, 1)), target), 0.0)
    assert regression.r2(target, target) == 1.0


def test_an_output_that_does_not_vary_is_left_out():
    target = np.array([[1.0, 4.0], [2.0, 4.0], [3.0, 4.0]])
    assert regression.r2(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]), target) == 1.0
    assert np.isnan(regression.r2(target[:, 1:], target[:, 1:]))
