import numpy as np

from gair_jax.scores import retrieval


def test_ranks_of_a_hand_made_table():
    similarity = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]])
    assert retrieval.ranks(similarity, np.array([0, 1, 2])).tolist() == [1, 3, 2]


def test_ranks_equal_a_sort(rng):
    similarity = rng.normal(size=(20, 33))
    positive = rng.integers(33, size=20)
    order = np.argsort(-similarity, axis=1)
    expected = [order[i].tolist().index(positive[i]) + 1 for i in range(20)]
    assert retrieval.ranks(similarity, positive).tolist() == expected


def test_a_constant_model_earns_nothing():
    rank = retrieval.ranks(np.ones((5, 5)), np.arange(5))
    assert rank.tolist() == [5] * 5
    assert retrieval.recall_at(rank, 4) == 0.0


def test_recall_counts_the_first_k():
    rank = np.array([1, 2, 5, 9])
    assert [retrieval.recall_at(rank, k) for k in (1, 2, 5, 9)] == [0.25, 0.5, 0.75, 1.0]


def test_ranks_within_see_only_the_own_group():
    group = np.array([0, 0, 1, 1])
    similarity = np.array(
        [[1.0, 0.0, 9.0, 9.0], [3.0, 2.0, 9.0, 9.0], [9.0, 9.0, 0.5, 0.4], [9.0, 9.0, 0.1, 0.2]]
    )
    assert retrieval.ranks_within(similarity, group).tolist() == [1, 2, 1, 1]


def test_chance_within_groups_is_the_mean_of_one_over_size():
    group = np.array([7] * 8 + [3] * 2)
    assert np.isclose(retrieval.group_chance(group), (8 * 0.125 + 2 * 0.5) / 10)
