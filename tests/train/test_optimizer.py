"""Schedule and decay against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import Config, InputError
from gair_jax.train import optimizer


def config(**settings):
    made = Config(batch=512)
    for name, value in settings.items():
        setattr(made.optimizer, name, value)
    return made


def test_peak_rate_scales_with_the_batch_unless_told_not_to():
    assert optimizer.peak_rate(config(rate=1.5e-6, rate_batch=256)) == pytest.approx(3e-6)
    assert optimizer.peak_rate(config(rate=1.5e-6, rate_batch=0)) == 1.5e-6


def test_schedule_rises_linearly_then_falls_as_a_cosine_to_zero():
    rate = optimizer.schedule(config(rate=1.0, rate_batch=0, warmup=0.1), 100)
    np.testing.assert_allclose([rate(i) for i in range(10)], np.arange(1, 11) / 10, rtol=1e-6)
    after = [0.5 * (1 + np.cos(np.pi * k / 90)) for k in range(91)]
    np.testing.assert_allclose([rate(10 + k) for k in range(91)], after, atol=1e-6)


def test_without_warmup_the_first_step_has_the_peak_rate():
    rate = optimizer.schedule(config(rate=0.5, rate_batch=0, warmup=0.0, schedule='constant'), 7)
    assert [float(rate(i)) for i in range(7)] == [0.5] * 7


def test_total_steps_come_from_epochs_unless_steps_are_set():
    made = config()
    made.epochs, made.batch = 2.5, 4
    assert optimizer.total_steps(made, 100) == 62  # 2.5 x 100 / 4 = 62.5, rounded to even
    made.steps = 9
    assert optimizer.total_steps(made, 100) == 9


def test_decay_spares_biases_scales_and_the_fixed_frequencies():
    params = {
        'layer': {'kernel': jnp.ones((3, 2)), 'bias': jnp.ones((3, 2))},
        'norm': {'scale': jnp.ones((3, 2))},
        'frequencies': jnp.ones((3, 2)),
    }
    made = config(rate=0.1, rate_batch=0, weight_decay=0.5, warmup=0.0, schedule='constant')
    transform = optimizer.create(made, 10)
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = transform.update(zeros, transform.init(params), params)
    np.testing.assert_allclose(updates['layer']['kernel'], -0.05)  # rate x decay x weight
    for untouched in (updates['layer']['bias'], updates['norm']['scale'], updates['frequencies']):
        np.testing.assert_array_equal(untouched, 0)


def test_clip_bounds_the_global_norm_of_the_gradient():
    params = {'kernel': jnp.zeros(4)}
    made = config(name='sgd', rate=1.0, rate_batch=0, warmup=0.0, schedule='constant', clip=0.5)
    transform = optimizer.create(made, 10)
    updates, _ = transform.update({'kernel': jnp.full(4, 2.0)}, transform.init(params), params)
    np.testing.assert_allclose(jnp.linalg.norm(updates['kernel']), 0.5, rtol=1e-6)


@pytest.mark.parametrize(('field', 'value'), [('schedule', 'linear'), ('name', 'lion')])
def test_an_unknown_name_is_refused_in_words(field, value):
    with pytest.raises(InputError, match=f"optimizer.{field}: expected one of .*found '{value}'"):
        optimizer.create(config(**{field: value}), 10)
