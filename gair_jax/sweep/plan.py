"""From a sweep file to checked runs: each has a name, a config and the overrides that make it."""

import collections
import functools
import importlib.util
import json
import os
import pathlib
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax import config_files
from gair_jax.config import Config, DataConfig, InputError
from gair_jax.sweep.space import Settings, Sweep

_LONGEST_NAME = 200  # file names end at 255 bytes, and `.exit.part` is added to some
_UNSAFE = re.compile(r'[^A-Za-z0-9._+-]+')
PLAIN_RUN = 'base'  # the name of a run that sets nothing


class Run(NamedTuple):
    """One run of a sweep.

    name: of its folder.
    settings: what it sets, by dotted name.
    values: of every setting that the sweep varies, as this run has them.
    overrides: the same and what is set for all, as `gair train` takes them.
    config: what they make of the config file.
    steps: its length.
    """

    name: str
    settings: Settings
    values: Settings
    overrides: tuple[str, ...]
    config: Config
    steps: int


class Plan(NamedTuple):
    """A sweep whose every run is known to have a config. `fields` are the settings that vary."""

    name: str
    sweep: Sweep
    fields: tuple[str, ...]
    runs: tuple[Run, ...]


def load(path: str, overrides: Sequence[str] = ()) -> Plan:
    """The runs of a sweep file; `overrides` (`--config.a.b=value`) hold for all of them.

    Raises:
      InputError: the file gives no sweep, a setting is unknown, of the wrong type, or set twice,
        or two runs have one name.
    """
    sweep = _read(path)
    if not sweep.runs:
        raise InputError(f'{path}: expected at least one run, found none.')
    fields = tuple(dict.fromkeys(name for settings in sweep.runs for name in settings))
    names = [_name(settings, short_names(fields)) for settings in sweep.runs]
    _check_names(path, names)
    common = _common(path, sweep, fields, overrides)
    runs = tuple(
        _run(path, sweep, settings, name, fields, common)
        for settings, name in zip(sweep.runs, names, strict=True)
    )
    return Plan(_spelt(pathlib.Path(path).stem), sweep, fields, runs)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, for people and for tasks of an array to compare with theirs."""
    runs = [
        {'name': run.name, 'settings': run.settings, 'overrides': run.overrides}
        for run in plan.runs
    ]
    sweep = plan.sweep
    return json.loads(
        json.dumps(
            {'name': plan.name, 'config': sweep.config, 'metric': sweep.metric, 'runs': runs}
        )
    )


def write(plan: Plan, out: pathlib.Path) -> None:
    """Writes OUT/sweep.json, the list of runs."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / f'sweep.json.{os.getpid()}.part'
    part.write_text(json.dumps(to_json(plan), indent=1), encoding='utf-8')
    os.replace(part, out / 'sweep.json')


def _read(path: str) -> Sweep:
    if not os.path.isfile(path):
        raise InputError(f'--sweep: no such file: {path}')
    spec = importlib.util.spec_from_file_location('sweep_file', path)
    if spec is None or spec.loader is None:
        raise InputError(f'{path}: expected a Python file, named *.py.')
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = module.get_sweep()
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # whatever the code of a user raises
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == os.path.abspath(path)]
        where = f'line {lines[-1]}, ' if lines else ''
        raise InputError(f'{path}: {where}{type(error).__name__}: {error}.') from error
    if not isinstance(made, Sweep):
        kind = type(made).__name__
        raise InputError(f'{path}: expected get_sweep to return a Sweep, found {kind}.')
    return made


def short_names(fields: Iterable[str]) -> dict[str, str]:
    """By dotted name a short one: its last part where that is enough to tell it apart."""
    last = {field: field.rpartition('.')[2] for field in fields}
    counts = collections.Counter(last.values())
    return {field: short if counts[short] == 1 else field for field, short in last.items()}


def _name(settings: Settings, short: Mapping[str, str]) -> str:
    """`rate=0.001,seed=0`: letters, digits and `. _ + - = ,` alone, so that it names a folder."""
    parts = (f'{short[field]}={_spelt(value)}' for field, value in settings.items())
    return ','.join(parts) or PLAIN_RUN


def _spelt(value: Any) -> str:
    value = _plain(value)
    if isinstance(value, float):
        return f'{value:.6g}'
    text = 'x'.join(map(str, value)) if isinstance(value, tuple) else str(value)
    return _UNSAFE.sub('-', text).strip('-') or 'none'


def _plain(value: Any) -> Any:
    """Python's own value for one of NumPy's, and a tuple for a list."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _check_names(path: str, names: Sequence[str]) -> None:
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise InputError(f'{path}: {count} runs have the name {name}; expected one of each.')
        if len(name) > _LONGEST_NAME:
            raise InputError(
                f'{path}: the name of a run has {len(name)} letters, expected at most '
                f'{_LONGEST_NAME}: {name[:40]}...; set what all runs share in `fixed`.'
            )


def _common(
    path: str, sweep: Sweep, fields: Sequence[str], overrides: Sequence[str]
) -> dict[str, str]:
    """Overrides of all runs by setting: the file's, then those of the command line."""
    given = {text.partition('=')[0].removeprefix('--config.'): text for text in overrides}
    for name in (*sweep.fixed, *given):
        if name in fields:
            raise InputError(f'{path}: {name} is set for all runs, but the runs vary it.')
    config_files.load(sweep.config, overrides)
    return {**{name: _override(name, value) for name, value in sweep.fixed.items()}, **given}


def _override(name: str, value: Any) -> str:
    return f'--config.{name}={_plain(value)}'


def _run(
    path: str,
    sweep: Sweep,
    settings: Settings,
    name: str,
    fields: Sequence[str],
    common: Mapping[str, str],
) -> Run:
    settings = {field: _plain(value) for field, value in settings.items()}
    overrides = (*common.values(), *(_override(*item) for item in settings.items()))
    try:
        config = config_files.load(sweep.config, overrides)
        kept = {k: v for k, v in sweep.fixed.items() if common[k] == _override(k, v)}
        for field, value in {**kept, **settings}.items():
            _check_type(field, _plain(value), _value(config, field))
    except InputError as error:
        raise InputError(f'{path}: run {name}: {error}') from error
    if sweep.metric.startswith('val_') and not config.eval.every:
        raise InputError(
            f'{path}: run {name}: {sweep.metric} is never measured; expected eval.every above 0.'
        )
    values = {field: _value(config, field) for field in fields}
    return Run(name, settings, values, overrides, config, _steps(config))


def _check_type(field: str, wanted: Any, found: Any) -> None:
    """Refuses a value that the command line's text has turned into another one."""
    if wanted != found or isinstance(wanted, bool) != isinstance(found, bool):
        raise InputError(
            f'config.{field}: expected {type(found).__name__}, found {wanted!r} '
            f'({type(wanted).__name__}).'
        )


def _value(config: Config, field: str) -> Any:
    return functools.reduce(getattr, field.split('.'), config)


def _steps(config: Config) -> int:
    if config.steps:
        return config.steps
    from gair_jax.train import optimizer

    data = config.data
    examples = _examples(data.dir, data.name, data.variant, data.train_split, data.sample)
    return optimizer.total_steps(config, examples)


@functools.cache
def _examples(folder: str, name: str, variant: str, split: str, sample: str) -> int:
    from gair_jax.input import sample_files
    from gair_jax.input.store import Store

    data = DataConfig(dir=folder, name=name, variant=variant)
    return len(sample_files.read(sample, data, split) if sample else Store(data).photos(split))
