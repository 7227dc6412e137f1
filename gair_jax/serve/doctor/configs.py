"""Examines a config file: whether it loads, whether a run would accept it, and whether it has data.

The file is Python and is run, as `gair train` runs it.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import jax

from gair_jax import config_files
from gair_jax.config import Config, InputError
from gair_jax.input import pipeline
from gair_jax.input.store import Store
from gair_jax.sensors import contract
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable
from gair_jax.train import objective, optimizer


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a config file of `gair train`."""
    try:
        config = config_files.load(str(path))
    except InputError as error:
        return [unusable(path, str(error).rstrip('.'))]
    except Exception as error:  # whatever a config file, which is Python, raises
        what = f'{type(error).__name__}: {" ".join(str(error).split())}'
        return [unusable(path, f'expected a config file that runs, found {what}')]
    found = [*_refused(path, config), *_start(path, config)]
    found += [] if _unusable(found) else _data(path, config, expected.data_dir)
    return or_fine(path, found, _summary(config))


def _unusable(found: list[Finding]) -> bool:
    return any(finding.level == 'unusable' for finding in found)


def _refused(path: pathlib.Path, config: Config) -> Iterator[Finding]:
    """What the pieces of a run say against the values; nothing is drawn, read or compiled."""
    try:
        pipeline.check(config)
        made = objective.create(config)
        optimizer.create(config, steps=1)
        jax.eval_shape(made.init, jax.random.key(0))
        jax.eval_shape(made.init_bank, jax.random.key(0))
    except InputError as error:
        yield unusable(path, f'a run would refuse it: {str(error).rstrip(".")}')


def _start(path: pathlib.Path, config: Config) -> Iterator[Finding]:
    for name, start in vars(config.init).items():
        if start and not start.startswith('hf://') and not pathlib.Path(start).exists():
            yield suspicious(path, f'init.{name}: expected a checkpoint at {start}, found nothing')


def _data(path: pathlib.Path, config: Config, data_dir: str) -> Iterator[Finding]:
    data = dataclasses.replace(config.data, dir=data_dir or config.data.dir)
    try:
        store = Store(data)
        splits, tiles = store.splits, store.tiles
        bands = tuple(store.metadata['bands'])
    except InputError as error:
        yield suspicious(path, f'its data set is not there: {str(error).rstrip(".")}')
        return
    if data.train_split not in splits:
        yield unusable(
            path, f'data.train_split: expected {" or ".join(splits)}, found {data.train_split!r}'
        )
    rs = config.input.rs
    if not config.model.rs.enabled or not len(tiles):
        return
    try:
        contract(rs.sensor).select(bands)
    except InputError as error:
        yield unusable(
            path,
            f'input.rs.sensor: {rs.sensor} does not fit the data set {data.name}, variant '
            f'{data.variant}: {str(error).rstrip(".")}',
        )
    side = min(tiles[0].bands.shape[:2])
    if rs.placement != 'whole' and side < rs.window:
        yield unusable(
            path,
            f'input.rs.window: expected at most {side}, the side of the tiles of {data.name}, '
            f'variant {data.variant}, found {rs.window}',
        )


def _summary(config: Config) -> str:
    sides = [s for s in ('rs', 'sv', 'location') if getattr(config.model, s).enabled]
    data = config.data
    return f'a config that trains {", ".join(sides)} on {data.name}, variant {data.variant}'
