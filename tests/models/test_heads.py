import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.models.heads import ClipHead, Head, Probe
from tests.models import small


def test_without_hidden_layers_it_is_a_norm_and_a_linear_map():
    head, x = Head(out=3), jax.random.normal(jax.random.key(0), (4, 8))
    params = head.init(jax.random.key(1), x)
    normed = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    expected = normed @ params['params']['out']['kernel']
    np.testing.assert_allclose(head.apply(params, x), expected, atol=1e-6)


def test_hidden_widths():
    head = Head(out=3, hidden=(5, 6))
    shapes = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros((1, 8)))['params']
    assert shapes['hidden_0']['kernel'].shape == (8, 5) and shapes['out']['kernel'].shape == (6, 3)


def test_the_image_head_is_one_relu_layer_and_a_linear_map():
    head, x = ClipHead(6, 3), jax.random.normal(jax.random.key(0), (4, 6))
    params = small.drawn(head.init, x)
    hidden, out = (jax.tree.map(np.asarray, params['params'][n]) for n in ('hidden', 'out'))
    within = np.maximum(np.asarray(x) @ hidden['kernel'] + hidden['bias'], 0)
    np.testing.assert_allclose(
        head.apply(params, x), within @ out['kernel'] + out['bias'], atol=1e-6
    )


def test_a_model_has_an_image_head_where_it_is_asked_for():
    config = small.config()
    without = jax.eval_shape(gair.build(config).init, jax.random.key(0))
    config.model.clip_hidden = 6
    model = gair.build(config)
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert set(params) - set(without) == {'clip'}
    drawn = small.drawn(model.clip.init, jnp.zeros((1, 6)))['params']
    assert model.project_clip({'clip': drawn}, jnp.ones((2, 6))).shape == (2, 16)
    with pytest.raises(InputError, match='model.clip_hidden: this needs'):
        gair.build(small.config()).project_clip({}, jnp.ones((2, 6)))
    config.model.clip_hidden = -1
    with pytest.raises(InputError, match='model.clip_hidden: expected at least 0, found -1'):
        gair.build(config)


@pytest.mark.parametrize('hidden', [False, True])
def test_a_probe_is_linear_or_has_a_sigmoid_layer_as_wide_as_the_features(hidden):
    probe, x = Probe(3, hidden), jax.random.normal(jax.random.key(0), (4, 6))
    params = jax.tree.map(np.asarray, small.drawn(probe.init, x)['params'])
    within = np.asarray(x)
    if hidden:
        inner = within @ params['hidden']['kernel'] + params['hidden']['bias']
        within = 1 / (1 + np.exp(-inner))
    expected = within @ params['out']['kernel'] + params['out']['bias']
    np.testing.assert_allclose(probe.apply({'params': params}, x), expected, atol=1e-6)
