"""`gair bench input`: batches from a prepared data set, without any model.

Speed is that of the pipeline as training reads it. Where the time goes is profiled apart, in one
thread, by the functions that one example passes through.
"""

import cProfile
import dataclasses
import inspect
import pstats
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gair_jax import config_files, sensors
from gair_jax.bench import record, timing
from gair_jax.input import codecs, pipeline, resize, store, transforms
from gair_jax.input.pipeline import Pipeline

# None of these calls another of them.
STAGES: dict[str, tuple[Callable[..., Any], ...]] = {
    'read records': (store.Records.example,),
    'decode photo': (transforms.decode_photo,),
    'unpack window': (codecs.PackedArray.window,),
    'normalise': (sensors.SensorContract.normalize,),
    'resize': (resize.resize,),
    'jitter': (transforms.jitter_bands, transforms.jitter_colours),
    'stack': (pipeline.stack_rows,),
}
REST = 'rest'  # random draws, windows, positions
PROFILED = 128  # examples at most
BUSY = 0.8  # share of the cores from which they are what bounds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one run.

    Attributes:
      config: config file.
      overrides: its `--config.FIELD=VALUE`.
      seconds: how long batches are read for.
    """

    config: str
    overrides: tuple[str, ...] = ()
    seconds: float = 20.0


class Speed(NamedTuple):
    """Of a pipeline: batches read, and the wall-clock and CPU seconds that they took."""

    batches: int
    seconds: float
    cpu_seconds: float


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """How fast batches come, and where the time goes.

    Raises:
      InputError: the config or its data set cannot be used.
    """
    assert not peer, 'the peer reads nothing'
    config = config_files.load(sizes.config, sizes.overrides)
    made = Pipeline(config, config.data.train_split)
    machine = record.machine()
    speed = speed_of(made, sizes.seconds)
    triples, batch = speed.batches * config.batch, config.batch
    config.batch = min(PROFILED, batch)
    stages = shares(Pipeline(config, config.data.train_split))
    return {
        'what': 'input',
        'sizes': {**dataclasses.asdict(sizes), 'batch': batch},
        'data': f'{config.data.name}/{config.data.variant}, {config.data.train_split}',
        'examples': made.examples,
        'threads': config.data.threads,
        'batches_per_second': round(speed.batches / speed.seconds, 3),
        'triples_per_second': round(triples / speed.seconds, 1),
        'triples_per_cpu_second': round(triples / speed.cpu_seconds, 1),
        'cores_used': round(speed.cpu_seconds / speed.seconds, 2),
        'stages': stages,
        'verdict': verdict(speed, stages, machine['cores']),
        **machine,
    }


def speed_of(made: Pipeline, seconds: float) -> Speed:
    """Reads batches one after the other for some time; at least one, and not the first."""
    batches = made.iterate(0, 2**31)
    next(batches)  # threads start, files are opened
    start, cpu_start, count = time.perf_counter(), time.process_time(), 0
    while not count or time.perf_counter() - start < seconds:
        timing.say(f'batch {count + 1}')
        next(batches)
        count += 1
    timing.say('')
    return Speed(count, time.perf_counter() - start, time.process_time() - cpu_start)


def shares(made: Pipeline) -> dict[str, float]:
    """The share of each stage in the CPU time of a batch, made in one thread."""
    made.batch(1)
    profile = cProfile.Profile(time.thread_time)
    profile.runcall(made.batch, 0)
    return by_stage(pstats.Stats(profile))


def by_stage(stats: pstats.Stats) -> dict[str, float]:
    """Shares of the stages, largest first, from times by function."""
    found: dict[Any, tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    whole: float = stats.total_tt  # type: ignore[attr-defined]
    spent = {name: sum(_cumulative(found, f) for f in fs) for name, fs in STAGES.items()}
    spent[REST] = whole - sum(spent.values())
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    return {name: round(seconds / whole, 4) for name, seconds in ordered}


def _cumulative(found: Mapping[Any, tuple[int, int, float, float, Any]], function: Any) -> float:
    code = inspect.unwrap(function).__code__
    return found.get((code.co_filename, code.co_firstlineno, code.co_name), (0, 0, 0, 0.0, 0))[3]


def verdict(speed: Speed, stages: Mapping[str, float], cores: int) -> str:
    """What bounds the pipeline, and the stage to look at first."""
    used = speed.cpu_seconds / speed.seconds
    largest = max(stages, key=lambda name: stages[name])
    if used >= BUSY * cores:
        return (
            f'bound by the CPU: {used:.1f} of {cores} cores are busy; the largest stage is '
            f'{largest!r}, {stages[largest]:.0%} of the time'
        )
    return (
        f'not bound by the CPU: {used:.1f} of {cores} cores are busy; the disk, other work on the '
        'machine or too few threads (data.threads) hold it up'
    )


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    lines = [
        f'{found["data"]}: {found["examples"]} examples, batches of {found["sizes"]["batch"]}, '
        f'{found["threads"]} threads.',
        '',
        f'{found["triples_per_second"]:.0f} triples/s ({found["batches_per_second"]:.3g} '
        f'batches/s), {found["triples_per_cpu_second"]:.0f} for each second of a core.',
        '',
        *(f'{name:16}{share:>6.1%}' for name, share in found['stages'].items()),
        '',
        found['verdict'][0].upper() + found['verdict'][1:] + '.',
    ]
    return '\n'.join([*lines, *record.disturbed(found)])
