"""`gair bench train`: the training step of a config, and what bounds it."""

import dataclasses
import itertools
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.bench import ceilings, links, record
from gair_jax.bench import peer as peers
from gair_jax.bench.collectives import collectives
from gair_jax.bench.program import Program, compiled
from gair_jax.bench.runner import HostTime, Runner
from gair_jax.bench.settings import settings
from gair_jax.bench.timing import Call, Times, in_turn, say
from gair_jax.bench.training import compilations, drawn, training
from gair_jax.bench.verdict import Parts, bound
from gair_jax.config import Config, InputError
from gair_jax.models import flops, gair
from gair_jax.train import optimizer, sharding
from gair_jax.train.forecast import require_room, state_shapes

STEPS, STEPS_ON_CPU = 20, 6
TOGETHER = 3  # steps of a side in a turn
BATCH_ON_CPU = 8
BATCHES = 2  # random ones, taken in turn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one run.

    Attributes:
      config: config file; '' is the paper's model.
      overrides: its `--config.FIELD=VALUE`.
      batch: triples a step; 0 is the config's, on a CPU 8.
      steps: timed steps; 0 is 20, on a CPU 6.
      data: 'random', or 'config': the data set that the config names.
    """

    config: str = ''
    overrides: tuple[str, ...] = ()
    batch: int = 0
    steps: int = 0
    data: str = 'random'


class Source(NamedTuple):
    """Batches, and how many examples a pass over the data has; 0: not known."""

    batches: Iterator[Mapping[str, np.ndarray]]
    examples: int


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """The record of our step and, where `peer` names its file, the peer's with the same weights.

    Raises:
      InputError: the config, its data set or the peer cannot be used.
    """
    del rounds  # a round is a step
    if peer:  # the peer needs its share of an accelerator's memory
        os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
    config = configured(sizes, peer)
    machine = record.machine()
    steps = sizes.steps or (STEPS_ON_CPU if machine['device'] == 'cpu' else STEPS)
    mesh = sharding.make_mesh(fsdp=config.mesh.fsdp)
    forecast = require_room(config, mesh, state_shapes(config))
    made = training(config, mesh)
    source = read(config, sizes.data)
    runner = Runner(made, source.batches, config.seed)
    theirs = _peer_step(config, peer, runner) if peer else None
    say('compiling')
    program = compiled(made.lowered(drawn(config, 0)))
    first_loss = {'ours': runner(), 'peer': theirs() if theirs else None}
    peak = peak_bytes()
    loads = {'product': ceilings.product(config.model.dtype), 'copy': ceilings.copy()}
    calls: dict[str, Call] = {'ours': runner, **({'peer': theirs} if theirs else {})}
    with compilations() as later:
        times = in_turn(calls, steps, TOGETHER)
        times |= in_turn({name: load.call for name, load in loads.items()}, steps)
    rates = {name: load.amount / times[name].median for name, load in loads.items()}
    return {
        'what': 'train',
        'sizes': {**dataclasses.asdict(sizes), **_settings(config), 'steps': steps},
        **_sides(times, config.batch, program),
        'first_loss': first_loss,
        'compilations_after_first_step': len(later),
        'forecast': forecast,
        'peak_bytes': peak,
        **_speed(config, program, times['ours'].median, rates, runner.last(steps)),
        'run': whole_run(config, source.examples, times['ours'].median),
        'rounds': steps,
        **machine,
    }


def configured(sizes: Sizes, peer: str) -> Config:
    """The config that is timed; beside a peer it is the peer's model.

    Raises:
      InputError: both a config and a peer are given, or the config cannot be used.
    """
    if peer and sizes.config:
        raise InputError("--config: with --peer the model is the peer's; give overrides alone.")
    config = settings(sizes.config, sizes.overrides)
    if peer:
        peers.same_model(config)
    if sizes.batch or (not sizes.config and jax.default_backend() == 'cpu'):
        config.batch = sizes.batch or BATCH_ON_CPU
    return config


def read(config: Config, data: str) -> Source:
    """Batches, drawn or of the data set that the config names."""
    if data == 'random':
        batches = [drawn(config, seed) for seed in range(BATCHES)]
        return Source(itertools.cycle(batches), 0)
    from gair_jax.input.pipeline import Pipeline

    made = Pipeline(config, config.data.train_split)
    return Source(made.iterate(0, 2**31), made.examples)


def whole_run(config: Config, examples: int, seconds: float) -> dict[str, Any]:
    """Steps and seconds of the configured run; null where its length is not known."""
    if not (config.steps or examples):
        return {'steps': None, 'seconds': None}
    steps = optimizer.total_steps(config, examples)
    return {'steps': steps, 'seconds': round(steps * seconds, 1)}


def peak_bytes() -> int:
    """Most memory held so far: of the first device, or of the process on a CPU."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and 'peak_bytes_in_use' in stats:
        return int(stats['peak_bytes_in_use'])
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _peer_step(config: Config, peer: str, runner: Runner) -> Callable[[], float]:
    """The peer's step on our first batch; its weights and queue become ours."""
    theirs = peers.made(peers.load(peer), 'GAIR')
    params = peers.params(theirs, jax.device_get(runner.state.params))
    runner.begin(params, peers.queue(theirs))
    return peers.train_step(theirs, drawn(config, 0), config.model.dtype == 'bfloat16')


def _settings(config: Config) -> dict[str, Any]:
    model = config.model
    return {
        'batch': config.batch, 'accumulation': config.accumulation, 'dtype': model.dtype,
        'remat': model.remat, 'rolled': model.rolled, 'devices': jax.device_count(),
    }  # fmt: skip


def _sides(times: Mapping[str, Times], count: int, program: Program) -> dict[str, Any]:
    """Ours, the peer's, and by how much ours is faster."""
    ours = record.figures(times['ours'], count) | program.record()
    if 'peer' not in times:
        return {'ours': ours, 'peer': None, 'ratio': None, 'cpu_ratio': None}
    return {
        'ours': ours,
        'peer': record.figures(times['peer'], count),
        'ratio': round(times['peer'].median / times['ours'].median, 3),
        'cpu_ratio': round(times['peer'].cpu_median / times['ours'].cpu_median, 3),
    }


def _speed(
    config: Config, program: Program, step: float, rates: Mapping[str, float], host: HostTime
) -> dict[str, Any]:
    """FLOP/s against what the device can do, where the host's time goes, and the verdict."""
    if config.loss.objective == 'gair':
        counted: float = flops.train_step(config, gair.build(config))
    else:
        counted = program.flops * jax.device_count()
    each = counted / jax.device_count()
    peak = ceilings.peak(jax.devices()[0].device_kind)
    found = bound(
        Parts(
            step=step + host.waited,
            waiting=host.waited,
            compute=each / rates['product'],
            memory=max(program.bytes, 0) / rates['copy'],
            communication=_communication(program),
        )
    )
    return {
        'flops': {'from_sizes': counted, 'compiled': program.flops * jax.device_count()},
        'rate': counted / step,
        'mfu': {
            'of_data_sheet': None if peak is None else float(f'{each / step / peak:.4g}'),
            'of_product': float(f'{each / step / rates["product"]:.4g}'),
        },
        'product_rate': rates['product'],
        'copy_rate': rates['copy'],
        'input_wait_share': round(host.waited / step, 4),
        'host_seconds': round(host.seconds, 6),
        'host_share': round(host.seconds / step, 5),
        'verdict': found._asdict(),
    }


def _communication(program: Program) -> float:
    """Seconds that the collectives take by the speed of the links; 0 where that is not known."""
    link = links.of_device(jax.devices()[0].device_kind)
    if link is None or jax.device_count() == 1:
        return 0.0
    return links.seconds(link, collectives(program.call.as_text(), jax.device_count()))


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes, ours, mfu = found['sizes'], found['ours'], found['mfu']
    lines = [
        'Training steps of {batch} triples, {dtype}, {data} batches, {devices} devices.'.format(
            **sizes
        ),
        '',
        f'{"":6}{"seconds":>10}{"CPU s":>10}{"triples/s":>12}',
    ]
    for name in ('ours', 'peer'):
        if (side := found[name]) is not None:
            lines.append(
                f'{name:6}{side["seconds"]:>10.4g}{side["cpu_seconds"]:>10.4g}'
                f'{side["per_second"]:>12.4g}'
            )
    if found['ratio'] is not None:
        lines.append(
            f'\n{found["ratio"]:.3g} x the speed of the peer ({found["cpu_ratio"]:.3g} x by CPU '
            f'time); first losses {found["first_loss"]["ours"]:.6f} and '
            f'{found["first_loss"]["peer"]:.6f}.'
        )
    sheet = (
        '' if mfu['of_data_sheet'] is None else f', {mfu["of_data_sheet"]:.1%} of its data sheet'
    )
    counted = found['flops']
    lines += [
        '',
        f'{found["rate"] / 1e12:.3g} TFLOP/s: {mfu["of_product"]:.1%} of what a large matrix '
        f'product reaches here ({found["product_rate"] / 1e12:.3g}){sheet}.',
        f'FLOPs of a step: {counted["from_sizes"] / 1e12:.4g} T by its sizes, '
        f"{counted['compiled'] / 1e12:.4g} T by the compiler's count.",
        f'Waiting for input {found["input_wait_share"]:.2%} of the step; work of the host '
        f'{found["host_share"]:.2%}; {found["compilations_after_first_step"]} compilations after '
        'the first step.',
        f'Memory: {ours["compiled_temporary_bytes"] / 2**30:.2f} GiB of temporary buffers a '
        f'device, at most {found["peak_bytes"] / 2**30:.2f} GiB held.',
    ]
    if found['run']['seconds'] is not None:
        hours = found['run']['seconds'] / 3600
        lines.append(f'The whole run, {found["run"]["steps"]} steps, would take {hours:.3g} hours.')
    lines.append(f'Bound by {found["verdict"]["by"]}: {found["verdict"]["reason"]}.')
    return '\n'.join([*lines, *record.disturbed(found)])
