import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError, LocationConfig
from gair_jax.geo.projection import equal_earth
from gair_jax.models import location
from tests.models import small

SPEC = location.LocationSpec(sigma=(1.0, 16.0, 256.0), frequencies=8, hidden=(12, 10), embed_dim=6)
PLACES = jnp.asarray([[139.7, 35.6], [-122.3, 47.6], [0.0, -80.0], [180.0, 0.0]])
ENCODER = location.LocationEncoder(SPEC)
PARAMS = small.drawn(ENCODER.init, PLACES, spread=0.5)


def test_against_numpy_in_float64():
    out = jax.jit(ENCODER.apply)(PARAMS, PLACES)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), PARAMS['params'])
    projected = equal_earth(np.asarray(PLACES, np.float64))
    expected = np.zeros((4, 6))
    for scale in range(3):
        phase = 2 * np.pi * projected @ p['frequencies'][scale].T
        x = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
        np.testing.assert_allclose(out['rff'][scale], x, atol=2e-5)
        for name in ('hidden_0', 'hidden_1', 'out'):
            layer = p['branches'][name]
            x = x @ layer['kernel'][scale] + layer['bias'][scale]
            x = np.maximum(x, 0) if name != 'out' else x
        expected += x
    np.testing.assert_allclose(out['embedding'], expected, atol=1e-4)


def test_frequencies_have_their_scale_and_get_no_gradient():
    wide = dataclasses.replace(SPEC, frequencies=2000, hidden=())
    params = jax.jit(location.LocationEncoder(wide).init)(jax.random.key(1), PLACES)
    drawn = params['params']['frequencies']
    np.testing.assert_allclose(drawn.std(axis=(1, 2)), SPEC.sigma, rtol=0.05)
    grads = jax.jit(jax.grad(lambda p: jnp.sum(ENCODER.apply(p, PLACES)['embedding'] ** 2)))(PARAMS)
    assert not grads['params']['frequencies'].any()
    assert grads['params']['branches']['out']['kernel'].any()


def test_phases_stay_in_float32_under_a_coarse_default():
    lowered = jax.jit(location.fourier_features).lower(PLACES, PARAMS['params']['frequencies'])
    assert 'HIGHEST' in lowered.as_text()


@pytest.mark.parametrize(
    ('field', 'value'), [('sigma', ()), ('sigma', (1.0, 0.0)), ('hidden', (0,)), ('frequencies', 0)]
)
def test_bad_settings_are_named(field, value):
    config = dataclasses.replace(LocationConfig(), **{field: value})
    with pytest.raises(InputError, match=f'model.location.{field}: '):
        location.spec(config, 8)
