"""Checkpoints: Orbax v1 behind one module, with the config and the sensor contracts inside.

Under a workdir, `checkpoints/STEP` hold whole training states and `best/STEP` the parameters with
the lowest validation loss (`train.saver` writes them). Each is one folder that appears by rename,
and its parameters are an item of their own, so that a reader need not know the optimiser. A
converted checkpoint is one such folder anywhere, written by `write`: parameters, and what its
source held beside them.
"""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gair_jax import sensors
from gair_jax.config import Config, InputError, section_of
from gair_jax.train.checkpoint_bytes import cause, damaged, require_readable
from gair_jax.train.state import Params

FORMAT = 1
MARK = '_CHECKPOINT_METADATA'  # the file that makes a folder one of Orbax's


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
    """Settings that must not change, in which a stored config differs from `new`."""
    return list(_differences(old, new, ''))


def _differences(old: dict[str, Any], new: Any, prefix: str) -> Any:
    for field in dataclasses.fields(new):
        name, value = prefix + field.name, getattr(new, field.name)
        if dataclasses.is_dataclass(value):
            yield from _differences(old.get(field.name, {}), value, name + '.')
        elif field.metadata['affects'] not in ('run', 'speed'):
            # A setting that the run's version did not have yet acted as its default does.
            was, now = (_plain(x) for x in (old.get(field.name, field.default), value))
            if was != now:
                yield f'{name} was {was!r}, now {now!r}'


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def record(config: Config, contracts: Mapping[str, sensors.SensorContract]) -> dict[str, Any]:
    """What a reader of parameters must know, as JSON values; `read_record` takes it apart."""
    return {
        'format': FORMAT,
        'config': to_json(config),
        'contracts': {k: c.to_dict() for k, c in contracts.items()},
    }


def read_record(values: Mapping[str, Any]) -> tuple[Config, dict[str, sensors.SensorContract]]:
    """The config and the sensor contracts of a `record`; InputError for one of another version."""
    if (found := values.get('format')) != FORMAT:
        raise InputError(f'record: expected format {FORMAT} of gair_jax, found {found!r}.')
    contracts = {k: sensors.SensorContract.from_dict(c) for k, c in values['contracts'].items()}
    return from_json(values['config']), contracts


def load(path: str | os.PathLike[str]) -> tuple[Config, Params, dict[str, sensors.SensorContract]]:
    """Config, parameters and sensor contracts of a checkpoint.

    `path` is a workdir (its best is taken, else its newest), one step, or a converted checkpoint.
    Raises InputError where it holds no checkpoint of this project.
    """
    folder = folder_of(path)
    require_readable(folder / 'params')
    config, contracts = read_record(stored_record(folder))
    try:
        items = ocp.checkpointables_metadata(folder).metadata
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_one_device()),
            items['params'],
        )
        params = ocp.load_checkpointables(folder, {'params': abstract})['params']
    except Exception as error:  # whatever Orbax and TensorStore raise for bytes that are wrong
        raise damaged(folder, error) from error
    return config, params, contracts


def write(
    folder: str | os.PathLike[str],
    config: Config,
    params: Params,
    contracts: Mapping[str, sensors.SensorContract],
    *,
    carried: Mapping[str, np.ndarray],
    origin: Mapping[str, Any],
) -> None:
    """Writes a converted checkpoint: a folder that appears whole or not at all.

    Args:
      folder: must not be there yet.
      config: what `params` are parameters of.
      params: the tree.
      contracts: sensor contracts, by side.
      carried: what the source holds that `params` have no place for, by its own names and types.
      origin: JSON values that say where the parameters come from.

    Raises InputError where something is there already, or it cannot be written.
    """
    path = pathlib.Path(folder).absolute()
    if path.exists():
        raise InputError(f'{folder}: expected a new name for the checkpoint, found this there.')
    # Orbax refuses arrays without elements.
    empty = {k: [list(a.shape), str(a.dtype)] for k, a in carried.items() if not a.size}
    kept = {key: array for key, array in carried.items() if array.size}
    items = {'params': params, **({'carried': kept} if kept else {})}
    metadata = {**record(config, contracts), 'origin': dict(origin), 'empty': empty}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ocp.save_checkpointables(path, items, custom_metadata=metadata)
    except BaseException as error:
        for part in path.parent.glob(f'{path.name}.orbax-checkpoint-tmp*'):
            shutil.rmtree(part, ignore_errors=True)
        if not no_room(error):
            raise
        raise InputError(f'{folder}: could not be written ({cause(error)}).') from error


def origin(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write` was given as origin; {} for a checkpoint of a training run."""
    return stored_record(folder_of(path)).get('origin', {})


def carried(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """What `write` was given as carried; {} for a checkpoint of a training run."""
    folder = folder_of(path)
    metadata = ocp.checkpointables_metadata(folder).metadata
    arrays: dict[str, np.ndarray] = {}
    if 'carried' in metadata:
        wanted = {k: np.empty(leaf.shape, leaf.dtype) for k, leaf in metadata['carried'].items()}
        arrays = ocp.load_checkpointables(folder, {'carried': wanted})['carried']
    for key, (shape, dtype) in stored_record(folder).get('empty', {}).items():
        arrays[key] = np.empty(shape, dtype)
    return {key: np.asarray(value) for key, value in arrays.items()}


def identity(path: str | os.PathLike[str]) -> str:
    """What `load` would read: tells one checkpoint from another without reading it."""
    folder = folder_of(path)
    return f'{folder.parent.name}/{folder.name}, saved {folder.stat().st_mtime_ns}'


def stored_config(workdir: pathlib.Path) -> dict[str, Any]:
    """The config inside the newest checkpoint of a workdir, as JSON values; {} without any."""
    steps = steps_in(workdir / 'checkpoints')
    return stored_record(steps[-1])['config'] if steps else {}


def _one_device() -> jax.sharding.Sharding:
    return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])


def steps_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Folders of steps, the newest last."""
    found = [p for p in folder.glob('*') if p.name.isdigit() and p.is_dir()]
    return sorted(found, key=lambda p: int(p.name))


def folder_of(path: str | os.PathLike[str]) -> pathlib.Path:
    """The folder that `load` would read; InputError without one."""
    path = pathlib.Path(path).absolute()
    if not path.exists():
        raise InputError(f'{path}: no such checkpoint or workdir.')
    if (path / MARK).is_file():
        return path
    for folder in (path / 'best', path / 'checkpoints', path):
        if steps := steps_in(folder):
            return steps[-1]
    if path.name.isdigit():
        return path
    raise InputError(f'{path}: expected a workdir or a checkpoint step, found no checkpoint in it.')


def stored_record(folder: pathlib.Path) -> dict[str, Any]:
    """What `record` gave, and what was put beside it; InputError where there is none."""
    try:
        found = ocp.checkpointables_metadata(folder).custom_metadata
    except (ocp.errors.InvalidLayoutError, OSError, ValueError, KeyError) as error:
        raise InputError(f'{folder}: expected a checkpoint, found {cause(error)}.') from error
    if not found or found.get('format') != FORMAT:
        raise InputError(f'{folder}: expected a gair_jax checkpoint of format {FORMAT}.')
    return found


def no_room(error: BaseException) -> bool:
    """Whether a write failed because the disk is full or a file may not grow."""
    if isinstance(error, TimeoutError | ConnectionError):  # of another process, not of the disk
        return False
    text = f'{error!r} {error.__cause__!r}'
    return isinstance(error, OSError) or any(
        word in text for word in ('File too large', 'No space', 'EFBIG', 'RESOURCE_EXHAUSTED')
    )
