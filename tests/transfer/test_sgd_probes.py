import dataclasses

import numpy as np
import pytest

from gair_jax.models.heads import Probe
from gair_jax.transfer import sgd_probes
from gair_jax.transfer.probes import Rows, Splits
from gair_jax.transfer.settings import NonlinearConfig

ONE, TWO = sgd_probes.Fitted(Probe), sgd_probes.Fitted()
# Of the same sizes, so that a program serves several tests.
CONVEX = NonlinearConfig(rates=(3e-2,), batch=50, epochs=60, weight_decay=0.0, seeds=2)


def _splits(make, sizes=(200, 60, 100)):
    rng = np.random.default_rng(0)
    return Splits(*(Rows(*make(rng, n), np.arange(n)) for n in sizes))


def _linear(rng, n):
    x = rng.normal(size=(n, 4)) * [1, 5, 0.1, 2] + 3
    weights = np.array([[1.0, 0.0], [0.2, 0.3], [0.0, -9.0], [0.1, 0.5]])
    return x.astype(np.float32), x @ weights + 0.3 * rng.normal(size=(n, 2))


def _xor(rng, n):
    """Two signs, eight times each with noise, and whether they differ: no linear map tells."""
    signs = rng.integers(2, size=(n, 2))
    x = np.tile(2 * signs - 1, 8) + 0.5 * rng.normal(size=(n, 16))
    return x.astype(np.float32), signs[:, 0] ^ signs[:, 1]


def _answers(splits, *, rates=(1e-3, 0.03), seed=0, hidden=True):
    settings = NonlinearConfig(rates=rates, batch=50, epochs=40, seeds=2)
    fitted = TWO if hidden else ONE
    return sgd_probes.predictions(splits, _all(splits), settings, seed=seed, fitted=fitted)


def _all(splits):
    return np.ones((1, len(splits.train.targets)), bool)


def _accuracy(answers, rows):
    return np.mean(answers == rows.targets, axis=1)


def test_a_linear_probe_reaches_the_closed_form():
    splits = _splits(_linear)
    found = sgd_probes.predictions(splits, _all(splits), CONVEX, fitted=ONE)
    x = [np.column_stack([rows.features, np.ones(len(rows.features))]) for rows in splits]
    expected = x[2] @ np.linalg.lstsq(x[0], splits.train.targets, rcond=None)[0]
    assert found.shape == (2, 100, 2)
    # Of targets that vary by about 1.8; the noise alone moves an answer by 0.3 sqrt(5 / 200).
    np.testing.assert_allclose(found, np.stack([expected] * 2), atol=0.15)
    assert np.abs(found - expected).mean() < 0.04


def test_a_rate_rises_over_a_twentieth_of_the_steps_and_falls_by_a_cosine():
    assert sgd_probes._rates(0.1, 'constant', 100) == 0.1
    rates = sgd_probes._rates(0.1, 'cosine', 100)
    found = [float(rates(step)) for step in (0, 1, 4, 52, 99)]
    # Of the 96 steps from the peak on, step 52 is half way, and the last is one short of the end.
    ends = 0.05 * (1 + np.cos(np.pi * np.array([0, 48, 95]) / 96))
    np.testing.assert_allclose(found, [0.02, 0.04, *ends], atol=1e-8)
    assert float(sgd_probes._rates(0.1, 'cosine', 1)(0)) == pytest.approx(0.1)


def test_a_rate_that_falls_ends_nearer_to_the_closed_form():
    splits = _splits(_linear)
    x = [np.column_stack([rows.features, np.ones(len(rows.features))]) for rows in splits]
    expected = x[2] @ np.linalg.lstsq(x[0], splits.train.targets, rcond=None)[0]
    constant = dataclasses.replace(CONVEX, rates=(0.3,))  # too high to settle at
    falling = dataclasses.replace(constant, schedule='cosine')
    error = [
        np.abs(sgd_probes.predictions(splits, _all(splits), how, fitted=ONE) - expected).mean()
        for how in (falling, constant)
    ]
    assert error[0] < 0.7 * error[1]


@pytest.mark.slow
def test_xor_is_solved_with_a_hidden_layer_and_not_without():
    splits = _splits(_xor)
    assert (_accuracy(_answers(splits), splits.test) > 0.95).all()
    # A line through the four corners is right for three of them at most.
    assert (_accuracy(_answers(splits, hidden=False), splits.test) < 0.85).all()


@pytest.mark.parametrize('rates', [(1e-9, 0.03), (0.03, 1e-9)])
def test_the_rate_that_val_likes_is_taken(rates):
    splits = _splits(_xor)
    assert (_accuracy(_answers(splits, rates=rates), splits.test) > 0.95).all()


def test_the_epoch_that_val_likes_is_taken():
    """Labels of training are the opposite of those of val: what is learnt answers worse there."""
    splits = _splits(_xor)
    splits = splits._replace(train=splits.train._replace(targets=1 - splits.train.targets))
    # What has learnt nothing yet answers one class: half of val.
    assert (_accuracy(_answers(splits, rates=(0.03, 0.03)), splits.test) > 0.3).all()


def test_the_same_seed_gives_the_same_answers_and_another_others():
    splits = _splits(_xor)
    first, again, shifted = (_answers(splits, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[1], shifted[0])
    drawn = [sgd_probes._order(200, CONVEX, seed) for seed in (0, 1)]
    assert (drawn[0] != drawn[1]).any()
    assert sorted(drawn[0][0].ravel()) == list(range(200))


def test_outputs_are_probabilities_of_all_classes_and_0_of_those_that_were_not_fitted():
    splits = _splits(_xor, sizes=(60, 20, 30))
    shifted = Splits(*(rows._replace(targets=1 + 2 * rows.targets) for rows in splits))
    shifted.val.targets[0] = 4  # never fitted: classes are 1 and 3
    how = dataclasses.replace(CONVEX, epochs=3)
    found = sgd_probes.outputs(shifted, how)
    assert found.shape == (2, 30, 5)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert not found[..., [0, 2, 4]].any() and (found[..., [1, 3]] > 0).all()
    answers = sgd_probes.predictions(shifted, _all(shifted), how)
    np.testing.assert_array_equal(found.argmax(axis=-1), answers)


def test_an_epoch_leaves_out_fewer_rows_than_it_has_steps():
    settings = NonlinearConfig(batch=256, epochs=2)
    assert [sgd_probes._order(n, settings, 0).shape for n in (1, 256, 257, 1000)] == [
        (2, 1, 1), (2, 1, 256), (2, 2, 128), (2, 4, 250),
    ]  # fmt: skip


def test_a_batch_is_no_larger_than_the_rows_and_a_class_that_a_subset_lacks_is_never_answered():
    splits = _splits(_xor, sizes=(5, 1, 3))
    splits = splits._replace(train=splits.train._replace(targets=np.array([0, 1, 1, 2, 2])))
    subsets = np.array([[True] * 3 + [False] * 2, [False] * 2 + [True] * 3])
    found = sgd_probes.predictions(splits, subsets, NonlinearConfig(epochs=2, seeds=2))
    assert found.shape == (4, 3)
    assert set(found[:2].ravel()) <= {0, 1} and set(found[2:].ravel()) <= {1, 2}


def test_a_feature_that_does_not_vary_is_harmless():
    splits = _splits(_linear)
    fixed = splits.with_features([r.features * [1, 1, 1, 0] + [0, 0, 0, 7] for r in splits])
    moved = splits.with_features([r.features * [1, 1, 1, 0] for r in splits])
    found, expected = (
        sgd_probes.predictions(s, _all(s), CONVEX, fitted=ONE) for s in (fixed, moved)
    )
    np.testing.assert_array_equal(found, expected)
