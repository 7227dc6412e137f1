"""Every score of a task's answers, each with an interval over the same draws of groups.

An answer is what one probe says of all test rows. Several answers to one question (seeds, draws of
few labels, random initialisations) are averaged score by score. Scores follow from sums over groups
of rows, so that hundreds of draws cost little, and one seed draws the same groups for all answers:
differences between them are paired.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gair_jax.scores.classification import (
    ClassScores,
    class_counts,
    count_scores,
    matrix_counts,
    summary,
)
from gair_jax.scores.intervals import percentiles, resampled
from gair_jax.scores.regression import Errors, error_sums, sum_errors

METRICS = {
    'class': ('accuracy', 'macro_f1', 'weighted_f1', 'minority_f1'),
    'regression': ('R2', 'RMSE', 'MAE'),
    'mask': ('mIoU', 'mF1', 'accuracy', 'iou_1'),
}
_MASKED = {'mIoU': 'mean_iou', 'mF1': 'macro_f1', 'accuracy': 'accuracy'}
LOWER_IS_BETTER = ('RMSE', 'MAE')
_ERRORS = {'R2': 'r2', 'RMSE': 'rmse', 'MAE': 'mae'}


def metrics_of(kind: str, count: int) -> tuple[str, ...]:
    """The scores with an interval of a task of `count` classes or targets.

    Those of one class, a minority or the foreground, need two classes.
    """
    every = METRICS[kind]
    return every if kind == 'regression' or count == 2 else every[:-1]


class Exam(NamedTuple):
    """The test rows of a task, and how answers to them are scored.

    kind: class, regression or mask.
    names: of its classes or its targets.
    targets: class int [n], 0..len(names)-1, or float64 [n, k]; of masks a row a tile, no matter
      what, as answers are confusion matrices.
    groups: int [n], 0..n_groups-1; rows of one (a tile) hang together.
    n_groups: how many are drawn, with a row or without, so that tasks share their draws.
    metric: the main one of `METRICS`.
    seed: of the draws.
    """

    kind: str
    names: tuple[str, ...]
    targets: np.ndarray
    groups: np.ndarray
    n_groups: int
    metric: str
    seed: int = 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores with an interval."""
        return metrics_of(self.kind, len(self.names))

    @property
    def higher_is_better(self) -> bool:
        """Of the main metric."""
        return self.metric not in LOWER_IS_BETTER


class Hits(NamedTuple):
    """Which test rows of a task of classes were answered right, and where they lie.

    lonlat: degrees float64 [n, 2]. groups: int [n], as of the exam. right: bool [s, n], an answer
      a row.
    """

    lonlat: np.ndarray
    groups: np.ndarray
    right: np.ndarray


class Marks(NamedTuple):
    """What answers score.

    points: by metric, float [s], of each answer on all rows.
    draws: by metric, float [r], of each draw, the mean over the answers.
    described: all scores in plain JSON values, those of `points` with their 95 % intervals.
    """

    points: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    described: dict[str, Any]

    def value(self, metric: str) -> float:
        """The mean over the answers."""
        return float(np.mean(self.points[metric]))

    def interval(self, metric: str) -> list[float]:
        """Lower and upper end, 95 %."""
        return list(percentiles(self.draws[metric]))


def mark(exam: Exam, answers: np.ndarray) -> Marks:
    """Scores answers: classes int [s, n], values [s, n, k], or of masks counts [s, n, k, k]."""
    tallies = [_tally(exam, answer) for answer in answers]
    totals = np.stack([tally.sum(axis=0) for tally in tallies])
    drawn = [_by_metric(exam, resampled(tally, seed=exam.seed)) for tally in tallies]
    points = _by_metric(exam, totals)
    draws = {name: np.mean([one[name] for one in drawn], axis=0) for name in points}
    intervals = {name: list(percentiles(values)) for name, values in draws.items()}
    return Marks(points, draws, {**_described(exam, totals), 'intervals': intervals})


def unknown(exam: Exam) -> Marks:
    """What is nan in every score: an answer that cannot be given."""
    nan = {name: np.full(1, np.nan) for name in exam.metrics}
    intervals = {name: [float('nan')] * 2 for name in nan}
    return Marks(nan, nan, {**dict.fromkeys(nan, float('nan')), 'intervals': intervals})


def gain(one: Marks, other: Marks, metric: str) -> tuple[float, np.ndarray]:
    """How much better `one` is, on all rows and in each draw [r]; positive is better."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    value = one.value(metric) - other.value(metric)
    return sign * value, sign * (one.draws[metric] - other.draws[metric])


def versus(exam: Exam, trained: Marks, random: Marks, inits: int) -> dict[str, Any]:
    """An encoder beside itself at `inits` random initialisations, whose answers follow each other.

    Returns:
        trained and random_init in `metric`; 95 % intervals of both and of the gain (positive is
        better); trained_each, a score an answer; random_init_each, an initialisation; rows and
        groups tested.
    """
    name = exam.metric
    return {
        'metric': name,
        'higher_is_better': exam.higher_is_better,
        'trained': trained.value(name),
        'random_init': random.value(name),
        'trained_interval': trained.interval(name),
        'random_init_interval': random.interval(name),
        'gain_interval': list(percentiles(gain(trained, random, name)[1])),
        'trained_each': trained.points[name].tolist(),
        'random_init_each': random.points[name].reshape(inits, -1).mean(axis=1).tolist(),
        'test_rows': len(exam.targets),
        'test_groups': len(np.unique(exam.groups)),
    }


def _tally(exam: Exam, answer: np.ndarray) -> np.ndarray:
    if exam.kind == 'mask':
        counts = np.zeros((exam.n_groups, 3, len(exam.names)), np.int64)
        np.add.at(counts, exam.groups, matrix_counts(answer))
        return counts
    if exam.kind == 'regression':
        return error_sums(answer, exam.targets, exam.groups, n_groups=exam.n_groups)
    return class_counts(
        answer, exam.targets, exam.groups, classes=len(exam.names), n_groups=exam.n_groups
    )


def _by_metric(exam: Exam, sums: np.ndarray) -> dict[str, np.ndarray]:
    """The scores with an interval, [*batch] each, of sums [*batch, ...] of tallies."""
    if exam.kind == 'regression':
        means: Mapping[str, np.ndarray] = sum_errors(sums).mean()
        return {name: means[_ERRORS[name]] for name in exam.metrics}
    found = count_scores(np.rint(sums).astype(np.int64))
    if exam.kind == 'mask':
        named = {name: getattr(found, field) for name, field in _MASKED.items()}
        named['iou_1'] = found.iou[..., 1]
        return {name: named[name] for name in exam.metrics}
    # The rarer class of all test rows, whichever it is in a draw.
    rarer = np.argmin(np.bincount(exam.targets, minlength=len(exam.names)))
    values = {'minority_f1': found.f1[..., rarer]}
    return {name: values[name] if name in values else getattr(found, name) for name in exam.metrics}


def _described(exam: Exam, totals: np.ndarray) -> dict[str, Any]:
    """All scores, means over the answers of totals [s, ...]."""
    if exam.kind == 'class':
        # Means of F1 over classes are linear in them: their mean is that of the mean F1.
        found = count_scores(totals)
        return dict(summary(ClassScores(*(v.mean(axis=0) for v in found)), exam.names))
    if exam.kind == 'mask':
        found = ClassScores(*(v.mean(axis=0) for v in count_scores(totals)))
        each = {name: getattr(found, name) for name in ('iou', 'f1', 'precision', 'recall')}
        return {
            **{name: float(getattr(found, field)) for name, field in _MASKED.items()},
            **{k: dict(zip(exam.names, v.tolist(), strict=True)) for k, v in each.items()},
        }
    errors = Errors(*(values.mean(axis=0) for values in sum_errors(totals)))
    means = errors.mean()
    own = {name: getattr(errors, field).tolist() for name, field in _ERRORS.items()}
    return {
        **{name: float(means[field]) for name, field in _ERRORS.items()},
        'each': {
            name: {metric: values[i] for metric, values in own.items()}
            for i, name in enumerate(exam.names)
        },
    }
