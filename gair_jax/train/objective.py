"""What a step minimises: GAIR's INCL + SECL, or masked autoencoding, behind one interface.

The trainer knows an objective only as these functions, so one trainer serves every ablation of
the paper (its section 5.5), the MAE ones included.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gair_jax.config import BankConfig, Config, InputError
from gair_jax.losses import distillation, false_negatives, gair_loss, mae_loss
from gair_jax.models import gair, mae
from gair_jax.train import memory_bank
from gair_jax.train.memory_bank import MemoryBank

Params = dict[str, Any]


class Aux(NamedTuple):
    """What a loss gives beside its value."""

    metrics: dict[str, Array]
    pushed: tuple[Array, ...]  # arguments of memory_bank.push; empty: nothing is pushed


class Objective(NamedTuple):
    """Pure functions that a step is made of.

    `loss` takes (params, batch, *, bank, teacher, key, train=True) and gives (value, Aux).
    """

    init: Callable[[Array], Params]
    init_bank: Callable[[Array], MemoryBank]
    init_teacher: Callable[[Params], Params]
    loss: Callable[..., tuple[Array, Aux]]


def create(config: Config) -> Objective:
    """The objective that `config.loss.objective` names."""
    makers = {'gair': _gair, 'mae': _mae}
    if config.loss.objective not in makers:
        raise InputError(
            f'loss.objective: expected one of {sorted(makers)}, found {config.loss.objective!r}.'
        )
    return makers[config.loss.objective](config)


def _gair(config: Config) -> Objective:
    model, loss = gair.build(config), config.loss

    def init(key: Array) -> Params:
        params = model.init(key)
        if loss.learn_temperature:
            params['log_temperature'] = jnp.log(jnp.float32(loss.temperature))
        return params

    def init_teacher(params: Params) -> Params:
        sides = ('rs', 'sv') if loss.distillation else ()
        # A copy: the state is donated to the step, and one buffer cannot be donated twice.
        return jax.tree.map(jnp.copy, {s: params[s] for s in sides if s in params})

    def value(
        params: Params, batch: Mapping[str, Array], *, bank: MemoryBank, teacher: Params,
        key: Array, train: bool = True,
    ) -> tuple[Array, Aux]:  # fmt: skip
        outputs = model.apply(params, batch, key=key if train else None)
        temperature = jnp.float32(loss.temperature)
        if loss.learn_temperature:
            temperature = jnp.exp(params['log_temperature'])
        embeddings, exclude_bank = _bank_side(config, model, params, bank, batch)
        total, metrics = gair_loss(
            outputs, embeddings, exclude_bank, loss=loss, temperature=temperature,
            has_rs=batch.get('has_rs'), has_sv=batch.get('has_sv'),
            exclude=_excluded(config, batch),
        )  # fmt: skip
        if teacher:
            distilled = _distilled(model, teacher, batch, outputs, loss.distillation)
            total, metrics = total + distilled, {**metrics, 'distillation': distilled}
        return total, Aux({**metrics, 'temperature': temperature}, _pushed(config, outputs, batch))

    return Objective(
        init,
        lambda key: memory_bank.create(config.bank, config.model.embed_dim, key),
        init_teacher,
        value,
    )


def _bank_side(
    config: Config, model: gair.Model, params: Params, bank: MemoryBank, batch: Mapping[str, Array]
) -> tuple[Array | None, Array | None]:
    """Embeddings [K, D] of the bank and the entries [B, K] that are no negatives of an anchor."""
    if not config.bank.size or not config.model.location.enabled:
        return None, None
    exclude = memory_bank.excluded(bank, batch['lonlat'], config.loss.mask_radius_m)
    if config.bank.content == 'embeddings':
        return jax.lax.stop_gradient(bank.embeddings), exclude
    encoded = model.encode_location(params, bank.lonlat)
    return model.project(params, 'location', encoded), exclude


def _excluded(config: Config, batch: Mapping[str, Array]) -> Array:
    return false_negatives(
        batch['tile'],
        batch['lonlat'],
        same_tile=config.loss.mask_same_tile,
        radius_m=config.loss.mask_radius_m,
    )


def _distilled(
    model: gair.Model, teacher: Params, batch: Mapping[str, Array], outputs: Params, weight: float
) -> Array:
    """-weight x (mean cosine of each encoder with its frozen start), over rows that have data."""
    total = jnp.float32(0)
    if 'rs' in teacher:
        start = model.encode_rs(teacher, batch['rs'])['pooled']
        total += distillation(outputs['rs'], start, weight=weight, valid=batch['has_rs'])
    if 'sv' in teacher:
        start = model.encode_sv(teacher, batch['sv'])['embedding']
        total += distillation(outputs['sv'], start, weight=weight, valid=batch['has_sv'])
    return total


def _pushed(config: Config, outputs: Params, batch: Mapping[str, Array]) -> tuple[Array, ...]:
    if not config.bank.size or not config.model.location.enabled:
        return ()
    lonlat = batch['lonlat']
    everywhere = jnp.ones(len(lonlat), bool)
    if config.bank.content == 'positions':
        return lonlat, everywhere
    return lonlat, everywhere, jax.lax.stop_gradient(outputs['loss_location'])


def _mae(config: Config) -> Objective:
    model = mae.build(config)
    norm_pixels = config.model.mae.norm_pixels
    no_bank = memory_bank.create(BankConfig(size=0), 0, jax.random.key(0))

    def value(
        params: Params, batch: Mapping[str, Array], *, bank: MemoryBank, teacher: Params,
        key: Array, train: bool = True,
    ) -> tuple[Array, Aux]:  # fmt: skip
        del bank, teacher, train
        noise = jax.random.uniform(key, (len(batch['rs']), model.patches))
        out = model.apply(params, batch, noise)
        rs = mae_loss(
            out['pred'], out['target'], out['mask'],
            valid=batch['has_rs'], norm_pixels=norm_pixels,
        )  # fmt: skip
        metrics = {'mae_rs': rs}
        if 'photo_pred' not in out:
            return rs, Aux(metrics, ())
        both = batch['has_rs'] & batch['has_sv']
        ones = jnp.ones((len(both), 1), jnp.float32)
        photo = mae_loss(
            out['photo_pred'], out['photo_target'], ones, valid=both, norm_pixels=norm_pixels
        )
        return rs + photo, Aux({**metrics, 'mae_photo': photo}, ())

    return Objective(model.init, lambda key: no_bank, lambda params: {}, value)
