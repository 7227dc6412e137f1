import numpy as np
import scipy.stats

from gair_jax.input import sampling

GROUPS = [np.arange(0, 2), np.arange(2, 12), np.arange(12, 100)]


def test_every_epoch_is_another_permutation():
    orders = [[sampling.shuffled(5, e * 50 + i, 50) for i in range(50)] for e in range(3)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] != [sampling.shuffled(6, i, 50) for i in range(50)]


def test_the_order_does_not_depend_on_what_was_asked_before():
    far = sampling.shuffled(5, 1234, 50)
    for position in range(0, 5000, 49):
        sampling.shuffled(5, position, 50)
    assert sampling.shuffled(5, 1234, 50) == far


def test_one_record_is_a_data_set_too():
    assert [sampling.shuffled(0, i, 1) for i in range(3)] == [0, 0, 0]


def test_balanced_draws_groups_alike_and_members_alike():
    drawn = np.array([sampling.balanced(1, i, GROUPS) for i in range(6000)])
    counts = [np.isin(drawn, group).sum() for group in GROUPS]
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    for group in GROUPS:
        assert scipy.stats.chisquare([(drawn == i).sum() for i in group]).pvalue > 0.01


def test_balanced_is_a_function_of_seed_and_position():
    a, b = ([sampling.balanced(s, i, GROUPS) for i in range(40)] for s in (1, 2))
    assert a == [sampling.balanced(1, i, GROUPS) for i in range(40)]
    assert a != b


def test_streams_and_positions_draw_different_numbers():
    keys = [(0, sampling.TRAIN, 7), (0, sampling.FIXED, 7), (1, sampling.TRAIN, 7), (0, 0, 8)]
    assert len({sampling.generator(*key).random() for key in keys}) == 4
    assert sampling.generator(*keys[0]).random() == sampling.generator(*keys[0]).random()
