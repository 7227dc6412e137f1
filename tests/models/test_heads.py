import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.models.heads import Head


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
