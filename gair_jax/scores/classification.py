"""Scores of predicted classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real

from gair_jax.config import InputError


class ClassScores(NamedTuple):
    """Of answers, shares 0..1: one value a class [*batch, k], and over all classes.

    A class that is neither predicted nor there scores 0 and counts in the means.

    precision: right among the rows predicted to be of the class.
    recall: right among the rows of the class.
    f1: harmonic mean of both.
    iou: intersection over union.
    support: number of rows of the class.
    accuracy: right among all rows, [*batch].
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    iou: np.ndarray
    support: np.ndarray
    accuracy: np.ndarray

    @property
    def macro_f1(self) -> np.ndarray:
        """Plain mean over classes, [*batch]."""
        return np.asarray(self.f1.mean(axis=-1))

    @property
    def mean_iou(self) -> np.ndarray:
        """Plain mean over classes, [*batch]."""
        return np.asarray(self.iou.mean(axis=-1))

    @property
    def weighted_f1(self) -> np.ndarray:
        """Mean over classes weighted by their rows, [*batch]."""
        share = _share(self.support, self.support.sum(axis=-1)[..., None])
        return np.asarray((self.f1 * share).sum(axis=-1))


def accuracy(predicted: np.ndarray, target: np.ndarray) -> float:
    """The share of rows whose class (int [n]) is right, 0..1."""
    return float(np.mean(predicted == target))


def majority_accuracy(train_target: np.ndarray, target: np.ndarray) -> float:
    """Accuracy of always answering the commonest training class: what a probe must beat."""
    classes, counts = np.unique(train_target, return_counts=True)
    return accuracy(np.full_like(target, classes[np.argmax(counts)]), target)


def confusion(
    predicted: Integer[np.ndarray, '*n'], target: Integer[np.ndarray, '*n'], classes: int
) -> Integer[np.ndarray, 'k k']:
    """How often each class (row) was predicted where each class (column) is true, int64.

    Raises:
      InputError: a class is not in 0..classes-1.
    """
    for name, values in (('predicted', predicted), ('target', target)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise InputError(
                f'{name}: expected classes 0..{classes - 1}, found {values.min()}..{values.max()}.'
            )
    pairs = predicted.astype(np.int64) * classes + target.astype(np.int64)
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)


def class_scores(matrix: Integer[np.ndarray, '*batch k k']) -> ClassScores:
    """The scores of confusion matrices with predictions on rows and the truth on columns.

    PANGAEA-Bench calls precision what is divided by the truth's totals, which is recall, and the
    other way round; here both bear their usual names.
    """
    return count_scores(matrix_counts(matrix))


def matrix_counts(
    matrix: Integer[np.ndarray, '*batch k k'],
) -> Integer[np.ndarray, '*batch 3 k']:
    """What `class_counts` would count for the rows of confusion matrices."""
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.stack([right, matrix.sum(axis=-1), matrix.sum(axis=-2)], axis=-2)


def class_counts(
    predicted: Integer[np.ndarray, ' n'],
    target: Integer[np.ndarray, ' n'],
    groups: Integer[np.ndarray, ' n'],
    *,
    classes: int,
    n_groups: int,
) -> Integer[np.ndarray, 'g 3 k']:
    """Rows of each class in each group: rightly predicted, predicted, and true.

    All that F1 and accuracy need, for less than a confusion matrix a group; counts of groups add.

    Args:
      predicted: 0..classes-1.
      target: 0..classes-1.
      groups: 0..n_groups-1.
      classes: their number.
      n_groups: their number; a group may have no row.
    """
    confusion(predicted, target, classes)  # refuses other classes
    right = predicted == target
    kinds = ((groups[right], target[right]), (groups, predicted), (groups, target))
    counts = [
        np.bincount(group * classes + own, minlength=n_groups * classes).reshape(n_groups, classes)
        for group, own in kinds
    ]
    return np.stack(counts, axis=1)


def count_scores(counts: Integer[np.ndarray, '*batch 3 k']) -> ClassScores:
    """The scores of `class_counts`, or of their sums over groups."""
    right, predicted, true = np.moveaxis(counts, -2, 0)
    return ClassScores(
        precision=_share(right, predicted),
        recall=_share(right, true),
        f1=_share(2 * right, predicted + true),
        iou=_share(right, predicted + true - right),
        support=true,
        accuracy=_share(right.sum(axis=-1), true.sum(axis=-1)),
    )


def constant(
    matrix: Integer[np.ndarray, '*batch k k'], answer: int
) -> Integer[np.ndarray, '*batch k k']:
    """The confusion matrix, on the same rows, of always answering one class."""
    always = np.zeros_like(matrix)
    always[..., answer, :] = matrix.sum(axis=-2)
    return always


def summary(found: ClassScores, names: Sequence[str]) -> dict[str, float | str | dict[str, float]]:
    """What a table of results says of scores; for two classes also the minority's F1.

    The minority is the rarer class among the true ones, the first of two equals. Its F1 is 0 for
    whoever always answers the majority, where macro F1 looks like 0.4 or more.
    """
    if len(names) != len(found.f1):
        raise InputError(f'names: expected one for each of {len(found.f1)} classes, found {names}.')
    made: dict[str, float | str | dict[str, float]] = {
        'accuracy': float(found.accuracy),
        'macro_f1': float(found.macro_f1),
        'weighted_f1': float(found.weighted_f1),
        'f1': dict(zip(names, found.f1.tolist(), strict=True)),
    }
    if len(names) == 2:
        rarer = int(np.argmin(found.support))
        made |= {'minority': names[rarer], 'minority_f1': float(found.f1[rarer])}
    return made


def _share(
    part: Real[np.ndarray, '*batch'] | np.number, whole: Real[np.ndarray, '...'] | np.number
) -> Float[np.ndarray, '*batch']:
    """The quotient in float64, 0 where the whole is 0."""
    return np.asarray(np.asarray(part) / np.maximum(whole, 1))
