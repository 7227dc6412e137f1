import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.scores import species


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_place_weighs_the_photo_and_a_row_without_one_is_left_alone():
    photo = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    place = np.array([[0.1, 0.9, 0.5], [0.1, 0.9, np.nan]])
    found = species.combine(photo, place, np.array([True, False]))
    np.testing.assert_allclose(found, [[0.05, 0.27, 0.1], [0.5, 0.3, 0.2]])


def test_ranks_are_those_of_a_sort(rng):
    scores = rng.uniform(size=(50, 9))
    label = rng.integers(0, 9, 50)
    order = np.argsort(-scores, axis=1)
    expected = [1 + order[i].tolist().index(label[i]) for i in range(50)]
    found = species.rank(scores, label)
    assert found.rank.tolist() == expected
    np.testing.assert_array_equal(found.true_score, scores[np.arange(50), label])
    assert found.top(3) == np.mean(np.array(expected) <= 3)
    assert found.mean_reciprocal_rank == pytest.approx(np.mean(1 / np.array(expected)))


def test_equal_scores_are_ranked_by_the_order_of_classes():
    scores = np.zeros((3, 4))
    scores[:, 1] = 1
    assert species.rank(scores, np.array([0, 1, 3])).rank.tolist() == [2, 1, 4]


def test_labels_and_shapes_that_do_not_fit():
    with pytest.raises(InputError, match='label: expected classes 0 to 3, found 4'):
        species.rank(np.zeros((2, 4)), np.array([0, 4]))
    with pytest.raises(InputError, match=r'scores of places: expected \(2, 4\)'):
        species.combine(np.zeros((2, 4)), np.zeros((2, 3)), np.array([True, True]))
