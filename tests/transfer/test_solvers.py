import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from gair_jax.config import InputError
from gair_jax.transfer import moments, solvers

PENALTIES = (1e-1, 1e-3)


@pytest.fixture(scope='module')
def problem():
    """600 correlated features off their origin, classes 0..2 and values that hang on them."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(12, 12)) * np.exp(-np.arange(12) / 3)
    x = (rng.normal(size=(600, 12)) @ mix.T + rng.normal(size=12)).astype(np.float32)
    score = x @ rng.normal(size=(12, 3)) / 2
    y = np.argmax(score + rng.gumbel(size=score.shape), axis=1)
    subsets = np.stack([rng.random(600) < 0.5, rng.random(600) < 0.2, np.ones(600, bool)])
    return x, y, score + rng.normal(size=score.shape), subsets


def _standardised(x, subset):
    rows = x.astype(np.float64)  # scikit-learn solves float32 features in float32
    return (rows - rows[subset].mean(axis=0)) / rows[subset].std(axis=0)


def test_ridge_equals_scikit_learn(problem):
    x, _, y, subsets = problem
    ours = solvers.ridge(x, y, subsets, PENALTIES).outputs(x)
    for s, subset in enumerate(subsets):
        z = _standardised(x, subset)
        for p, penalty in enumerate(PENALTIES):
            # Theirs penalises the sum of squares, ours the mean.
            theirs = Ridge(alpha=penalty * subset.sum()).fit(z[subset], y[subset])
            # Values of up to 22; float32 moments differ from one kind of CPU to the next.
            np.testing.assert_allclose(ours[s, p], theirs.predict(z), atol=1e-3)


def test_logistic_equals_scikit_learn(problem):
    x, y, _, subsets = problem
    ours = jax.nn.softmax(solvers.logistic(x, y, subsets, PENALTIES, 3).outputs(x))
    for s, subset in enumerate(subsets):
        z = _standardised(x, subset)
        for p, penalty in enumerate(PENALTIES):
            # C weighs the summed cross entropy against |w|^2 / 2.
            theirs = LogisticRegression(C=1 / (penalty * subset.sum()), tol=1e-8, max_iter=1000)
            expected = theirs.fit(z[subset], y[subset]).predict_proba(z)
            np.testing.assert_allclose(ours[s, p], expected, atol=1e-3)


@pytest.mark.slow
def test_blocks_change_nothing(problem, monkeypatch):
    x, y, values, subsets = problem
    whole = solvers.logistic(x, y, subsets, PENALTIES, 3), solvers.ridge(x, values, subsets, [1.0])
    monkeypatch.setattr(moments, 'BLOCK', 70)  # the last one is not full
    parts = solvers.logistic(x, y, subsets, PENALTIES, 3), solvers.ridge(x, values, subsets, [1.0])
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.outputs(x), b.outputs(x), atol=2e-3)


def test_a_subset_is_as_if_the_other_rows_were_not_there(problem):
    x, _, values, subsets = problem
    kept = subsets[1]
    alone = solvers.ridge(x[kept], values[kept], np.ones((1, kept.sum()), bool), PENALTIES)
    among = solvers.ridge(x, values, subsets[1:2], PENALTIES)
    # Weights of directions in which x hardly varies magnify float32.
    np.testing.assert_allclose(alone.outputs(x), among.outputs(x), atol=1e-3)


def test_a_class_that_a_subset_lacks_is_never_answered(problem):
    x, y, _, _ = problem
    subsets = np.stack([y != 1, np.ones(len(y), bool), y < 2])
    answers = solvers.logistic(x, y, subsets, PENALTIES, 3).outputs(x).argmax(axis=-1)
    assert not (answers[0] == 1).any()
    assert (answers[1] == 1).any()


@pytest.mark.slow
def test_features_that_do_not_vary_get_no_weight(problem):
    x, y, values, subsets = problem
    wider = np.concatenate([x, np.full((len(x), 1), 7.0, np.float32)], axis=1)
    for fits in (
        solvers.ridge(wider, values, subsets, PENALTIES),
        solvers.logistic(wider, y, subsets, PENALTIES, 3),
    ):
        assert not fits.weights[:, :, -1].any()


def test_the_slope_in_one_pass_is_that_of_the_plain_cross_entropy(rng):
    x, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(3, size=20)
    used = np.arange(20) % 3 > 0
    weights, bias = jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=3))
    mean = jnp.asarray(rng.normal(size=4))

    def plain(weights, bias):
        log_p = jax.nn.log_softmax((x - mean[None]) @ weights + bias[None])
        return -log_p[np.arange(20), y][used].mean()

    rows = moments.blocks(x, y.astype(np.int32), used[None])
    rows = rows._replace(used=rows.used[0])
    expected = jax.value_and_grad(plain, argnums=(0, 1))(weights, bias)
    found = solvers._cross_entropy(rows, mean, jnp.ones(3, bool), weights, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), expected, found)


@pytest.mark.parametrize('y', [np.array([0, 3]), np.array([-1, 0])])
def test_classes_out_of_range(y):
    with pytest.raises(InputError, match=r'classes: expected 0 to 2, found'):
        solvers.logistic(np.zeros((2, 1), np.float32), y, np.ones((1, 2), bool), [1.0], 3)


def test_a_subset_without_rows():
    subsets = np.array([[True, True], [False, False]])
    with pytest.raises(InputError, match='subset 1 has no row'):
        solvers.ridge(np.ones((2, 1), np.float32), np.ones((2, 1)), subsets, [1.0])
