"""Checkpoints: Orbax v1 behind one module, with the config and the sensor contracts inside.

Under a workdir, `checkpoints/STEP` hold whole training states and `best/STEP` the parameters with
the lowest validation loss. Each is one folder that appears by rename, and its parameters are an
item of their own, so that a reader need not know the optimiser.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from orbax.checkpoint import v1 as ocp

from gair_jax import sensors
from gair_jax.config import Config, InputError, section_of
from gair_jax.train.state import Params, TrainState

FORMAT = 1


def to_json(config: Config) -> dict[str, Any]:
    """The config as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_json(values: dict[str, Any], kind: type = Config, where: str = 'config') -> Any:
    """The config that `to_json` gave; an unknown field is refused by name."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f'{where}: this version knows no field {unknown[0]!r}.')
    made = {}
    for name, value in values.items():
        if section := section_of(fields[name]):
            made[name] = from_json(value, section, f'{where}.{name}')
        else:
            made[name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)


def differences(old: dict[str, Any], new: Config) -> list[str]:
    """Settings, apart from those of class `run`, in which a stored config differs from `new`."""
    return list(_differences(old, new, ''))


def _differences(old: dict[str, Any], new: Any, prefix: str) -> Any:
    for field in dataclasses.fields(new):
        name, value = prefix + field.name, getattr(new, field.name)
        if dataclasses.is_dataclass(value):
            yield from _differences(old.get(field.name, {}), value, name + '.')
        elif field.metadata['affects'] != 'run':
            plain = list(value) if isinstance(value, tuple) else value
            if old.get(field.name) != plain:
                yield f'{name} was {old.get(field.name)!r}, now {plain!r}'


class Saver:
    """Saves a run's states under its workdir, keeping the newest few and the best one."""

    def __init__(self, workdir: pathlib.Path, config: Config, contracts: dict[str, Any]) -> None:
        self.record = {
            'format': FORMAT,
            'config': to_json(config),
            'contracts': {k: c.to_dict() for k, c in contracts.items()},
        }
        self._latest = _checkpointer(workdir / 'checkpoints', config.checkpoint.keep)
        self._best = _checkpointer(workdir / 'best', 1)

    def save(self, state: TrainState) -> None:
        """Writes the whole state as `checkpoints/STEP`; nothing if that step is there already."""
        step = int(state.step)
        if self._latest.latest is None or self._latest.latest.step != step:
            self._write(self._latest, step, _items(state), {})

    def save_best(self, state: TrainState, val_loss: float) -> bool:
        """Writes the parameters as `best/STEP` if no earlier one had a lower validation loss."""
        if val_loss >= self.best_loss():
            return False
        self._write(self._best, int(state.step), {'params': state.params}, {'val_loss': val_loss})
        return True

    def best_loss(self) -> float:
        """The validation loss of the best checkpoint, or infinity."""
        steps = _steps(pathlib.Path(self._best.directory))
        return _record(steps[-1])['val_loss'] if steps else float('inf')

    def latest_step(self) -> int:
        """The newest checkpoint's step, or -1."""
        return self._latest.latest.step if self._latest.latest else -1

    def restore(self, abstract: TrainState) -> TrainState:
        """The newest state, onto the shapes and shardings of `abstract`."""
        items = self._latest.load_checkpointables(None, _items(abstract))
        whole = _fill_empty({'params': abstract.params, 'rest': _rest(abstract)}, items)
        return TrainState(params=whole['params'], **whole['rest'])

    def close(self) -> None:
        """Waits for what is being written."""
        self._latest.close()
        self._best.close()

    def _write(self, to: Any, step: int, items: dict[str, Any], more: dict[str, Any]) -> None:
        try:
            # The loop decides when to save; without force Orbax's own policy may decline.
            to.save_checkpointables(
                step, items, force=True, custom_metadata={**self.record, **more}
            )
        except Exception as error:  # whatever Orbax and TensorStore raise when a write fails
            if not _no_room(error):
                raise
            raise InputError(
                f'{to.directory}: checkpoint of step {step} could not be written ({_cause(error)});'
                f' the newest one kept is that of step {self.latest_step()}.'
            ) from error


def load(path: str | os.PathLike[str]) -> tuple[Config, Params, dict[str, sensors.SensorContract]]:
    """Config, parameters and sensor contracts of a workdir (its best, else its newest) or one step.

    Raises InputError where `path` holds no checkpoint of this project.
    """
    folder = _step_folder(pathlib.Path(path).absolute())
    record = _record(folder)
    items = ocp.checkpointables_metadata(folder).metadata
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_one_device()),
        items['params'],
    )
    params = ocp.load_checkpointables(folder, {'params': abstract})['params']
    contracts = {k: sensors.SensorContract.from_dict(c) for k, c in record['contracts'].items()}
    return from_json(record['config']), params, contracts


def identity(path: str | os.PathLike[str]) -> str:
    """What `load` would read: tells one checkpoint from another without reading it."""
    folder = _step_folder(pathlib.Path(path).absolute())
    return f'{folder.parent.name}/{folder.name}, saved {folder.stat().st_mtime_ns}'


def stored_config(workdir: pathlib.Path) -> dict[str, Any]:
    """The config inside the newest checkpoint of a workdir, as JSON values; {} without any."""
    steps = _steps(workdir / 'checkpoints')
    return _record(steps[-1])['config'] if steps else {}


def _one_device() -> jax.sharding.Sharding:
    return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])


def _checkpointer(folder: pathlib.Path, keep: int) -> Any:
    logging.set_verbosity(logging.WARNING)
    return ocp.training.Checkpointer(
        folder.absolute(),
        preservation_policy=ocp.training.preservation_policies.LatestN(keep),
        cleanup_tmp_directories=True,
    )


def _rest(state: TrainState) -> dict[str, Any]:
    return {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name != 'params'}


def _items(state: TrainState) -> dict[str, Any]:
    """What is written: no arrays without elements (a bank of size 0), which Orbax refuses."""
    items = {'params': state.params, 'rest': _rest(state)}
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, items)


def _fill_empty(abstract: Any, items: Any) -> Any:
    """`items` with the arrays that `_items` left out put back."""
    leaves = iter(jax.tree.leaves(items))
    return jax.tree.map(lambda s: next(leaves) if s.size else jnp.zeros(s.shape, s.dtype), abstract)


def _steps(folder: pathlib.Path) -> list[pathlib.Path]:
    found = [p for p in folder.glob('*') if p.name.isdigit() and p.is_dir()]
    return sorted(found, key=lambda p: int(p.name))


def _step_folder(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        raise InputError(f'{path}: no such checkpoint or workdir.')
    for folder in (path / 'best', path / 'checkpoints', path):
        if steps := _steps(folder):
            return steps[-1]
    if path.name.isdigit():
        return path
    raise InputError(f'{path}: expected a workdir or a checkpoint step, found no checkpoint in it.')


def _record(folder: pathlib.Path) -> dict[str, Any]:
    try:
        record = ocp.checkpointables_metadata(folder).custom_metadata
    except (ocp.errors.InvalidLayoutError, OSError, ValueError, KeyError) as error:
        raise InputError(f'{folder}: expected a checkpoint, found {_cause(error)}.') from error
    if not record or record.get('format') != FORMAT:
        raise InputError(f'{folder}: expected a gair_jax checkpoint of format {FORMAT}.')
    return record


def _no_room(error: BaseException) -> bool:
    text = f'{error!r} {error.__cause__!r}'
    return isinstance(error, OSError) or any(
        word in text for word in ('File too large', 'No space', 'EFBIG', 'RESOURCE_EXHAUSTED')
    )


def _cause(error: BaseException) -> str:
    return str(error).strip().split('\n')[0][:160] or type(error).__name__
