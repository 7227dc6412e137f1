import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.models.transformer import Transformer, TransformerSpec, gelu
from tests.models import small

SPEC = TransformerSpec(dim=8, depth=2, heads=2, mlp_dim=16)
TOKENS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 8)), jnp.float32)
PARAMS = small.drawn(Transformer(SPEC).init, TOKENS)


def loss_and_grad(**settings):
    module = Transformer(dataclasses.replace(SPEC, **settings))
    return jax.jit(jax.value_and_grad(lambda p: jnp.mean(module.apply(p, TOKENS) ** 2)))(PARAMS)


def test_parameters_are_stacked_over_layers_and_drawn_apart():
    params = jax.jit(Transformer(SPEC).init)(jax.random.key(1), TOKENS)
    assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(params))
    kernel = params['params']['layers']['query']['kernel']
    assert not jnp.allclose(kernel[0], kernel[1])


@pytest.mark.parametrize(
    'settings',
    [{'rolled': True}, {'remat': 'dots'}, {'remat': 'full'}, {'remat': 'full', 'rolled': True}],
)
def test_how_the_loop_runs_does_not_change_the_numbers(settings):
    expected, found = loss_and_grad(), loss_and_grad(**settings)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), expected, found
    )


def test_bfloat16_is_close_and_keeps_float32_parameters():
    exact = jax.jit(Transformer(SPEC).apply)(PARAMS, TOKENS)
    module = Transformer(dataclasses.replace(SPEC, dtype='bfloat16'))
    coarse = jax.jit(module.apply)(PARAMS, TOKENS)
    assert coarse.dtype == jnp.bfloat16
    drawn = jax.eval_shape(module.init, jax.random.key(0), TOKENS)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(drawn))
    # bfloat16 has 8 bits: steps of 2^-7 at values around 1 to 2, through 2 layers.
    np.testing.assert_allclose(coarse.astype(jnp.float32), exact, atol=0.1)


def test_one_layer_against_numpy():
    spec = dataclasses.replace(SPEC, depth=1, heads=1, qkv_bias=False)
    module = Transformer(spec)
    params = small.drawn(module.init, TOKENS)
    bias, position = np.linspace(-1, 0, 25).reshape(1, 1, 5, 5), np.ones((1, 5, 8)) / 3
    found = jax.jit(module.apply)(
        params,
        TOKENS,
        bias=jnp.asarray(bias, jnp.float32),
        position=jnp.asarray(position, jnp.float32),
    )
    p = jax.tree.map(lambda a: np.asarray(a[0], np.float64), params['params']['layers'])
    x = np.asarray(TOKENS, np.float64)
    y = _norm(x, p['attention_norm'])
    q, k, v = (y @ p[name]['kernel'] for name in ('query', 'key', 'value'))
    logits = q @ k.transpose(0, 2, 1) / math.sqrt(8) + bias[0]
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    x = x + _dense(weights @ v + position, p['attention_out'])
    y = _dense(_norm(x, p['mlp_norm']), p['mlp_in'])
    y = y * (1 + np.vectorize(math.erf)(y / math.sqrt(2))) / 2
    np.testing.assert_allclose(found, x + _dense(y, p['mlp_out']), atol=1e-5)


def test_gelu_and_its_derivative_are_exact():
    x = jnp.linspace(-6, 6, 101)
    np.testing.assert_allclose(gelu(x), jax.nn.gelu(x, approximate=False), atol=1e-6)
    slope = jax.vmap(jax.grad(lambda u: jax.nn.gelu(u, approximate=False)))
    np.testing.assert_allclose(jax.vmap(jax.grad(gelu))(x), slope(x), atol=1e-6)


@pytest.mark.parametrize('rate', ['attention_dropout', 'hidden_dropout'])
def test_dropout_acts_only_with_a_key(rate):
    module = Transformer(dataclasses.replace(SPEC, **{rate: 0.5}))
    plain = jax.jit(module.apply)(PARAMS, TOKENS)
    exact = jax.jit(Transformer(SPEC).apply)(PARAMS, TOKENS)
    np.testing.assert_allclose(plain, exact, atol=1e-6)
    rngs = {'dropout': jax.random.key(3)}
    dropped = jax.jit(module.apply, static_argnames='deterministic')(
        PARAMS, TOKENS, deterministic=False, rngs=rngs
    )
    assert not jnp.allclose(dropped, plain)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('heads', 3), ('depth', 0), ('dim', -1), ('attention_dropout', 1.0), ('norm_eps', 0.0)],
)
def test_impossible_sizes_are_named(field, value):
    with pytest.raises(InputError, match=rf'model\.rs\.{field}: .*found {value}'):
        dataclasses.replace(SPEC, **{field: value}).check('model.rs.')


def _norm(x, p):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * p['scale'] + p['bias']


def _dense(x, p):
    return x @ p['kernel'] + p['bias']
