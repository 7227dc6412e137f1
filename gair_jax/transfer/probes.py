"""Linear probes of frozen features: ridge regression and multinomial logistic regression.

A probe asks how much of a label a linear map finds in an encoder's output. Features are
standardised by the training rows; the penalty is chosen on the validation rows; the test rows are
scored once, beside the same encoder with random parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.scores.classification import accuracy, majority_accuracy
from gair_jax.scores.intervals import bootstrap
from gair_jax.scores.regression import r2
from gair_jax.transfer.solvers import logistic, ridge

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


def predictions(splits: Splits, subsets: np.ndarray) -> np.ndarray:
    """Answers for the test rows of probes that are fitted on subsets of the training rows.

    Args:
        splits: the rows.
        subsets: bool [s, n], which training rows each probe is fitted on.

    Returns:
        Classes int [s, n] for integer targets, else values [s, n, k].
    """
    return (_ridge if _is_regression(splits) else _logistic)(*splits, subsets)


def probe(splits: Splits) -> np.ndarray:
    """Answers for the test rows of the probe of all training rows: int [n], or values [n, k]."""
    return predictions(splits, np.ones((1, len(splits.train.targets)), bool))[0]


def score(splits: Splits, *, seed: int = 0) -> tuple[float, list[float]]:
    """The test score of a probe, R2 or accuracy, and its 95 % interval."""
    test, predicted, value = splits.test, probe(splits), _score_of(splits)
    interval = bootstrap(lambda r: value(predicted[r], test.targets[r]), test.groups, seed=seed)
    return value(predicted, test.targets), list(interval)


def compare(
    trained: Splits,
    random: Sequence[Splits],
    *,
    subsets: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Probes an encoder and the same encoder at random initialisation on the same rows.

    Args:
        trained: rows with the encoder's features.
        random: the same rows with the features of one or more random initialisations.
        subsets: bool [s, n], training rows of several probes, whose scores are averaged; None is
            one probe of all rows.
        seed: of the bootstrap.

    Returns:
        trained, random_init (mean over the initialisations) and floor (the commonest class, or
        the mean), each a score in `metric`, larger is better; 95 % intervals of trained, of
        random_init and of the gain, drawn over groups; trained_each, a score a subset;
        random_init_each; rows and groups tested.
    """
    test, value = trained.test, _score_of(trained)
    if subsets is None:
        subsets = np.ones((1, len(trained.train.targets)), bool)
    ours = predictions(trained, subsets)
    others = [predictions(splits, subsets) for splits in random]
    each = [_mean(value, other, test.targets) for other in others]
    return {
        'trained': _mean(value, ours, test.targets),
        'random_init': float(np.mean(each)),
        'floor': 0.0 if value is r2 else majority_accuracy(trained.train.targets, test.targets),
        'metric': 'R2' if value is r2 else 'accuracy',
        'higher_is_better': True,
        **_intervals(value, ours, others, test, seed),
        'trained_each': [value(one, test.targets) for one in ours],
        'random_init_each': each,
        'test_rows': len(test.targets),
        'test_groups': len(np.unique(test.groups)),
    }


def _mean(value: Score, several: np.ndarray, targets: np.ndarray) -> float:
    """The mean score of answers [s, n, ...]."""
    return float(np.mean([value(one, targets) for one in several]))


def _is_regression(splits: Splits) -> bool:
    return bool(np.issubdtype(splits.train.targets.dtype, np.floating))


def _score_of(splits: Splits) -> Score:
    return r2 if _is_regression(splits) else accuracy


def _intervals(
    value: Score, ours: np.ndarray, others: Sequence[np.ndarray], test: Rows, seed: int
) -> dict[str, list[float]]:
    """95 % intervals; that of the gain is paired, each draw scores both probes on the same rows."""

    def one(rows: np.ndarray) -> float:
        return _mean(value, ours[:, rows], test.targets[rows])

    def other(rows: np.ndarray) -> float:
        return float(np.mean([_mean(value, o[:, rows], test.targets[rows]) for o in others]))

    return {
        'trained_interval': list(bootstrap(one, test.groups, seed=seed)),
        'random_init_interval': list(bootstrap(other, test.groups, seed=seed)),
        'gain_interval': list(
            bootstrap(lambda rows: one(rows) - other(rows), test.groups, seed=seed)
        ),
    }


def _ridge(train: Rows, val: Rows, test: Rows, subsets: np.ndarray) -> np.ndarray:
    """Values of the test rows by the penalty whose squared error on val is smallest.

    Outputs are standardised, so that the choice of the penalty weighs them alike.
    """
    mean, scale = train.targets.mean(axis=0), train.targets.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    fits = ridge(train.features, (train.targets - mean) / scale, subsets, RIDGE_PENALTIES)
    wanted = (val.targets - mean) / scale
    errors = np.mean((fits.outputs(val.features) - wanted) ** 2, axis=(2, 3))
    return fits.chosen(errors.argmin(axis=1)).outputs(test.features)[:, 0] * scale + mean


def _logistic(train: Rows, val: Rows, test: Rows, subsets: np.ndarray) -> np.ndarray:
    """Classes of the test rows by the penalty whose accuracy on val is best, the strongest first.

    A class that a subset lacks is never answered.
    """
    classes, targets = np.unique(train.targets, return_inverse=True)
    fits = logistic(train.features, targets, subsets, LOGISTIC_PENALTIES, len(classes))
    answers = classes[fits.outputs(val.features).argmax(axis=3)]
    best = np.mean(answers == val.targets, axis=2).argmax(axis=1)
    return classes[fits.chosen(best).outputs(test.features)[:, 0].argmax(axis=2)]
