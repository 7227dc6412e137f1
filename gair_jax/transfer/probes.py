"""Linear probes of frozen features: ridge regression and multinomial logistic regression.

A probe asks how much of a label a linear map finds in an encoder's output. Features are
standardised by the training rows; the penalty is chosen on the validation rows; the test rows are
scored once, beside the same encoder with random parameters.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.scores.classification import majority_accuracy
from gair_jax.transfer.scoring import Exam, mark, versus
from gair_jax.transfer.solvers import logistic, ridge

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
    return (_ridge if is_regression(splits) else _logistic)(*splits, subsets)


def probe(splits: Splits) -> np.ndarray:
    """Answers for the test rows of the probe of all training rows: int [n], or values [n, k]."""
    return predictions(splits, np.ones((1, len(splits.train.targets)), bool))[0]


def score(splits: Splits, *, seed: int = 0) -> tuple[float, list[float]]:
    """The test score of a probe, R2 or accuracy, and its 95 % interval."""
    exam = _exam(splits, seed)
    found = mark(exam, probe(splits)[None])
    return found.value(exam.metric), found.interval(exam.metric)


def compare(trained: Splits, random: Sequence[Splits], *, seed: int = 0) -> dict[str, Any]:
    """Probes an encoder and the same encoder at random initialisation on the same rows.

    Args:
        trained: rows with the encoder's features.
        random: the same rows with the features of one or more random initialisations.
        seed: of the bootstrap.

    Returns:
        What `scoring.versus` gives, in R2 or accuracy, and floor: the score of the commonest
        class, or of the mean.
    """
    exam = _exam(trained, seed)
    others = mark(exam, np.stack([probe(splits) for splits in random]))
    targets = trained.train.targets
    guess = 0.0 if is_regression(trained) else majority_accuracy(targets, exam.targets)
    return {**versus(exam, mark(exam, probe(trained)[None]), others, len(random)), 'floor': guess}


def is_regression(splits: Splits) -> bool:
    """Whether targets are numbers, not classes."""
    return bool(np.issubdtype(splits.train.targets.dtype, np.floating))


def _exam(splits: Splits, seed: int) -> Exam:
    """Names do not matter where one score is asked for."""
    test = splits.test
    kind, metric, count = 'regression', 'R2', test.targets.shape[-1]
    if not is_regression(splits):
        kind, metric, count = 'class', 'accuracy', 1 + int(max(r.targets.max() for r in splits))
    names, groups = np.unique(test.groups, return_inverse=True)
    return Exam(kind, tuple(map(str, range(count))), test.targets, groups, len(names), metric, seed)


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
