"""What a run will hold on each device, told before it starts.

State, batch and loss follow from shapes and shardings and are exact. Activations are counted from
the layers: what the backward pass reads again, by the remat policy. A compiler may keep less.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from gair_jax.config import Config, InputError
from gair_jax.geo.place_encodings import ON_DEVICE
from gair_jax.models import gair, task_head
from gair_jax.models.place_towers import kernels
from gair_jax.models.vit import Vit
from gair_jax.train import loss_form, objective, optimizer, sharding
from gair_jax.train.state import TrainState
from gair_jax.train.step import init_state

GIB = 2**30
# Values a token and layer that the backward pass reads, in widths D (MLP of 4 D counted by its own
# size): layer input, two norms, q, k, v, attention, stream between, and the last product's input.
_KEPT = {'none': 8, 'dots': 6, 'full': 1}
_KEPT_MLP = {'none': 2, 'dots': 1, 'full': 0}  # hidden activations before and after GELU
_SOFTMAX = 8  # bytes of logits and weights in float32, beside the weights in the compute type


class Forecast(NamedTuple):
    """Bytes on one device."""

    parameters: int
    optimizer: int
    gradients: int
    activations: int
    loss: int
    batch: int
    bank: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def state_shapes(config: Config) -> TrainState:
    """Shapes of all that training changes."""
    make = functools.partial(
        init_state,
        objective=objective.create(config),
        optimizer=optimizer.create(config, max(1, config.steps)),
    )
    return jax.eval_shape(make, jax.random.key(0))


def forecast(config: Config, mesh: Mesh, shapes: TrainState) -> Forecast:
    """The memory of a run on each device of a mesh; `shapes` are the state's."""
    places = sharding.of_state(mesh, config.mesh, shapes)

    def held(name: str) -> int:
        sizes = jax.tree.map(_shard_bytes, getattr(shapes, name), getattr(places, name))
        return sum(jax.tree.leaves(sizes))

    rows = config.batch // mesh.size
    part = rows // config.accumulation
    form = loss_form.choose(config, mesh.size)
    return Forecast(
        parameters=held('params') + held('teacher'),
        optimizer=held('opt_state'),
        gradients=held('params') * (1 if config.accumulation == 1 else 2),
        activations=part * _row_activations(config) + rows * _row_embeddings(config),
        loss=sum(loss_form.held(config, mesh.size, form)) if config.loss.objective == 'gair' else 0,
        batch=2 * rows * _row_input(config),
        bank=held('bank') + _bank_activations(config, mesh.size),
    )


def _shard_bytes(shape: Any, place: jax.sharding.NamedSharding) -> int:
    count = 1
    for side in place.shard_shape(shape.shape):
        count *= side
    return count * shape.dtype.itemsize


def _row_activations(config: Config) -> int:
    """Of the encoders that learn, and of a decoder of masks, for one row of the batch."""
    towers = {'rs': gair.rs_encoder(config), 'sv': gair.sv_encoder(config)}
    learning = {side: tower for side, tower in towers.items() if tower is not None}
    if config.loss.objective == 'label':
        kept = () if config.head.frozen else config.head.features
        learning = {side: tower for side, tower in learning.items() if side in kept}
    total = sum(
        _images(config, side) * _tower_activations(tower, config)
        for side, tower in learning.items()
    )
    return total + _decoder_activations(config)


def _images(config: Config, side: str) -> int:
    """Images of a side in a row: of tiles with masks several dates."""
    return config.input.rs.dates if side == 'rs' and _is_mask(config) else 1


def _is_mask(config: Config) -> bool:
    return config.loss.objective == 'label' and config.head.target == 'mask'


def _decoder_activations(config: Config) -> int:
    """What every layer of a decoder of masks gives, for one row."""
    if not _is_mask(config):
        return 0
    head = task_head.build(config)
    return _layer_outputs(head.module, head.features, head.size)


@functools.lru_cache(maxsize=8)  # tracing takes a second, and remedies are looked for by the dozen
def _layer_outputs(module: Any, features: tuple[int, ...], size: tuple[int, int]) -> int:
    """Bytes for one row; of two and halved, as the batch norm over a pooled map refuses one."""
    leaves = jax.tree.leaves(task_head.TaskHead(module, features, size).layer_outputs(2))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves) // 2


def _tower_activations(tower: Vit, config: Config) -> int:
    """Of all layers, and of one more that is computed again where the policy says so."""
    layers, remat = tower.spec.layers, config.model.remat
    kept = _layer_bytes(tower, config, remat) * layers.depth
    return kept if remat == 'none' else kept + _layer_bytes(tower, config, 'none')


def _layer_bytes(tower: Vit, config: Config, remat: str) -> int:
    layers, width = tower.spec.layers, _width(config)
    tokens = tower.spec.patches + int(tower.spec.class_token)
    values = tokens * (_KEPT[remat] * layers.dim + _KEPT_MLP[remat] * layers.mlp_dim)
    softmax = layers.heads * tokens**2 * (_SOFTMAX + width)
    if remat != 'none' or tower.spec.attention.kind == 'cudnn':
        softmax = 0
    return values * width + softmax


def _row_embeddings(config: Config) -> int:
    """NILI's neighbourhoods and hidden layers, the location encoder's, and the embeddings."""
    model, nili = config.model, config.model.nili
    corners = 4 * (9 * model.embed_dim + sum(nili.hidden)) if model.rs.enabled else 0
    return 4 * (corners + _place_values(config) + 3 * model.embed_dim)


def _place_values(config: Config) -> int:
    """Of one place: the inputs of products, and what activations give."""
    location = config.model.location
    if not location.enabled:
        return 0
    if location.encoder != 'geoclip':
        module, width = _location(config)
        matrices = kernels(module, width)
        return width + 2 * sum(columns for _, columns in matrices)
    branch = 2 * location.frequencies + 2 * sum(location.hidden) + config.model.embed_dim
    return len(location.sigma) * branch


def _location(config: Config) -> tuple[Any, int]:
    """The location encoder, and the numbers that it reads of a place."""
    module, encoding = gair.location_encoder(config)
    return module, 2 if encoding is None else encoding.width


def _bank_activations(config: Config, devices: int) -> int:
    if config.bank.content == 'embeddings' or not config.model.location.enabled:
        return 0
    return -(-config.bank.size // devices) * 4 * _place_values(config)


def _row_input(config: Config) -> int:
    rs, sv = config.input.rs, config.input.sv
    bands = len(gair.contract(rs.sensor).bands) if config.model.rs.enabled else 0
    photo = 3 * sv.size**2 if config.model.sv.enabled else 0
    pixels = _width(config) * (_images(config, 'rs') * bands * rs.size**2 + photo)
    location = config.model.location
    encoded = location.enabled and location.encoder not in ON_DEVICE
    return pixels + (4 * _location(config)[1] if encoded else 0)


def _width(config: Config) -> int:
    return 2 if config.model.dtype == 'bfloat16' else 4


def capacity(config: Config, mesh: Mesh) -> int:
    """Bytes that a device has: as set, as it says itself, or its share of the host's memory."""
    if config.mesh.memory_gib:
        return round(config.mesh.memory_gib * GIB)
    device = mesh.local_devices[0]
    if limit := (device.memory_stats() or {}).get('bytes_limit', 0):
        return limit
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // len(mesh.local_devices)


def sentence(found: Forecast, room: int) -> str:
    """The forecast for a reader."""
    parts = ', '.join(
        f'{name} {size / GIB:.2f}' for name, size in found._asdict().items() if size >= GIB / 100
    )
    return (
        f'Forecast for each device: {found.total / GIB:.2f} of {room / GIB:.1f} GiB'
        f'{f" ({parts})" if parts else ""}.'
    )


def require_room(config: Config, mesh: Mesh, shapes: TrainState) -> str:
    """The sentence of a run that fits; `shapes` are the state's (`state_shapes`).

    Raises:
      InputError: it does not; says what would make it fit.
    """
    found, room = forecast(config, mesh, shapes), capacity(config, mesh)
    if found.total <= room:
        return sentence(found, room)
    raise InputError(
        f'batch: {sentence(found, room)[:-1]}: it does not fit; '
        f'{_remedy(config, mesh, shapes, room)} '
        '(mesh.memory_gib sets what a device has, if that is wrong)'
    )


def _remedy(config: Config, mesh: Mesh, shapes: TrainState, room: int) -> str:
    """The first change of settings that fits, from the one that costs least time on."""
    for change in _changes(config, mesh):
        changed = _with(config, change)
        shared = sharding.make_mesh(list(mesh.devices.flat), changed.mesh.fsdp)
        if (total := forecast(changed, shared, shapes).total) <= room:
            words = ' and '.join(f'{name}={value}' for name, value in change.items())
            return f'{words} would need {total / GIB:.2f} GiB'
    return 'no setting makes it fit, so it needs more devices or a smaller model'


def _changes(config: Config, mesh: Mesh) -> Iterator[dict[str, Any]]:
    rows = config.batch // mesh.size
    parts = [n for n in range(1, rows + 1) if rows % n == 0 and n > config.accumulation]
    cheap: list[dict[str, Any]] = [{}]
    if config.loss.form == 'plain':
        cheap.append({'loss.form': 'auto'})
    for split in ({}, {'mesh.fsdp': mesh.size}) if mesh.size > 1 else ({},):
        for form in cheap:
            yield {**form, **split}
            yield {**form, **split, 'model.remat': 'full'}
            yield from ({**form, **split, 'accumulation': n} for n in parts)
            yield from ({**form, **split, 'model.remat': 'full', 'accumulation': n} for n in parts)


def _with(config: Config, change: Mapping[str, Any]) -> Config:
    """A copy of a config with some settings changed, each named by section and field."""
    for path, value in change.items():
        *sections, name = path.split('.')
        if sections:
            section = getattr(config, sections[0])
            changed = dataclasses.replace(section, **{name: value})
            config = dataclasses.replace(config, **{sections[0]: changed})
        else:
            config = dataclasses.replace(config, **{name: value})
    return config
