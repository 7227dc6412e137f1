"""The training step of a config, built as the training loop builds it, and batches for it."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.config import Config
from gair_jax.models import gair
from gair_jax.sensors import contract
from gair_jax.train import objective, optimizer, sharding
from gair_jax.train.state import TrainState
from gair_jax.train.step import init_state, train_step

Batch = dict[str, np.ndarray]
# What jax.monitoring calls the compiling of one program.
_COMPILED = '/jax/core/compile/backend_compile_duration'


class Training(NamedTuple):
    """A step and where everything lies.

    step: jitted, (state, batch) -> (state, metrics), donates the state. make: key -> state.
    places: shardings of the state.
    """

    step: Any
    make: Any
    places: Any
    mesh: Mesh

    def start(self, seed: int) -> TrainState:
        """A drawn state."""
        with jax.set_mesh(self.mesh):
            return jax.jit(self.make, out_shardings=self.places)(jax.random.key(seed))

    def lowered(self, batch: Mapping[str, Any]) -> Any:
        """The step traced for shapes alone, ready to be compiled; `batch` may be its shapes."""
        state = jax.tree.map(
            lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
            jax.eval_shape(self.make, jax.random.key(0)),
            self.places,
        )
        split = NamedSharding(self.mesh, P(sharding.AXES))
        rows = {
            name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split)
            for name, x in batch.items()
        }
        with jax.set_mesh(self.mesh):
            return self.step.lower(state, rows)


def training(config: Config, mesh: Mesh, steps: int = 1000) -> Training:
    """The step of a config on a mesh; `steps` is the length of the run.

    Raises:
      InputError: a setting that cannot be used.
    """
    sharding.check_batch(mesh, config)
    parts = {
        'objective': objective.create(config),
        'optimizer': optimizer.create(config, config.steps or steps),
    }
    make = functools.partial(init_state, **parts)
    places = sharding.of_state(mesh, config.mesh, jax.eval_shape(make, jax.random.key(0)))
    step = functools.partial(train_step, **parts, seed=config.seed, parts=config.accumulation)
    jitted = jax.jit(step, out_shardings=(places, sharding.replicated(mesh)), donate_argnums=0)
    return Training(jitted, make, places, mesh)


def shapes(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Of the batches that the input pipeline would give."""
    rows, model = config.batch, config.model
    rounded = model.dtype == 'bfloat16' and config.loss.objective == 'gair'
    pixels = ml_dtypes.bfloat16 if rounded else np.float32
    found: dict[str, tuple[tuple[int, ...], Any]] = {}
    if model.rs.enabled:
        size, bands = config.input.rs.size, len(contract(config.input.rs.sensor).bands)
        found['rs'] = (rows, size, size, bands), pixels
    if model.sv.enabled:
        found['sv'] = (rows, config.input.sv.size, config.input.sv.size, 3), pixels
    found |= {name: ((rows, 2), np.float32) for name in ('xy', 'lonlat')}
    _, encoding = gair.location_encoder(config)
    if encoding is not None:
        found['place'] = (rows, encoding.width), np.float32
    found |= {name: ((rows,), np.bool_) for name in ('has_rs', 'has_sv')}
    found |= {name: ((rows,), np.int32) for name in ('tile', 'index')}
    return {name: jax.ShapeDtypeStruct(*each) for name, each in found.items()}


def drawn(config: Config, seed: int) -> Batch:
    """A random batch: every row has a tile and a photo, at a place and on a tile of its own."""
    draw = np.random.default_rng(seed)
    made: Batch = {}
    for name, shape in shapes(config).items():
        made[name] = draw.standard_normal(shape.shape, np.float32).astype(shape.dtype)
    rows = config.batch
    made |= {
        'xy': draw.uniform(-1, 1, (rows, 2)).astype(np.float32),
        'lonlat': draw.uniform(-80, 80, (rows, 2)).astype(np.float32),
        'has_rs': np.ones(rows, bool), 'has_sv': np.ones(rows, bool),
        'tile': np.arange(rows, dtype=np.int32), 'index': np.arange(rows, dtype=np.int32),
    }  # fmt: skip
    _, encoding = gair.location_encoder(config)
    return made if encoding is None else made | {'place': encoding(made['lonlat'])}


@contextmanager
def compilations() -> Iterator[list[str]]:
    """A list that gets an entry for each program compiled meanwhile."""
    found: list[str] = []

    def note(event: str, duration_secs: float, **more: str | int) -> None:
        if event == _COMPILED:
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
