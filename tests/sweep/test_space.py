"""Spaces against their definitions, and what cannot be one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.sweep import space

VALUES = st.lists(st.integers(), min_size=1, max_size=4, unique=True)


def test_a_grid_has_every_combination_the_last_setting_fastest():
    assert space.grid({'a': [1, 2], 'b': ['x', 'y']}) == [
        {'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'},
    ]  # fmt: skip


def test_zip_pairs_the_values():
    assert space.zip_({'a': [1, 2], 'b': [3, 4]}) == [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]


@given(VALUES, VALUES, VALUES)
def test_a_product_of_grids_is_the_grid_of_all(a, b, c):
    parts = [space.grid({name: values}) for name, values in (('a', a), ('b', b), ('c', c))]
    assert space.product(*parts) == space.grid({'a': a, 'b': b, 'c': c})


def test_seeds_count_from_zero():
    assert space.seeds(3) == [{'seed': 0}, {'seed': 1}, {'seed': 2}]


def test_more_random_runs_keep_those_that_are_there():
    axes = {
        'a': space.uniform(0, 1),
        'b': space.log_uniform(1e-4, 1e-1),
        'c': space.choice(['x', 'y']),
    }
    many = space.random(20, 3, axes)
    assert many[:5] == space.random(5, 3, axes)
    assert many[:5] != space.random(5, 4, axes)
    assert len({str(run) for run in many}) == 20


@pytest.mark.parametrize(
    ('draw', 'quantile'),
    [
        (space.uniform(2.0, 6.0), lambda q: 2 + 4 * q),
        (space.log_uniform(1e-4, 1e-1), lambda q: 10 ** (3 * q - 4)),
    ],
)
def test_draws_have_the_quantiles_of_their_distribution(draw, quantile):
    """Of 4000 draws a quantile is off by less than 4 standard deviations, sqrt(q (1 - q) / n)."""
    drawn = [run['a'] for run in space.random(4000, 0, {'a': draw})]
    for q in (0.1, 0.5, 0.9):
        slack = 4 * math.sqrt(q * (1 - q) / 4000)
        assert quantile(q - slack) <= np.quantile(drawn, q) <= quantile(q + slack)


def test_a_choice_takes_every_value_about_as_often():
    drawn = [run['a'] for run in space.random(3000, 0, {'a': space.choice(['x', 'y', 'z'])})]
    for value in 'xyz':  # 1000 expected, standard deviation 26
        assert 895 < drawn.count(value) < 1105


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (lambda: space.grid({'a': []}), 'a: expected a list of values'),
        (lambda: space.grid({'a': 'nili'}), "a: expected a list of values, found 'nili'"),
        (lambda: space.zip_({'a': [1], 'b': [1, 2]}), 'as many values'),
        (lambda: space.product(space.seeds(2), space.grid({'seed': [5]})), 'set seed'),
        (lambda: space.log_uniform(0.0, 1.0), 'above 0'),
        (lambda: space.uniform(2, 1), 'low end first'),
        (lambda: space.choice([]), 'expected a list'),
        (lambda: space.seeds(0), 'seed: expected a list of values'),
    ],
)
def test_what_cannot_be_a_space_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
