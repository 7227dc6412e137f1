import numpy as np
import pytest
import sklearn.metrics

from gair_jax.config import InputError
from gair_jax.scores import classification


def test_accuracy():
    assert classification.accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 0])) == 0.75


def test_majority_is_that_of_the_training_rows():
    train, test = np.array([2, 2, 5]), np.array([5, 5, 2, 5])
    assert classification.majority_accuracy(train, test) == 0.25


def test_scores_equal_scikit_learn(rng):
    predicted, target = rng.integers(4, size=80), rng.integers(3, size=80)
    found = classification.class_scores(classification.confusion(predicted, target, 5))
    labels = {'labels': range(5), 'zero_division': 0}
    oracle = sklearn.metrics.precision_recall_fscore_support(target, predicted, **labels)
    for name, expected in zip(('precision', 'recall', 'f1', 'support'), oracle, strict=True):
        np.testing.assert_allclose(getattr(found, name), expected)
    jaccard = sklearn.metrics.jaccard_score(target, predicted, average=None, **labels)
    np.testing.assert_allclose(found.iou, jaccard)
    f1 = sklearn.metrics.f1_score
    np.testing.assert_allclose(found.macro_f1, f1(target, predicted, average='macro', **labels))
    weighted = f1(target, predicted, average='weighted', **labels)
    np.testing.assert_allclose(found.weighted_f1, weighted)
    np.testing.assert_allclose(found.accuracy, np.mean(predicted == target))


def test_predictions_are_rows_and_the_truth_columns():
    matrix = classification.confusion(np.array([1, 1, 0]), np.array([0, 0, 1]), 2)
    np.testing.assert_array_equal(matrix, [[0, 1], [2, 0]])


def test_the_majority_of_view_direction():
    """Closed forms with 89.39 % front/back: F1 2p / (1 + p) for the majority, 0 for the side."""
    matrix = classification.constant(np.array([[0, 0], [8939, 1061]]), 0)
    scores = classification.class_scores(matrix)
    found = classification.summary(scores, ['front/back', 'side'])
    f1 = 2 * 0.8939 / 1.8939
    assert np.isclose(found['macro_f1'], f1 / 2)
    assert np.isclose(found['weighted_f1'], 0.8939 * f1)
    assert (found['minority'], found['minority_f1']) == ('side', 0.0)


def test_a_summary_names_each_class():
    scores = classification.class_scores(np.diag([3, 1, 2]))
    found = classification.summary(scores, ['a', 'b', 'c'])
    assert found['f1'] == {'a': 1.0, 'b': 1.0, 'c': 1.0}
    assert 'minority' not in found


@pytest.mark.parametrize('stray', [-1, 3])
def test_a_class_outside_is_refused(stray):
    with pytest.raises(InputError, match=r'target: expected classes 0\.\.2'):
        classification.confusion(np.array([0, 1]), np.array([0, stray]), 3)


def test_names_must_fit_the_classes():
    with pytest.raises(InputError, match='one for each of 2 classes'):
        classification.summary(classification.class_scores(np.eye(2, dtype=np.int64)), ['a'])


def test_counts_of_groups_add_up_to_the_scores_of_the_matrix(rng):
    predicted, target = rng.integers(4, size=80), rng.integers(3, size=80)
    groups = rng.integers(6, size=80)
    counts = classification.class_counts(predicted, target, groups, classes=4, n_groups=7)
    assert counts.shape == (7, 3, 4) and not counts[6].any()
    matrix = classification.confusion(predicted, target, 4)
    expected = classification.class_scores(matrix)
    found = classification.count_scores(counts.sum(axis=0))
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(getattr(found, name), value)
    own = groups == 2
    alone = classification.class_scores(classification.confusion(predicted[own], target[own], 4))
    np.testing.assert_allclose(classification.count_scores(counts).f1[2], alone.f1)
