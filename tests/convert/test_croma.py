import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import croma
from gair_jax.models import gair
from tests.convert.test_gair_release import official
from tests.models import small

PREFIX = 'rs_encoder.'


def checkpoint():
    """CROMA's optical encoder with 12 bands and its final norm, and keys that we drop."""
    rng = np.random.default_rng(2)
    state = {
        key.removeprefix(PREFIX): value
        for key, value in official().items()
        if key.startswith(f'{PREFIX}s2_encoder')
    }
    state['s2_encoder.linear_input.weight'] = rng.normal(size=(16, 12 * 64))
    state |= {
        f's2_encoder.transformer.norm_out.{k}': rng.normal(size=16) for k in ('weight', 'bias')
    }
    return state | {'s1_encoder.x': np.zeros(1), 's2_GAP_FFN.0.weight': np.zeros(1)}


def template():
    tree = jax.eval_shape(gair.build(small.config('paper')).init, jax.random.key(0))
    return {'rs': tree['rs']}


def test_ten_of_twelve_bands_are_kept_in_order():
    state = checkpoint()
    params = croma.params(croma.keep_bands(state, croma.TEN_BANDS), template())
    stored = state['s2_encoder.linear_input.weight'].reshape(16, 12, 64)
    kernel = params['rs']['patch']['kernel'].reshape(10, 64, 16)
    for ours, theirs in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 10, 11)):
        np.testing.assert_allclose(kernel[ours], stored[:, theirs].T, rtol=1e-6)


def test_twelve_bands_do_not_fit_ten():
    with pytest.raises(InputError, match=r'linear_input.weight: .*\(16, 640\), found \(16, 768\)'):
        croma.params(checkpoint(), template())


def test_ten_bands_cannot_be_cut_again():
    with pytest.raises(InputError, match=r'expected columns for 12 bands, found shape \(16, 640\)'):
        croma.keep_bands(croma.keep_bands(checkpoint(), croma.TEN_BANDS), croma.TEN_BANDS)
