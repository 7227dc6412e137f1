"""`gair bench loss`: INCL + SECL over batch and bank, with gradients, in each form of the loss."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax import losses
from gair_jax.bench import record, timing, virtual
from gair_jax.config import LossConfig
from gair_jax.train import sharding

SIDES = ('loss_localized', 'loss_sv', 'loss_location', 'bank')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one call.

    Attributes:
      n: rows of the batch.
      dim: width of the embeddings.
      bank: past places, embeddings too.
      devices: most that the ring is compiled for; it is for 1, 2, 4 and so on.
      compile_only: nothing is run: what each form would hold, on virtual devices.
    """

    n: int = 8192
    dim: int = 768
    bank: int = 4096
    devices: int = 8
    compile_only: bool = False


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """What each form holds, or, run in turn on one device, how long it takes."""
    assert not peer, 'the peer has no forms'
    counts = [d for d in (2**i for i in range(16)) if d <= sizes.devices]
    if sizes.compile_only:
        return {
            'what': 'loss', 'sizes': dataclasses.asdict(sizes),
            **held(sizes, virtual.cpu_devices(counts[-1]), counts), **record.machine(),
        }  # fmt: skip
    return {'what': 'loss', 'sizes': dataclasses.asdict(sizes), **timed(sizes, rounds)}


def held(sizes: Sizes, devices: Sequence[jax.Device], counts: Sequence[int]) -> dict[str, Any]:
    """Temporary bytes of loss and gradient as compiled, and their ratios."""
    plain = virtual.temporary_bytes(lowered(sizes, 'plain', devices[:1]))
    chunked = virtual.temporary_bytes(lowered(sizes, 'chunked', devices[:1]))
    ring = {d: virtual.temporary_bytes(lowered(sizes, 'ring', devices[:d])) for d in counts}
    return {
        'plain_temp_bytes': plain,
        'chunked_temp_bytes': chunked,
        'ring_temp_bytes_per_device': {str(d): b for d, b in ring.items()},
        'chunked_to_plain': round(chunked / plain, 5),
        # 1: falls exactly as the number of devices grows; below 1: faster.
        'ring_times_devices': {str(d): round(b * d / ring[1], 4) for d, b in ring.items()},
    }


def timed(sizes: Sizes, rounds: int) -> dict[str, Any]:
    """Plain and chunked in turn on one device."""
    found = record.machine()
    given = drawn(sizes)
    programs = {
        form: lowered(sizes, form, jax.devices()[:1]).compile() for form in ('plain', 'chunked')
    }
    calls = {name: _caller(program, given) for name, program in programs.items()}
    times = timing.in_turn(calls, rounds)
    results = {name: record.leaves(call()) for name, call in calls.items()}
    pairs = zip(results['plain'], results['chunked'], strict=True)
    scale = max(float(np.abs(x).max()) for x in results['plain'][1:])
    return {
        **{name: record.figures(times[name], sizes.n) for name in calls},
        'ratio': round(times['chunked'].median / times['plain'].median, 3),
        'cpu_ratio': round(times['chunked'].cpu_median / times['plain'].cpu_median, 3),
        'max_difference': max(float(np.abs(a - b).max()) for a, b in pairs),
        'largest_slope': scale,
        'temp_bytes': {
            name: int(program.memory_analysis().temp_size_in_bytes)
            for name, program in programs.items()
        },
        'rounds': rounds,
        **found,
    }


def drawn(sizes: Sizes) -> dict[str, np.ndarray]:
    """Unit rows in random directions."""
    draw = np.random.default_rng(0)
    made = {}
    for name in SIDES:
        rows = sizes.bank if name == 'bank' else sizes.n
        x = draw.standard_normal((rows, sizes.dim), np.float32)
        made[name] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return made


def lowered(sizes: Sizes, form: str, devices: Sequence[jax.Device]) -> Any:
    """Loss and gradient of all embeddings, rows split over `devices`, ready to be compiled."""
    mesh = sharding.make_mesh(devices)
    split = NamedSharding(mesh, P(sharding.AXES))
    rows = {name: sizes.bank if name == 'bank' else sizes.n for name in SIDES}
    shapes = {
        name: jax.ShapeDtypeStruct((count, sizes.dim), jnp.float32, sharding=split)
        for name, count in rows.items()
    }
    with jax.set_mesh(mesh):
        return jax.jit(jax.value_and_grad(_loss(form))).lower(shapes)


def _loss(form: str) -> Callable[[Mapping[str, jax.Array]], jax.Array]:
    config = LossConfig(secl_denominator='batch_and_bank')
    settings = losses.Settings(jnp.float32(config.temperature), form=losses.Form(form))

    def loss(sides: Mapping[str, jax.Array]) -> jax.Array:
        bank = losses.bank_of(sides['bank'])
        return losses.gair_loss(sides, bank, loss=config, settings=settings)[0]

    return loss


def _caller(program: Any, given: Mapping[str, np.ndarray]) -> timing.Call:
    placed = jax.device_put(dict(given))
    return lambda: jax.block_until_ready(program(placed))


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes = found['sizes']
    title = (
        'INCL + SECL with gradients: {n} rows of width {dim}, a bank of {bank}, float32.'
    ).format(**sizes)
    return f'{title}\n\n' + (_held_table if sizes['compile_only'] else _timed_table)(found)


def _held_table(found: Mapping[str, Any]) -> str:
    lines = [f'{"form":10}{"devices":>8}{"GB a device":>14}   beside inputs and outputs']
    lines += [
        f'{form:10}{1:>8}{found[f"{form}_temp_bytes"] / 1e9:>14.4g}'
        for form in ('plain', 'chunked')
    ]
    for devices, size in found['ring_temp_bytes_per_device'].items():
        times = found['ring_times_devices'][devices]
        lines.append(f'{"ring":10}{devices:>8}{size / 1e9:>14.4g}   x devices: {times:.3f}')
    lines.append(
        f'\nChunked holds {found["chunked_to_plain"]:.2%} of plain. Read from the compiled '
        'programs; nothing was run.'
    )
    return '\n'.join(lines)


def _timed_table(found: Mapping[str, Any]) -> str:
    lines = [f'{"form":10}{"seconds":>10}{"CPU s":>10}{"GB held":>10}']
    for form in ('plain', 'chunked'):
        side, size = found[form], found['temp_bytes'][form]
        lines.append(
            f'{form:10}{side["seconds"]:>10.4g}{side["cpu_seconds"]:>10.4g}{size / 1e9:>10.3g}'
        )
    lines.append(
        f'\nChunked takes {found["ratio"]:.2f} x the time of plain ({found["cpu_ratio"]:.2f} x the '
        f'CPU time); slopes reach {found["largest_slope"]:.2g} and differ by at most '
        f'{found["max_difference"]:.2g}.'
    )
    return '\n'.join([*lines, *record.disturbed(found)])
