import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, mean_squared_error, r2_score

from gair_jax.scores.intervals import bootstrap
from gair_jax.transfer import scoring
from gair_jax.transfer.scoring import Exam, mark


@pytest.fixture
def classes(rng):
    """Three answers to 120 rows of 30 groups, right half of the time; few rows are of class 1."""
    targets = (rng.random(120) < 0.2).astype(np.int64)
    answers = np.where(rng.random((3, 120)) < 0.5, targets, rng.integers(2, size=(3, 120)))
    groups = rng.permutation(np.arange(120) % 30)
    return Exam('class', ('front', 'side'), targets, groups, 30, 'accuracy', 7), answers


@pytest.fixture
def numbers(rng):
    """Two answers to 120 rows of 30 groups, two targets far from zero."""
    targets = 50 + rng.normal(size=(120, 2))
    answers = targets + rng.normal(size=(2, 120, 2))
    groups = rng.permutation(np.arange(120) % 30)
    return Exam('regression', ('a', 'b'), targets, groups, 30, 'R2', 7), answers


def _f1(target, answer):
    """Of each of two classes; scikit-learn's takes a second for all draws."""
    hits = [np.sum((target == c) & (answer == c)) for c in (0, 1)]
    rows = [np.sum(target == c) + np.sum(answer == c) for c in (0, 1)]
    return 2 * np.array(hits) / np.maximum(rows, 1)


F1 = {
    'accuracy': lambda target, answer: np.mean(target == answer),
    'macro_f1': lambda target, answer: _f1(target, answer).mean(),
    'weighted_f1': lambda target, answer: (
        _f1(target, answer) @ [np.mean(target == 0), np.mean(target == 1)]
    ),
    'minority_f1': lambda target, answer: _f1(target, answer)[1],
}
ERRORS = {
    'R2': r2_score,
    'RMSE': lambda target, answer: np.sqrt(
        mean_squared_error(target, answer, multioutput='raw_values')
    ).mean(),
    'MAE': mean_absolute_error,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('made', 'metric', 'oracle'),
    [
        *(('classes', *item) for item in F1.items()),
        *(('numbers', *item) for item in ERRORS.items()),
    ],
)
def test_scores_and_intervals_equal_those_of_rows_drawn_by_a_plain_bootstrap(
    request, made, metric, oracle
):
    exam, answers = request.getfixturevalue(made)
    found = mark(exam, answers)

    def mean(rows):
        return float(np.mean([oracle(exam.targets[rows], answer[rows]) for answer in answers]))

    expected = bootstrap(mean, exam.groups, seed=7)
    np.testing.assert_allclose(found.described['intervals'][metric], expected, atol=1e-9)
    assert found.described[metric] == pytest.approx(mean(np.arange(120)))
    assert found.value(metric) == pytest.approx(mean(np.arange(120)))


def test_every_class_is_named_and_the_rarer_one_of_two(classes):
    exam, answers = classes
    found = mark(exam, answers).described
    each = np.mean([f1_score(exam.targets, a, average=None) for a in answers], axis=0)
    assert found['f1'] == pytest.approx(dict(zip(exam.names, each, strict=True)))
    assert (found['minority'], found['minority_f1']) == ('side', pytest.approx(each[1]))


def test_every_target_is_named(numbers):
    exam, answers = numbers
    found = mark(exam, answers).described['each']
    r2 = np.mean([r2_score(exam.targets, a, multioutput='raw_values') for a in answers], axis=0)
    assert list(found) == ['a', 'b']
    assert [found['a']['R2'], found['b']['R2']] == pytest.approx(r2)
    assert found['b']['MAE'] == pytest.approx(np.abs(answers - exam.targets).mean(axis=(0, 1))[1])


def test_three_classes_have_no_minority(classes):
    exam = classes[0]._replace(names=('a', 'b', 'c'))
    found = mark(exam, classes[1])
    assert 'minority_f1' not in found.points and 'minority_f1' not in found.described


@pytest.mark.parametrize('metric', ['R2', 'RMSE'])
def test_a_gain_is_positive_for_the_better_and_paired(numbers, metric):
    exam, answers = numbers
    closer = exam.targets + 0.5 * (answers - exam.targets)
    better, worse = mark(exam, closer), mark(exam, answers)
    value, draws = scoring.gain(better, worse, metric)
    assert value > 0 and (draws > 0).all()
    assert np.std(draws) < np.std(worse.draws[metric])


def test_against_itself_nothing_is_gained(classes):
    exam, answers = classes
    found = scoring.versus(exam, mark(exam, answers), mark(exam, np.tile(answers, (2, 1))), 2)
    assert found['gain_interval'] == pytest.approx([0.0, 0.0])
    assert found['random_init_each'] == [pytest.approx(found['trained'])] * 2
    assert (found['test_rows'], found['test_groups']) == (120, 30)


def test_one_row_has_no_r2_and_says_so_without_a_warning():
    exam = Exam('regression', ('a',), np.ones((1, 1)), np.zeros(1, np.int64), 1, 'R2')
    found = mark(exam, np.zeros((1, 1, 1)))
    assert np.isnan(found.value('R2')) and np.isnan(found.interval('R2')).all()
    assert found.interval('RMSE') == [1.0, 1.0]


def test_what_is_not_known_is_nan_in_every_score(numbers):
    exam, _ = numbers
    found = scoring.unknown(exam)
    assert np.isnan(found.value('R2')) and np.isnan(found.interval('MAE')).all()
    assert np.isnan([found.described[name] for name in exam.metrics]).all()


def test_groups_without_a_row_leave_draws_without_any(numbers):
    exam, answers = numbers
    first = exam.groups == 0
    alone = exam._replace(targets=exam.targets[first], groups=exam.groups[first])
    found = mark(alone, answers[:, first])
    # A draw of 30 groups misses one with probability (29/30)^30.
    missing = np.isnan(found.draws['MAE']).mean()
    assert missing == pytest.approx((29 / 30) ** 30, abs=0.1)
    assert np.isfinite(found.interval('MAE')).all()
