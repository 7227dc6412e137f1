"""Probes of patches as decoders of masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import HeadConfig
from gair_jax.models import task_head
from tests.models import small


def built(decoder, size):
    config = small.config()
    config.head = HeadConfig(
        target='mask', outputs=3, features=('rs',), levels=(1,), decoder=decoder
    )
    config.input.rs.window = size
    return task_head.build(config)


@pytest.mark.parametrize('decoder', ['linear', 'nonlinear'])
def test_a_probe_answers_for_each_patch_by_its_last_token(decoder):
    head = built(decoder, 4)  # as many pixels as patches: nothing is interpolated
    shape = (1, 2, *head.features[1:])
    levels = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)
    params = small.drawn(lambda key: head.init(key)[0])
    statistics = {'norm': {'mean': jnp.full(shape[-1], 0.5), 'var': jnp.full(shape[-1], 4.0)}}
    found, kept = head.apply(params, statistics, levels)
    probe, norm = (jax.tree.map(np.asarray, params[name]) for name in ('probe', 'norm'))
    x = (np.asarray(levels[-1][:, 0]) - 0.5) / np.sqrt(4.00001) * norm['scale'] + norm['bias']
    if decoder == 'nonlinear':
        x = 1 / (1 + np.exp(-(x @ probe['hidden']['kernel'] + probe['hidden']['bias'])))
    expected = x @ probe['out']['kernel'] + probe['out']['bias']
    assert kept is statistics
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_logits_are_interpolated_to_pixels():
    head = built('linear', 8)
    shape = (1, 1, *head.features[1:])
    ramp = jnp.broadcast_to(jnp.arange(4.0)[:, None], shape[3:5])[None, None, None, ..., None]
    params = small.drawn(lambda key: head.init(key)[0])
    statistics = head.init(jax.random.key(0))[1]
    levels = jnp.broadcast_to(ramp, shape)
    found = np.asarray(head.apply(params, statistics, levels)[0])[0, :, 0, 0]
    # Centres of half-size pixels on a ramp: 0, 1/4, 3/4, ..., 11/4, 3.
    steps = np.diff(found) / (found[-1] - found[0])
    np.testing.assert_allclose(steps, np.array([1, 2, 2, 2, 2, 2, 1]) / 12, atol=1e-6)
