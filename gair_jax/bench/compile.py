"""`gair bench compile`: a training step as compiled, counted instead of run.

What a step moves, computes and holds is settled when it is compiled, and a compiler needs no GPU.
So the counts are exact and the same everywhere; the times made of them are predictions.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import gair_jax
from gair_jax import config_files, presets
from gair_jax.bench import hlo, kernels, roofline, target
from gair_jax.bench.training import shapes, training
from gair_jax.config import Config, InputError
from gair_jax.models import flops, gair
from gair_jax.train import sharding
from gair_jax.train.step import OPTIMIZER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the step.

    Attributes:
      target: name in `target.TARGETS`, or 'cpu'.
      config: config file; '' is the preset `paper` in bfloat16.
      overrides: of its settings, from the command line.
      batch: triples; 0 is that of the config.
      dtype: compute type; '' is that of the config.
    """

    target: str = 'h200'
    config: str = ''
    overrides: tuple[str, ...] = ()
    batch: int = 0
    dtype: str = ''


def bench(sizes: Sizes, rounds: int = 0, peer: str = '') -> dict[str, Any]:
    """The record of a step, from a process of its own where JAX must start for another machine.

    Raises:
      InputError: a setting is wrong, or what compiling for the target needs is not installed.
    """
    del rounds, peer  # nothing is run
    config = settings(sizes)
    if sizes.target != 'cpu':
        target.require_plugin(sizes.target)
        if not target.prepared():
            return _elsewhere(sizes)
    return {'what': 'compile', 'sizes': dataclasses.asdict(sizes), **counted(config, sizes.target)}


def settings(sizes: Sizes) -> Config:
    """The config that the sizes name."""
    if sizes.overrides and not sizes.config:
        raise InputError(f'{sizes.overrides[0]}: expected --config=FILE with it, found none.')
    if sizes.config:
        config = config_files.load(sizes.config, sizes.overrides)
    else:
        config = presets.paper()
        config.model.dtype = 'bfloat16'
    config.batch = sizes.batch or config.batch
    config.model.dtype = sizes.dtype or config.model.dtype
    return config


def _elsewhere(sizes: Sizes) -> dict[str, Any]:
    """What a `prepared` process finds."""
    named = {name: getattr(sizes, name) for name in ('target', 'config', 'batch', 'dtype')}
    command = [
        sys.executable, '-P', '-m', 'gair_jax.cli', 'bench', 'compile', '--json',
        *(f'--{name}={value}' for name, value in named.items() if value), *sizes.overrides,
    ]  # fmt: skip
    environment = {**os.environ, **target.ENVIRONMENT}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode == 2:
        raise InputError(ran.stderr.splitlines()[-1].removeprefix('gair: '))
    if ran.returncode:
        raise RuntimeError(f'compiling ended with code {ran.returncode}:\n{ran.stderr[-4000:]}')
    return json.loads(ran.stdout.splitlines()[-1])


def counted(config: Config, name: str) -> dict[str, Any]:
    """Counts of a config's step on one device of a target, and predictions made of them."""
    start = time.perf_counter()
    compiled, leaves = compiled_step(config, target.devices(name))
    spent = time.perf_counter() - start
    found = kernels.found(hlo.parse(compiled.as_text()))
    model_flops = flops.train_step(config, gair.build(config))
    memory = compiled.memory_analysis()
    record = {
        'batch': config.batch,
        'dtype': config.model.dtype,
        **_counts(config, found),
        'temporary_bytes': memory.temp_size_in_bytes,
        'donated_bytes': memory.alias_size_in_bytes,
        'parameter_leaves': leaves,
        'model_flops': model_flops,
        'predicted': [],
        'compile_seconds': round(spent, 1),
        'versions': {
            'gair_jax': gair_jax.__version__, 'jax': jax.__version__, 'numpy': np.__version__,
        },
    }  # fmt: skip
    if name in target.TARGETS:
        rates = target.TARGETS[name].rates
        record['predicted'] = roofline.predicted(found, rates, config.batch, model_flops)
    return record


def _counts(config: Config, found: Sequence[kernels.Kernel]) -> dict[str, Any]:
    """What is read from the kernels of a step."""
    model = gair.build(config)
    towers = [tower.spec for tower in (model.rs, model.sv) if tower is not None]
    stream = config.batch * min(spec.patches * spec.layers.dim for spec in towers)
    counts = kernels.counts(found)
    return {
        'counts': {kind: count._asdict() for kind, count in counts.items()},
        'kernels': sum(count.kernels for count in counts.values()),
        'optimizer_kernels': sum(k.times for k in found if OPTIMIZER in k.instruction.origin),
        'attention_calls_per_layer': counts['attention'].kernels
        / sum(spec.layers.depth for spec in towers),
        'batch_innermost': kernels.innermost(found, config.batch, stream),
        'compiled_flops': sum(count.flops for count in counts.values()),
    }


def compiled_step(config: Config, devices: Sequence[jax.Device]) -> tuple[Any, int]:
    """The training step of a config, and the number of its parameter leaves."""
    mesh = sharding.make_mesh(devices)
    if config.model.attention == 'cudnn':
        config = _with_cudnn(config, mesh)
    made = training(config, mesh)
    leaves = len(jax.tree.leaves(made.places.params))
    return made.lowered(shapes(config)).compile(), leaves


def _with_cudnn(config: Config, mesh: jax.sharding.Mesh) -> Config:
    """The config with 'auto', which is cuDNN on this mesh; elsewhere 'cudnn' would be refused."""
    model = gair.build(config)
    with jax.set_mesh(mesh):
        kinds = [t.spec.attention.kind for t in (model.rs, model.sv) if t is not None]
    assert set(kinds) <= {'cudnn'}, kinds
    settings = dataclasses.replace(config.model, attention='auto')
    return dataclasses.replace(config, model=settings)


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    place = found['sizes']['target']
    lines = [
        f'A training step of {found["batch"]} triples in {found["dtype"]}, compiled for {place}; '
        'nothing was run.\n',
        f'{"":12}{"kernels":>8}{"GB moved":>10}{"TFLOP":>9}',
    ]
    for name, count in found['counts'].items():
        tera = f'{count["flops"] / 1e12:9.2f}' if count['flops'] else ''
        lines.append(f'{name:12}{count["kernels"]:>8}{count["bytes"] / 1e9:>10.1f}{tera}')
    lines += ['', *_sentences(found), *_predictions(found, place)]
    return '\n'.join(lines)


def _sentences(found: Mapping[str, Any]) -> list[str]:
    inner = found['batch_innermost']
    share = found['compiled_flops'] / found['model_flops']
    return [
        f'{found["temporary_bytes"] / 1e9:.1f} GB beside state and batch; '
        f'{found["donated_bytes"] / 1e9:.1f} GB of state are updated in place.',
        f"The compiled products are {share:.3f} x the model's {found['model_flops'] / 1e12:.2f} "
        'TFLOP by its sizes.',
        f'{found["attention_calls_per_layer"]:.3g} calls of cuDNN attention a layer; '
        f'{found["optimizer_kernels"]} kernels update {found["parameter_leaves"]} arrays of '
        'parameters.',
        f'{len(inner)} token arrays have the batch innermost{": " + inner[0] if inner else ""}.',
    ]


def _predictions(found: Mapping[str, Any], place: str) -> list[str]:
    if not found['predicted']:
        return []
    rates = target.TARGETS[place].rates
    lines = [
        f'\nPredicted, where products run at a share of {rates.product["bf16"] / 1e12:.0f} TFLOP/s:'
        f'\n{"share":>6}{"ms":>9}{"triples/s":>11}{"of that":>9}{"of peak":>9}   MFU'
    ]
    for row in found['predicted']:
        lines.append(
            f'{row["share"]:>6}{1000 * row["seconds"]:>9.1f}{row["triples_per_second"]:>11.0f}'
            f'{row["mfu_of_measured_product"]:>9.1%}{row["mfu_of_peak"]:>9.1%}'
        )
    return lines
