import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.models.ltae import ORIGINAL, Ltae, LtaeSpec
from gair_jax.models.time_merging import LinearTime, LtaeTime

SPEC = LtaeSpec(width=8, mlp=(6,), heads=2, key_dim=3)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 1, 2, 4)), jnp.float32)
DAYS = jnp.asarray([[1.0, 40, 90, 200], [3, 5, 60, 300]])


def made(spec, x=X, days=DAYS):
    return jax.jit(Ltae(spec).init)(jax.random.key(0), x, days)


def test_parameters_are_as_many_as_the_references():
    x = jnp.zeros((1, 6, 3, 3, 768))
    shapes = jax.eval_shape(lambda: Ltae(LtaeSpec()).init(jax.random.key(0), x))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes['params'])) == 1_235_072


@pytest.mark.parametrize('positions', [False, True])
def test_the_order_of_dates_matters_with_positions_alone(positions):
    spec = dataclasses.replace(SPEC, positions=positions)
    apply, variables = jax.jit(Ltae(spec).apply), made(spec)
    forth, back = apply(variables, X, DAYS), apply(variables, X[:, ::-1], DAYS)
    assert np.allclose(forth, back, atol=1e-5) != positions
    np.testing.assert_allclose(apply(variables, X[:, ::-1], DAYS[:, ::-1]), forth, atol=1e-5)


def test_a_padded_date_is_as_one_left_out_where_norms_are_of_each_date():
    spec = dataclasses.replace(SPEC, norms='layer', positions=True)
    apply, variables = jax.jit(Ltae(spec).apply), made(spec)
    padded = jnp.asarray([[False, False, False, True]] * 2)
    left_out = apply(variables, X[:, :3], DAYS[:, :3])
    np.testing.assert_allclose(apply(variables, X, DAYS, padded), left_out, atol=1e-6)
    assert not np.allclose(apply(variables, X, DAYS), left_out, atol=1e-3)


def test_the_first_form_has_a_norm_over_dates():
    spec = dataclasses.replace(ORIGINAL, width=8, mlp=(6,), heads=2)
    shapes = jax.eval_shape(lambda: Ltae(spec).init(jax.random.key(0), X, DAYS))['params']
    assert shapes['inner_norm']['scale'].shape == (4, 8) and shapes['out_norm']['bias'].shape == (
        6,
    )
    with pytest.raises(InputError, match='days: expected a day of each date'):
        jax.eval_shape(lambda: Ltae(spec).init(jax.random.key(0), X))


@pytest.mark.slow
def test_training_moves_the_statistics_and_drops():
    model, variables = Ltae(SPEC), made(SPEC)
    keep = {'mutable': 'batch_stats', 'train': True}
    one, after = model.apply(variables, X, rngs={'dropout': jax.random.key(1)}, **keep)
    two, _ = model.apply(variables, X, rngs={'dropout': jax.random.key(2)}, **keep)
    assert not np.allclose(one, two)
    assert np.all(after['batch_stats']['mlp_norm_0']['var'] != 1)


def test_linear_merging_is_one_weight_a_date():
    model = LinearTime()
    params = {'kernel': jnp.asarray([[1.0], [2], [0], [-1]]), 'bias': jnp.asarray([0.5])}
    (out,) = model.apply({'params': params}, [X])
    np.testing.assert_allclose(out, X[:, 0] + 2 * X[:, 1] - X[:, 3] + 0.5, atol=1e-6)


def test_levels_of_two_widths_do_not_share_a_module():
    levels = [X, X[..., :2]]
    with pytest.raises(InputError, match=r'levels: .* one width, found \[2, 4\]'):
        LtaeTime(SPEC).init(jax.random.key(0), levels)
