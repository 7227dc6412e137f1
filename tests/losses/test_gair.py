import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError, LossConfig
from gair_jax.losses import Rule, Settings, bank_of, batch_rows, gair_loss, incl, secl

T = 0.1
LOSS = LossConfig(incl_weight=2.0, secl_weight=0.5, secl_denominator='batch_and_bank')


def outputs(*sides):
    rng = np.random.default_rng(0)
    every = ('loss_localized', 'loss_sv', 'loss_location', 'patch_grid')
    made = {k: jnp.float32(rng.normal(size=(6, 4))) for k in every}
    return {k: made[k] for k in made if k[5:] in sides}


BANK = jnp.float32(np.random.default_rng(1).normal(size=(3, 4)))
SETTINGS = Settings(T)


def run(out, loss=LOSS, bank=BANK, settings=SETTINGS, **masks):
    @jax.jit
    def compiled(out, bank, masks):
        past = None if bank is None else bank_of(bank)
        return gair_loss(out, past, loss=loss, settings=settings, **masks)

    return compiled(out, bank, masks)


@pytest.mark.slow
def test_the_total_is_the_weighted_sum_of_its_parts():
    out = outputs('localized', 'sv', 'location')
    total, metrics = run(out)
    assert set(metrics) == {'incl', 'secl', 'retrieval_at_1'}
    z, g, e = out['loss_localized'], out['loss_sv'], out['loss_location']
    np.testing.assert_allclose(metrics['incl'], incl(z, g, SETTINGS)[0], rtol=1e-6)
    expected = secl(z, g, e, bank_of(BANK), SETTINGS, denominator='batch_and_bank')
    np.testing.assert_allclose(metrics['secl'], expected, rtol=1e-6)
    np.testing.assert_allclose(total, 2 * metrics['incl'] + 0.5 * metrics['secl'], rtol=1e-6)


def test_without_location_there_is_no_secl():
    total, metrics = run(outputs('localized', 'sv'), bank=None)
    assert set(metrics) == {'incl', 'retrieval_at_1'}
    np.testing.assert_allclose(total, 2 * metrics['incl'], rtol=1e-6)


@pytest.mark.parametrize('side', ['localized', 'sv'])
def test_without_photos_or_tiles_secl_is_left_alone(side):
    total, metrics = run(outputs(side, 'location'))
    assert set(metrics) == {'secl'}
    np.testing.assert_allclose(total, 0.5 * metrics['secl'], rtol=1e-6)


def test_a_batch_without_photos_equals_a_model_without_them():
    out = outputs('localized', 'sv', 'location')
    nothing, every = jnp.zeros(6, bool), jnp.ones(6, bool)
    total, metrics = run(out, has_rs=every, has_sv=nothing)
    assert metrics['incl'] == 0 and metrics['retrieval_at_1'] == 0
    np.testing.assert_allclose(total, run(outputs('localized', 'location'))[0], rtol=1e-6)
    grads = jax.jit(jax.grad(lambda o: run(o, has_rs=every, has_sv=nothing)[0]))(out)
    assert (grads['loss_sv'] == 0).all() and (grads['loss_localized'] != 0).any()


def test_one_trace_serves_every_mix_of_modalities():
    traces = []

    @jax.jit
    def value(out, has_rs, has_sv):
        traces.append(1)
        return run(out, has_rs=has_rs, has_sv=has_sv)[0]

    out, rng = outputs('localized', 'sv', 'location'), np.random.default_rng(2)
    for _ in range(3):
        has = jnp.asarray(rng.random((2, 6)) < 0.5)
        assert jnp.isfinite(value(out, has[0], has[1]))
    assert len(traces) == 1


def test_excluded_pairs_are_no_negatives_in_either_loss():
    out = outputs('localized', 'sv', 'location')
    rows = batch_rows(6, tile=jnp.zeros(6, jnp.int32))
    loss = LossConfig(secl_denominator='batch_only')
    total, metrics = run(
        out, loss=loss, bank=None, rows=rows, settings=Settings(T, Rule(same_tile=True))
    )
    assert total == 0 and metrics['incl'] == 0 and metrics['secl'] == 0


def test_refusals():
    with pytest.raises(InputError, match='at least two of rs, sv and location'):
        run(outputs('location'))
    for field, bad in (('temperature', 0.0), ('secl_weight', -1.0), ('mask_radius_m', -1.0)):
        with pytest.raises(InputError, match=f'loss.{field}: expected'):
            run(outputs('localized', 'sv'), loss=LossConfig(**{field: bad}))
