import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from gair_jax.transfer import probes


def _splits(make, sizes=(300, 100, 200), seed=0):
    rng = np.random.default_rng(seed)
    return probes.Splits(*(probes.Rows(*make(rng, n), np.arange(n) // 4) for n in sizes))


def _linear(rng, n, noise=0.1):
    x = rng.normal(size=(n, 6)).astype(np.float32)
    weights = np.random.default_rng(9).normal(size=(6, 2))
    return x, x @ weights + noise * rng.normal(size=(n, 2))


def _classes(rng, n):
    y = rng.integers(3, size=n)
    centres = np.random.default_rng(9).normal(size=(3, 5)) * 3
    return (centres[y] + rng.normal(size=(n, 5))).astype(np.float32), y


def _noise_features(splits, seed=1):
    rng = np.random.default_rng(seed)
    return splits.with_features([rng.normal(size=r.features.shape) for r in splits])


def test_a_planted_linear_map_is_found_up_to_its_noise():
    result = probes.compare(_splits(_linear), [_noise_features(_splits(_linear))])
    assert result['metric'] == 'R2' and result['higher_is_better']
    assert result['trained'] > 0.98
    assert result['random_init'] < 0.1
    assert result['trained_interval'][0] <= result['trained'] <= result['trained_interval'][1]
    assert result['gain_interval'][0] > 0


@pytest.mark.slow
def test_planted_classes_are_found():
    splits = _splits(_classes)
    result = probes.compare(splits, [_noise_features(splits, s) for s in (1, 2, 3)])
    assert result['metric'] == 'accuracy'
    assert result['trained'] > 0.9
    assert result['random_init'] == pytest.approx(1 / 3, abs=0.15)
    assert len(result['random_init_each']) == 3
    assert result['floor'] < 0.5


def test_no_gain_over_itself():
    splits = _splits(_linear)
    result = probes.compare(splits, [splits])
    assert result['gain_interval'] == [0.0, 0.0]


def test_ridge_equals_scikit_learn(monkeypatch):
    monkeypatch.setattr(probes, 'RIDGE_PENALTIES', (0.1,))
    splits = _splits(_linear)
    train, _, test = splits
    mean, std = train.features.mean(axis=0), train.features.std(axis=0)
    y_std = train.targets.std(axis=0)
    # Theirs penalises the sum of squares, ours the mean.
    theirs = Ridge(alpha=0.1 * 300).fit((train.features - mean) / std, train.targets / y_std)
    expected = theirs.predict((test.features - mean) / std) * y_std
    np.testing.assert_allclose(probes.probe(splits), expected, atol=1e-4)


def test_logistic_equals_scikit_learn(monkeypatch):
    monkeypatch.setattr(probes, 'LOGISTIC_PENALTIES', (1e-2,))
    splits = _splits(_classes)
    train, _, test = splits
    mean, std = train.features.mean(axis=0), train.features.std(axis=0)
    # C weighs the summed cross entropy against |w|^2 / 2.
    theirs = LogisticRegression(C=1 / (1e-2 * 300), tol=1e-8, max_iter=1000)
    theirs.fit((train.features - mean) / std, train.targets)
    expected = theirs.predict((test.features - mean) / std)
    assert np.mean(probes.probe(splits) == expected) > 0.99


def test_features_that_do_not_vary_are_harmless():
    splits = _splits(_linear)
    wider = splits.with_features(
        [np.concatenate([r.features, np.full((len(r.features), 1), 7.0)], axis=1) for r in splits]
    )
    np.testing.assert_allclose(probes.probe(wider), probes.probe(splits), atol=1e-4)


def test_a_class_absent_from_training_is_never_answered():
    splits = _splits(_classes)
    keep = splits.train.targets != 2
    train = probes.Rows(*(a[keep] for a in splits.train))
    assert set(probes.probe(splits._replace(train=train))) <= {0, 1}
