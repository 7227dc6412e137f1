import zlib

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import LossConfig
from gair_jax.losses import Settings, bank_of, distillation, gair_loss
from tests.shared import shared


def test_cosine_over_valid_rows_without_gradient_to_the_teacher():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 4)).astype(np.float32)
    valid = np.array([True, False, True, True, False])
    cos = np.sum(student * teacher, -1) / np.linalg.norm(student, axis=-1)
    cos /= np.linalg.norm(teacher, axis=-1)

    def loss(student, teacher):
        return distillation(student, teacher, weight=0.2, valid=jnp.asarray(valid))

    value, (to_student, to_teacher) = jax.value_and_grad(loss, (0, 1))(
        jnp.asarray(student), jnp.asarray(teacher)
    )
    np.testing.assert_allclose(value, -0.2 * cos[valid].mean(), rtol=1e-6)
    assert (to_teacher == 0).all() and (to_student[~valid] == 0).all()
    assert jnp.isfinite(jax.grad(loss)(jnp.zeros((5, 4)), jnp.asarray(teacher))).all()


def drawn(key, shape):
    """A parameter of a parity case by the rule of shared/parity/weights.py."""
    rng = np.random.default_rng([0, zlib.crc32(key.encode())])
    return jnp.float32(0.02 * rng.standard_normal(shape))


def test_parity_history_loss():
    """The authors' training code: (4 cross entropies) / 2 = INCL + 1.0 x SECL; distillation."""
    with np.load(shared('parity/gair/history_pretrain_loss.npz')) as case:
        given = {k[3:]: jnp.asarray(case[k]) for k in case.files if k.startswith('in/')}
        expected = {k[4:]: case[k] for k in case.files if k.startswith('out/')}
    weight = drawn('optical_proj.weight', (768, 768))
    bias = drawn('optical_proj.bias', (768,))
    config = LossConfig(secl_weight=1.0, secl_denominator='positive_and_bank')

    def loss(localized, sv, location, bank, bias):
        projected = jnp.matmul(sv, weight.T, precision='highest') + bias[None]
        outputs = {'loss_localized': localized, 'loss_sv': projected, 'loss_location': location}
        return gair_loss(outputs, bank_of(bank), loss=config, settings=Settings(0.07))[0]

    names = ('localized', 'sv', 'location', 'bank')
    run = jax.jit(jax.value_and_grad(loss, argnums=range(5)))
    value, grads = run(*(given[n] for n in names), bias)
    assert abs(value - expected['loss']) <= 2e-6
    for name, grad in zip((*names, 'optical_proj_bias'), grads, strict=True):
        np.testing.assert_allclose(grad, expected[f'grad_{name}'], atol=1e-7, rtol=1e-5)
    every = jnp.ones(len(given['sv']), bool)
    distilled = sum(
        distillation(given[side], given[f'{side}_teacher'], weight=0.2, valid=every)
        for side in ('sv', 'rs')
    )
    np.testing.assert_allclose(distilled, expected['distillation'], atol=1e-7, rtol=1e-5)
