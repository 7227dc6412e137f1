"""Linear probes of frozen features: ridge regression and multinomial logistic regression.

A probe asks how much of a label a linear map finds in an encoder's output. Features are
standardised by the training rows; the penalty is chosen on the validation rows; the test rows are
scored once, beside the same encoder with random parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from gair_jax.scores.classification import accuracy, majority_accuracy
from gair_jax.scores.intervals import bootstrap
from gair_jax.scores.regression import r2

Score = Callable[[np.ndarray, np.ndarray], float]

# Of the mean squared error, of standardised features.
RIDGE_PENALTIES = tuple(10.0**e for e in range(-4, 4))
# Of the mean cross entropy.
LOGISTIC_PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4)


class Rows(NamedTuple):
    """Labelled features: features f32 [n, d], targets int [n] (class) or float [n, k], groups [n].

    Rows of one group (a tile) hang together, and intervals are drawn over groups.
    """

    features: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


class Splits(NamedTuple):
    """The rows that are fitted, those that choose the penalty, those that are scored."""

    train: Rows
    val: Rows
    test: Rows

    def with_features(self, features: Sequence[np.ndarray]) -> 'Splits':
        """The same rows seen by another encoder: its features of train, val and test."""
        return Splits(*(r._replace(features=f) for r, f in zip(self, features, strict=True)))


def probe(splits: Splits) -> np.ndarray:
    """Predictions for the test rows: classes int [n] for integer targets, else values [n, k]."""
    mean = splits.train.features.mean(axis=0, dtype=np.float64)
    scale = splits.train.features.std(axis=0, dtype=np.float64)
    # A feature that does not vary carries nothing; dividing by its rounding would make noise of it.
    scale = np.where(scale > 1e-6 * (1 + np.abs(mean)), scale, np.inf)
    x = [((rows.features - mean) / scale).astype(np.float64) for rows in splits]
    y = [rows.targets for rows in splits]
    fit = _ridge if _is_regression(splits) else _logistic
    # Products this small are 40 times slower where BLAS threads wait for each other on busy cores.
    with threadpool_limits(limits=1, user_api='blas'):
        return fit(x[0], y[0], x[1], y[1], x[2])


def score(splits: Splits, *, seed: int = 0) -> tuple[float, list[float]]:
    """The test score of a probe, R2 or accuracy, and its 95 % interval."""
    test, predicted, value = splits.test, probe(splits), _score_of(splits)
    interval = bootstrap(lambda r: value(predicted[r], test.targets[r]), test.groups, seed=seed)
    return value(predicted, test.targets), list(interval)


def compare(trained: Splits, random: Sequence[Splits], *, seed: int = 0) -> dict[str, Any]:
    """Probes an encoder and the same encoder at random initialisation on the same rows.

    Args:
        trained: rows with the encoder's features.
        random: the same rows with the features of one or more random initialisations.
        seed: of the bootstrap.

    Returns:
        trained, random_init (mean over the initialisations) and floor (the commonest class, or
        the mean), each a score in `metric`, larger is better; 95 % intervals of trained, of
        random_init and of the gain, drawn over groups; random_init_each; rows and groups tested.
    """
    test = trained.test
    ours, others = probe(trained), [probe(splits) for splits in random]
    value = _score_of(trained)
    each = [value(other, test.targets) for other in others]
    return {
        'trained': value(ours, test.targets),
        'random_init': float(np.mean(each)),
        'floor': 0.0 if value is r2 else majority_accuracy(trained.train.targets, test.targets),
        'metric': 'R2' if value is r2 else 'accuracy',
        'higher_is_better': True,
        **_intervals(value, ours, others, test, seed),
        'random_init_each': each,
        'test_rows': len(test.targets),
        'test_groups': len(np.unique(test.groups)),
    }


def _is_regression(splits: Splits) -> bool:
    return bool(np.issubdtype(splits.train.targets.dtype, np.floating))


def _score_of(splits: Splits) -> Score:
    return r2 if _is_regression(splits) else accuracy


def _intervals(
    value: Score, ours: np.ndarray, others: Sequence[np.ndarray], test: Rows, seed: int
) -> dict[str, list[float]]:
    """95 % intervals; that of the gain is paired, each draw scores both probes on the same rows."""

    def one(rows: np.ndarray) -> float:
        return value(ours[rows], test.targets[rows])

    def other(rows: np.ndarray) -> float:
        return float(np.mean([value(o[rows], test.targets[rows]) for o in others]))

    return {
        'trained_interval': list(bootstrap(one, test.groups, seed=seed)),
        'random_init_interval': list(bootstrap(other, test.groups, seed=seed)),
        'gain_interval': list(
            bootstrap(lambda rows: one(rows) - other(rows), test.groups, seed=seed)
        ),
    }


def _ridge(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, x_test: np.ndarray
) -> np.ndarray:
    """Minimises |y - x w - b|^2 / n + penalty |w|^2 in closed form, by one eigendecomposition.

    Outputs are standardised, so that the choice of the penalty weighs them alike.
    """
    mean, scale = y.mean(axis=0), y.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    rotated = vectors.T @ (x.T @ ((y - mean) / scale) / len(x))
    weights = [
        vectors @ (rotated / (np.maximum(values, 0.0) + penalty)[:, None])
        for penalty in RIDGE_PENALTIES
    ]
    errors = [np.mean((x_val @ w - (y_val - mean) / scale) ** 2) for w in weights]
    return x_test @ weights[int(np.argmin(errors))] * scale + mean


def _logistic(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, x_test: np.ndarray
) -> np.ndarray:
    """Multinomial logistic regression by L-BFGS, from the strongest penalty to the weakest.

    It runs in the eigenvectors of x, scaled by a bound of the curvature (Boehning 1992): features
    of networks are so correlated that it would take several times as many steps without.
    """
    classes, y = np.unique(y, return_inverse=True)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    best, answer, weights = -1.0, np.zeros(0), np.zeros((x.shape[1] + 1, len(classes)))
    for penalty in LOGISTIC_PENALTIES:
        scale = 1 / np.sqrt(np.maximum(values, 0.0) / 4 + penalty)
        turn = vectors * scale
        weights[:-1] = (vectors.T @ weights[:-1]) / scale[:, None]
        weights = minimize(
            cross_entropy, weights.ravel(), args=(x @ turn, y, penalty * scale**2),
            jac=True, method='L-BFGS-B', options={'maxiter': 100, 'ftol': 1e-7},
        ).x.reshape(weights.shape)  # fmt: skip
        weights[:-1] = turn @ weights[:-1]
        found = accuracy(classes[_logits(weights, x_val).argmax(axis=1)], y_val)
        if found > best:
            best, answer = found, classes[_logits(weights, x_test).argmax(axis=1)]
    return answer


def cross_entropy(
    flat: np.ndarray, x: np.ndarray, y: np.ndarray, penalty: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean cross entropy + penalty / 2 w^2 (not on biases) and its gradient.

    Args:
        flat: [(d + 1) k], weights [d, k], then biases [k].
        x: [n, d].
        y: int [n], 0..k-1.
        penalty: [d], of the weights of each feature.
    """
    n, d = x.shape
    both = flat.reshape(d + 1, -1)
    logits = _logits(both, x)
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(n)
    shrunk = penalty[:, None] * both[:d]
    loss = -log_p[rows, y].mean() + np.sum(shrunk * both[:d]) / 2
    error = np.exp(log_p) / n
    error[rows, y] -= 1 / n
    gradient = np.concatenate([x.T @ error + shrunk, error.sum(axis=0)[None]])
    return float(loss), gradient.ravel()


def _logits(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """[n, k] from weights [d + 1, k], the last row the biases."""
    return x @ weights[:-1] + weights[-1]
