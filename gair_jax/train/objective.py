"""What a step minimises: GAIR's INCL + SECL, masked autoencoding, or the loss of a label.

The trainer knows an objective only by its functions (`train.interface`), so one trainer serves
every ablation of the paper (its section 5.5), the MAE ones and fine-tuning included. A loss is two
functions, since the batch may go through the encoders in parts (`train.accumulate`) while rows are
compared all together.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gair_jax import losses
from gair_jax.config import BankConfig, Config, InputError
from gair_jax.models import gair, mae
from gair_jax.train import label_objective, loss_form, memory_bank, sharding
from gair_jax.train.interface import Aux, Objective, Outputs
from gair_jax.train.memory_bank import MemoryBank
from gair_jax.train.state import Params


def create(config: Config) -> Objective:
    """The objective that `config.loss.objective` names."""
    makers = {'gair': _gair, 'mae': _mae, 'label': _label}
    if config.loss.objective not in makers:
        raise InputError(
            f'loss.objective: expected one of {sorted(makers)}, found {config.loss.objective!r}.'
        )
    return makers[config.loss.objective](config)


def _gair(config: Config) -> Objective:
    model, loss = gair.build(config), config.loss
    if loss.groups < 1 or config.batch % loss.groups:
        raise InputError(
            f'loss.groups: expected a divisor of the batch {config.batch}, found {loss.groups}.'
        )
    loss_form.choose(config, 1)

    def init(key: Array) -> Params:
        params = model.init(key)
        if loss.learn_temperature:
            params['log_temperature'] = jnp.log(jnp.float32(loss.temperature))
        return params

    def init_teacher(params: Params) -> Params:
        sides = ('rs', 'sv') if loss.distillation else ()
        # A copy: the state is donated to the step, and one buffer cannot be donated twice.
        return jax.tree.map(jnp.copy, {s: params[s] for s in sides if s in params})

    def init_bank(key: Array) -> MemoryBank:
        encoded = model.place_width if model.encoding is not None else 0
        return memory_bank.create(config.bank, config.model.embed_dim, key, encoded)

    return Objective(
        init,
        init_bank,
        init_teacher,
        functools.partial(_encode_triples, model),
        functools.partial(_compare_triples, config, model),
    )


def _encode_triples(
    model: gair.Model, params: Params, batch: Mapping[str, Array], *, teacher: Params,
    key: Array | None,
) -> Outputs:  # fmt: skip
    # A part of a batch has dropout of its own.
    key = None if key is None else jax.random.fold_in(key, batch['row'][0])
    outputs = model.apply(params, batch, key=key)
    kept = {name: x for name, x in outputs.items() if name.startswith('loss_')}
    for side in teacher:
        kept[side] = outputs[side]
        kept[f'{side}_teacher'] = jax.lax.stop_gradient(_pooled(model, teacher, side, batch))
    return kept


def _compare_triples(
    config: Config, model: gair.Model, params: Params, outputs: Outputs,
    batch: Mapping[str, Array], *, bank: MemoryBank, key: Array | None,
) -> tuple[Array, Aux]:  # fmt: skip
    del key
    loss = config.loss
    temperature = jnp.float32(loss.temperature)
    if loss.learn_temperature:
        temperature = jnp.exp(params['log_temperature'])
    outputs, past = _places(config, model, params, outputs, batch[model.place_field], bank)
    total, metrics = losses.gair_loss(
        outputs,
        past,
        loss=loss,
        settings=_settings(config, temperature),
        rows=losses.batch_rows(
            len(batch['row']), tile=batch['tile'], lonlat=batch['lonlat'], groups=loss.groups
        ),
        has_rs=batch.get('has_rs'),
        has_sv=batch.get('has_sv'),
    )
    if distilled := _distilled(outputs, batch, loss.distillation):
        metrics['distillation'] = sum(distilled, jnp.float32(0))
        total += metrics['distillation']
    return total, Aux(
        {**metrics, 'temperature': temperature}, _pushed(config, model, outputs, batch)
    )


def _distilled(outputs: Outputs, batch: Mapping[str, Array], weight: float) -> list[Array]:
    """The distillation of each side that has a teacher."""
    return [
        losses.distillation(
            outputs[side], outputs[f'{side}_teacher'], weight=weight, valid=batch[f'has_{side}']
        )
        for side in ('rs', 'sv')
        if f'{side}_teacher' in outputs
    ]


def _settings(config: Config, temperature: Array) -> losses.Settings:
    loss, devices = config.loss, sharding.device_count()
    return losses.Settings(
        temperature=temperature,
        rule=losses.Rule(loss.mask_same_tile, loss.mask_radius_m),
        form=losses.Form(loss_form.choose(config, devices), loss.products),
        apart=loss.groups % devices == 0,
    )


def _places(
    config: Config, model: gair.Model, params: Params, outputs: Outputs, places: Array,
    bank: MemoryBank,
) -> tuple[Outputs, losses.Candidates | None]:  # fmt: skip
    """The outputs, and the bank as candidates, each device encoding its part of the positions.

    On one device the batch's own places are encoded with those of the bank, in one call: apart, XLA
    would join the products and cut them again. Those of the outputs are then not computed.
    """
    if not config.bank.size or not config.model.location.enabled:
        return outputs, None
    rows = losses.past_rows(bank.lonlat, bank.valid)
    rows, kept = sharding.split_rows((rows, bank.embeddings))
    if config.bank.content == 'embeddings':
        return outputs, losses.Candidates(jax.lax.stop_gradient(kept), rows)
    past = rows.lonlat if model.encoding is None else kept
    if sharding.device_count() > 1:
        return outputs, losses.Candidates(_encoded(model, params, past), rows)
    encoded = _encoded(model, params, jnp.concatenate([places, past]))
    own = encoded[: len(places)]
    return {**outputs, 'loss_location': own}, losses.Candidates(encoded[len(places) :], rows)


def _encoded(model: gair.Model, params: Params, places: Array) -> Array:
    """Places as the loss compares them."""
    return model.project(params, 'location', model.encode_location(params, places))


def _pooled(model: gair.Model, teacher: Params, side: str, batch: Mapping[str, Array]) -> Array:
    """What the frozen start encoder makes of its side of the batch."""
    if side == 'rs':
        return model.encode_rs(teacher, batch['rs'])['pooled']
    return model.encode_sv(teacher, batch['sv'])['embedding']


def _pushed(
    config: Config, model: gair.Model, outputs: Outputs, batch: Mapping[str, Array]
) -> tuple[Array, ...]:
    """What `memory_bank.push` takes."""
    if not config.bank.size or not config.model.location.enabled:
        return ()
    lonlat = batch['lonlat']
    everywhere = jnp.ones(len(lonlat), bool)
    if config.bank.content == 'positions':
        return (lonlat, everywhere, *([] if model.encoding is None else [batch['place']]))
    return lonlat, everywhere, jax.lax.stop_gradient(outputs['loss_location'])


def _mae(config: Config) -> Objective:
    model = mae.build(config)
    norm_pixels = config.model.mae.norm_pixels
    encode = functools.partial(_encode_masked, model, config.seed, norm_pixels)
    return Objective(model.init, _no_bank, _no_teacher, encode, _compare_masked)


def _label(config: Config) -> Objective:
    model, head = label_objective.create(config)
    return Objective(
        functools.partial(label_objective.init, model, head),
        _no_bank,
        _no_teacher,
        functools.partial(label_objective.encode, model),
        functools.partial(label_objective.compare, config.head, head),
        label_objective.choice(config.head),
    )


def _no_bank(key: Array) -> MemoryBank:
    return memory_bank.create(BankConfig(size=0), 0, key)


def _no_teacher(params: Params) -> Params:
    del params
    return {}


def _encode_masked(
    model: mae.MaeModel, seed: int, norm_pixels: bool, params: Params, batch: Mapping[str, Array],
    *, teacher: Params, key: Array | None,
) -> Outputs:  # fmt: skip
    del teacher
    # Without a key the masks are the same at every call, so that validations can be compared.
    key = jax.random.key(seed) if key is None else key

    def of_row(row: Array) -> Array:
        return jax.random.uniform(jax.random.fold_in(key, row), (model.patches,))

    out = model.apply(params, batch, jax.vmap(of_row)(batch['row']))
    errors, patches = losses.patch_errors(
        out['pred'], out['target'], out['mask'], norm_pixels=norm_pixels
    )
    found = {'rs_errors': errors, 'rs_patches': patches}
    if 'photo_pred' in out:
        ones = jnp.ones((len(errors), 1), jnp.float32)
        found['photo_errors'], found['photos'] = losses.patch_errors(
            out['photo_pred'], out['photo_target'], ones, norm_pixels=norm_pixels
        )
    return found


def _compare_masked(
    params: Params, outputs: Outputs, batch: Mapping[str, Array], *, bank: MemoryBank,
    key: Array | None,
) -> tuple[Array, Aux]:  # fmt: skip
    del params, bank, key
    has_rs = batch['has_rs']
    rs = losses.mae_loss(outputs['rs_errors'], outputs['rs_patches'], valid=has_rs)
    if 'photos' not in outputs:
        return rs, Aux({'mae_rs': rs})
    both = has_rs & batch['has_sv']
    photo = losses.mae_loss(outputs['photo_errors'], outputs['photos'], valid=both)
    return rs + photo, Aux({'mae_rs': rs, 'mae_photo': photo})
