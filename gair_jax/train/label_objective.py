"""Learning a label: a head on the encoders, which are trained along with it or stay as they are.

One more objective of the one trainer. Parameters are those of GAIR's model with `head` beside them,
and under `statistics` what a batch norm keeps, which no gradient reaches.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from gair_jax.config import Config, HeadConfig, InputError
from gair_jax.losses import segmentation
from gair_jax.models import gair, task_head
from gair_jax.models.task_head import TaskHead
from gair_jax.train.interface import Aux, Outputs
from gair_jax.train.memory_bank import MemoryBank
from gair_jax.train.state import Params

HEAD, STATISTICS = 'head', 'statistics'
SELECTIONS = ('miou', 'iou_1', 'loss')
IGNORED = 255  # of masks: the truth is unknown
Valued = tuple[Array, dict[str, Array]]


def create(config: Config) -> tuple[gair.Model, TaskHead]:
    """The model and the head of a config.

    Raises:
      InputError: a setting that cannot be used, or does not fit the others.
    """
    head = config.head
    if not head.label:
        raise InputError('head.label: expected the name of a label, found none.')
    if head.selection not in SELECTIONS:
        raise InputError(
            f'head.selection: expected one of {", ".join(SELECTIONS)}, found {head.selection!r}.'
        )
    if head.target != 'mask' and config.input.rs.dates > 1:
        raise InputError(
            f'input.rs.dates: expected 1 for a {head.target}, found {config.input.rs.dates}.'
        )
    return gair.build(config), task_head.build(config)


def choice(head: HeadConfig) -> str:
    """The validation metric that chooses the best parameters."""
    return {'class': 'accuracy', 'regression': 'loss', 'mask': head.selection}[head.target]


def init(model: gair.Model, head: TaskHead, key: Array) -> Params:
    """Parameters of the encoders, of the head, and its statistics."""
    # Not a split, which would change the keys of the encoders.
    made, statistics = head.init(jax.random.fold_in(key, 2))
    return {**model.init(key), HEAD: made, **({STATISTICS: statistics} if statistics else {})}


def encode(
    model: gair.Model, params: Params, batch: Mapping[str, Array], *, teacher: Params,
    key: Array | None,
) -> Outputs:  # fmt: skip
    """The features of each row: `features` [B, D], or of masks level_I [B, T, h, w, D]."""
    del teacher
    head = model.config.head
    if head.frozen:
        params, key = jax.lax.stop_gradient(params), None
    if head.target != 'mask':
        joined = [_embedding(model, params, side, batch, key) for side in head.features]
        return {'features': jnp.concatenate(joined, axis=-1)}
    rs = batch['rs'] if batch['rs'].ndim == 5 else batch['rs'][:, None]
    levels = task_head.take_levels(model, params, rs, key=key)
    return {f'level_{i}': level for i, level in enumerate(levels)}


def _embedding(
    model: gair.Model, params: Params, side: str, batch: Mapping[str, Array], key: Array | None
) -> Array:
    if side == 'location':
        return model.encode_location(params, batch[model.place_field])
    if side == 'sv':
        return model.encode_sv(params, batch['sv'], key=key)['embedding']
    grid = model.encode_rs(params, batch['rs'], key=key)['patch_grid']
    return model.query(params, grid, batch['xy'][:, None].astype(jnp.float32))[:, 0]


def without(label: Array, valid: Array) -> Array:
    """Labels with those of the rows that only fill up a batch unknown."""
    unknown = {'i': -1, 'f': jnp.nan, 'u': IGNORED}[label.dtype.kind]
    rows = valid.reshape(-1, *(1,) * (label.ndim - 1))
    return jnp.where(rows, label, jnp.asarray(unknown, label.dtype))


def answers(
    head: TaskHead, params: Params, outputs: Outputs, *, key: Array | None = None
) -> tuple[Array, Params]:
    """What the head makes of features (see `TaskHead.apply`), and its statistics after them."""
    features = outputs.get('features')
    if features is None:
        features = jnp.stack([outputs[f'level_{i}'] for i in range(len(outputs))])
    return head.apply(params[HEAD], params.get(STATISTICS, {}), features, key=key)


def compare(
    settings: HeadConfig, head: TaskHead, params: Params, outputs: Outputs,
    batch: Mapping[str, Array], *, bank: MemoryBank, key: Array | None,
) -> tuple[Array, Aux]:  # fmt: skip
    """The mean loss of the labels that are known: of rows, numbers or pixels."""
    del bank
    found, statistics = answers(head, params, outputs, key=key)
    losses = {'class': _classes, 'regression': _values, 'mask': _masks}
    loss, metrics = losses[settings.target](settings, found, batch['label'])
    if key is not None:  # numbers alone in training
        metrics = {name: metrics[name] for name in metrics.keys() & {'accuracy'}}
    kept = {STATISTICS: jax.lax.stop_gradient(statistics)} if statistics else {}
    return loss, Aux(metrics, (), kept)


def _classes(settings: HeadConfig, logits: Array, label: Array) -> Valued:
    del settings
    known, weight = label >= 0, jnp.sum(label >= 0)
    missed = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(label, 0))
    right = jnp.sum(logits.argmax(axis=1) == label)
    least = jnp.maximum(weight, 1)
    loss = jnp.sum(missed, where=known) / least
    return loss, {'accuracy': right / least, 'weight': weight.astype(jnp.float32)}


def _values(settings: HeadConfig, found: Array, label: Array) -> Valued:
    del settings
    known = jnp.isfinite(label)
    missed = jnp.square(found - jnp.where(known, label, 0))
    weight = jnp.sum(known)
    loss = jnp.sum(missed, where=known) / jnp.maximum(weight, 1)
    return loss, {'weight': weight.astype(jnp.float32)}


def _masks(settings: HeadConfig, logits: Array, label: Array) -> Valued:
    loss_of = {'cross_entropy': segmentation.cross_entropy, 'dice': segmentation.dice}
    loss = loss_of[settings.loss](logits, label, ignore=IGNORED)
    one = logits.shape[-1] == 1
    classes = 2 if one else logits.shape[-1]
    predicted = (logits[..., 0] > 0).astype(jnp.int32) if one else logits.argmax(axis=-1)
    known = label != IGNORED
    cell = jnp.where(known, predicted * classes + label.astype(jnp.int32), 0)
    counts = jnp.zeros(classes**2).at[cell.ravel()].add(known.ravel().astype(jnp.float32))
    confusion = counts.reshape(classes, classes)
    weight = confusion.sum()
    accuracy = jnp.trace(confusion) / jnp.maximum(weight, 1)
    return loss, {'accuracy': accuracy, 'weight': weight, 'confusion': confusion}
