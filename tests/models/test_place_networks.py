"""The networks against NumPy, and their initialisation and dropout against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.models import place_networks as networks

KEY = jax.random.key(0)


@pytest.fixture
def x():
    return jnp.asarray(np.random.default_rng(0).normal(size=(7, 5)), jnp.float32)


def made(module, *given):
    params = module.init(KEY, *given)['params']
    return params, np.asarray(module.apply({'params': params}, *given))


def linear(x, layer):
    return x @ np.asarray(layer['kernel']) + np.asarray(layer.get('bias', 0))


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def norm(x, layer):
    centred = x - x.mean(axis=1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return unit * np.asarray(layer['scale']) + np.asarray(layer['bias'])


def test_a_layer_skips_only_where_its_width_is_that_of_its_input(x):
    params, found = made(networks.FeedForward(3, hidden=(4, 4)), x)
    y = norm(leaky(linear(np.asarray(x), params['hidden_0'])), params['norm_0'])
    y = norm(leaky(linear(y, params['hidden_1'])) + y, params['norm_1'])
    np.testing.assert_allclose(found, leaky(linear(y, params['out'])), atol=1e-5)


def test_the_residual_network(x):
    params, found = made(networks.Residual(6, blocks=2), x)
    y = np.maximum(linear(np.asarray(x), params['first']), 0)
    for i in range(2):
        inner = np.maximum(linear(y, params[f'block_{i}_in']), 0)
        y = y + np.maximum(linear(inner, params[f'block_{i}_out']), 0)
    np.testing.assert_allclose(found, y, atol=1e-5)


def test_a_siren_is_sines_and_a_linear_map(x):
    params, found = made(networks.Siren(3, hidden=(8, 8)), x)
    y = np.sin(30 * linear(np.asarray(x), params['hidden_0']))
    y = np.sin(linear(y, params['hidden_1']))
    np.testing.assert_allclose(found, linear(y, params['out']), atol=1e-5)


def test_a_siren_is_drawn_within_its_bounds():
    params, _ = made(networks.Siren(64, hidden=(256, 256)), jnp.zeros((1, 100)))
    for name, bound in {'hidden_0': 1 / 100, 'hidden_1': (6 / 256) ** 0.5}.items():
        for leaf in params[name].values():
            most = float(jnp.abs(leaf).max())
            assert 0.9 * bound < most <= bound


def test_a_tile_gives_every_place_of_a_cell_one_row():
    params, found = made(networks.Tile(400, 16), jnp.array([3, 7, 3]))
    rows = np.asarray(params['cells']['embedding'])
    np.testing.assert_array_equal(found, rows[[3, 7, 3]])
    assert rows.std() == pytest.approx(1 / 16, rel=0.05)


def test_presence_is_a_sigmoid_for_each_without_a_bias(x):
    module = networks.Presence(4, users=2)
    params = module.init(KEY, x)['params']
    found = module.apply({'params': params}, x)
    for name in ('class', 'user'):
        assert set(params[f'{name}_weights']) == {'kernel'}
        logits = linear(np.asarray(x), params[f'{name}_weights'])
        np.testing.assert_allclose(found[name], 1 / (1 + np.exp(-logits)), atol=1e-6)


@pytest.mark.parametrize('task', networks.MOSAIKS)
def test_a_regressor_joins_image_and_place(task, x):
    spec = networks.MOSAIKS[task]
    module = networks.MosaiksRegressor(spec)
    features = jnp.asarray(np.random.default_rng(1).normal(size=(7, 20)), jnp.float32)
    params = module.init(KEY, features, x)['params']
    out = module.apply({'params': params}, features, x)

    def layers(name, y, leaky):
        for i in range(len(params[name]) - 1):
            y = linear(y, params[name][f'hidden_{i}'])
            y = np.where(y > 0, y, (0.01 if leaky else 0) * y)
        return linear(y, params[name]['out'])

    image = layers('image', np.asarray(features), spec.image_leaky)
    np.testing.assert_allclose(out['image'], image, atol=1e-4)
    joined = np.concatenate([image, out['place']], axis=1)
    np.testing.assert_allclose(
        out['answer'], layers('head', joined, spec.head_leaky)[:, 0], atol=1e-4
    )


@pytest.mark.parametrize(
    'module', [networks.FeedForward(3), networks.Residual(6), networks.Siren(3, hidden=(8,))]
)
def test_units_are_dropped_in_training_alone(module, x):
    params = module.init(KEY, x)['params']
    calm = [module.apply({'params': params}, x) for _ in range(2)]
    keys = jax.random.split(KEY)
    noisy = [module.apply({'params': params}, x, train=True, rngs={'dropout': k}) for k in keys]
    np.testing.assert_array_equal(*calm)
    assert not np.allclose(*noisy) and not np.allclose(calm[0], noisy[0])
