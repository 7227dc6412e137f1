"""Ours beside a peer: one plain dict that goes to JSON, and the same as a table with sentences."""

import importlib.metadata
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import gair_jax
from gair_jax.bench.program import Program
from gair_jax.bench.timing import Call, Times, in_turn
from gair_jax.serve.program import cores

BUSY = 0.5  # load a core before the start, from which the figures are disturbed


class Side(NamedTuple):
    """One implementation: a call that returns when it is done, and its result as NumPy arrays."""

    call: Call
    read: Callable[[Any], Sequence[np.ndarray]]


def ours(program: Program, *arguments: Any) -> Side:
    """A compiled program on arguments that are put on the device once."""
    placed = jax.device_put(arguments)
    return Side(lambda: jax.block_until_ready(program.call(*placed)), leaves)


def leaves(result: Any) -> list[np.ndarray]:
    """The arrays of a JAX result."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def compared(sides: Mapping[str, Side], rounds: int, count: int) -> dict[str, Any]:
    """Times `ours` and, where `sides` has it, `peer`; `count` is what one call handles.

    Returns:
      ours, peer, ratio (of the peer's seconds to ours), max_difference, rounds and the machine.
    """
    found = machine()
    times = in_turn({name: side.call for name, side in sides.items()}, rounds)
    return {**summary(sides, times, count), **found}


def summary(sides: Mapping[str, Side], times: Mapping[str, Times], count: int) -> dict[str, Any]:
    """What `compared` says of the sides, from times that were measured."""
    peer, ratio, difference = None, None, None
    if 'peer' in sides:
        peer = figures(times['peer'], count)
        ratio = round(times['peer'].median / times['ours'].median, 3)
        difference = _difference(sides['ours'], sides['peer'])
    return {
        'ours': figures(times['ours'], count),
        'peer': peer,
        'ratio': ratio,
        'max_difference': difference,
        'rounds': len(times['ours'].seconds),
    }


def machine() -> dict[str, Any]:
    """Where this runs, with what, and how busy it was with other work."""
    device, torch = jax.devices()[0], {}
    if 'torch' in sys.modules:
        torch = {'torch': importlib.metadata.version('torch')}
    return {
        'device': device.platform,
        'device_kind': device.device_kind,
        'cores': cores(),
        'load_before': round(os.getloadavg()[0], 2),
        'versions': {
            'gair_jax': gair_jax.__version__,
            'jax': jax.__version__,
            'numpy': np.__version__,
            **torch,
        },
    }


def table(record: Mapping[str, Any], unit: str, sentences: Sequence[str]) -> str:
    """For a reader: the sides under each other, then what they mean."""
    lines = [f'{"":6}{"seconds":>10}{unit + "/s":>14}']
    for name in ('ours', 'peer'):
        if (side := record[name]) is not None:
            lines.append(f'{name:6}{side["seconds"]:>10.4g}{side["per_second"]:>14.4g}')
    if record['ratio'] is not None:
        lines.append(
            f'\n{record["ratio"]:.3g} x the speed of the peer; '
            f'the results differ by at most {record["max_difference"]:.2g}.'
        )
    lines += sentences
    return '\n'.join([*lines, *disturbed(record)])


def disturbed(record: Mapping[str, Any]) -> list[str]:
    """A sentence where other work was using the cores."""
    if record['device'] != 'cpu' or record['load_before'] <= BUSY * record['cores']:
        return []
    return [
        f'Other work was using this machine (load {record["load_before"]} on '
        f'{record["cores"]} cores), so these figures are disturbed.'
    ]


def compiled_sentence(program: Mapping[str, Any]) -> str:
    """What compiling took and gave."""
    return (
        f'Compiled in {program["compile_seconds"]:.1f} s: '
        f'{program["compiled_flops"] / 1e9:.1f} GFLOP and '
        f"{program['compiled_bytes'] / 1e9:.2f} GB moved a call by the compiler's count, "
        f'{program["compiled_temporary_bytes"] / 2**20:.0f} MiB of temporary memory.'
    )


def figures(times: Times, count: int) -> dict[str, Any]:
    """Of one call that handles `count`."""
    return {
        'seconds': round(times.median, 5),
        'cpu_seconds': round(times.cpu_median, 5),
        'per_second': round(count / times.median, 2),
        'each': [round(seconds, 5) for seconds in times.seconds],
    }


def _difference(ours: Side, peer: Side) -> float:
    pairs = zip(ours.read(ours.call()), peer.read(peer.call()), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)
