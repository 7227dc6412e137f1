"""Parity of the contrastive losses and of the memory bank."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.losses import Settings, bank_of, distillation, incl, secl
from gair_jax.train import memory_bank
from tests.parity.kinds import Arrays, Data, Unsupported, kind, require
from tests.parity.weights import Case


def float32(case: Case) -> dict[str, jax.Array]:
    return {name: jnp.asarray(array, jnp.float32) for name, array in case.inputs.items()}


def total(z, g, e, bank, kwargs: dict, reading: str) -> tuple[jax.Array, jax.Array]:
    """INCL + lambda SECL, and SECL."""
    settings = Settings(kwargs['tau'])
    past = None if reading == 'batch_only' else bank_of(bank)
    place = secl(z, g, e, past, settings, denominator=reading)
    return incl(z, g, settings)[0] + kwargs['lambda'] * place, place


@kind('info_nce_incl_secl')
def incl_secl(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, normalize=True, bank_gradient=(True, False))
    inputs = float32(case)
    z, g, e, bank = (inputs[name] for name in ('z', 'g', 'e', 'bank'))
    settings = Settings(kwargs['tau'])
    out = {'incl': incl(z, g, settings)[0]}
    slopes = jax.grad(lambda z, g: incl(z, g, settings)[0], argnums=(0, 1))(z, g)
    out['grad_z_incl'], out['grad_g_incl'] = slopes
    for reading in kwargs['readings']:
        of_reading = functools.partial(total, kwargs=kwargs, reading=reading)
        value_and_grad = jax.value_and_grad(of_reading, argnums=(0, 1, 2, 3), has_aux=True)
        values, grads = jax.jit(value_and_grad)(z, g, e, bank)
        out[f'total_{reading}'], out[f'secl_{reading}'] = values
        for name, grad in zip(('z', 'g', 'e', 'bank'), grads, strict=True):
            out[f'grad_{name}_{reading}'] = grad
    return {name: np.asarray(value) for name, value in out.items()}


@kind('history_loss')
def history_loss(case: Case, data: Data) -> Arrays:
    del data
    kwargs, inputs = case.kwargs, float32(case)
    require(kwargs, bank_gradient=True)
    if kwargs['projected'] != ['sv']:
        raise Unsupported(f'projected={kwargs["projected"]!r}, where we have the sv side')
    kernel = jnp.asarray(case.params['optical_proj.weight'].T)
    settings = Settings(kwargs['temperature'])

    def contrastive(localized, sv, location, bank, bias):
        projected = sv @ kernel + bias[None]
        place = secl(
            localized,
            projected,
            location,
            bank_of(bank),
            settings,
            denominator=kwargs['secl_denominator'],
        )
        return incl(localized, projected, settings)[0] + kwargs['secl_weight'] * place

    bias = jnp.asarray(case.params['optical_proj.bias'])
    names = ('localized', 'sv', 'location', 'bank')
    args = (*(inputs[name] for name in names), bias)
    loss, grads = jax.value_and_grad(contrastive, argnums=range(5))(*args)
    out = {f'grad_{n}': g for n, g in zip((*names, 'optical_proj_bias'), grads, strict=True)}
    valid = jnp.ones(len(inputs['sv']), bool)
    distilled = sum(
        distillation(
            inputs[side], inputs[f'{side}_teacher'], weight=kwargs['teacher_alpha'], valid=valid
        )
        for side in ('sv', 'rs')
    )
    out |= {'loss': loss, 'distillation': distilled}
    return {name: np.asarray(value) for name, value in out.items()}


@kind('history_queue')
def history_queue(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, order=('lon_lat', 'lat_lon'))
    start, batches = case.inputs['queue0'], case.inputs['batches']
    bank = memory_bank.MemoryBank(
        lonlat=jnp.asarray(start.T),
        embeddings=jnp.zeros((start.shape[1], 0)),
        valid=jnp.ones(start.shape[1], bool),
        cursor=jnp.int32(kwargs['start']),
    )
    out: Arrays = {}
    for n, places in enumerate(batches):
        bank = memory_bank.push(bank, jnp.asarray(places), jnp.ones(len(places), bool))
        out[f'ptr{n}'] = np.asarray(bank.cursor)[None]
        out[f'queue{n}'] = np.asarray(bank.content).T
    return out
