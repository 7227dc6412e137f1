"""Devices that exist only for the compiler: several of them on one CPU."""

import contextlib
from typing import Any

import jax

from gair_jax.config import InputError


def cpu_devices(count: int) -> list[jax.Device]:
    """`count` CPU devices, virtual ones; nothing else is used if JAX has not started yet.

    Raises:
      InputError: JAX has started with fewer.
    """
    with contextlib.suppress(RuntimeError):  # JAX has started
        jax.config.update('jax_num_cpu_devices', count)
        jax.config.update('jax_platforms', 'cpu')
    found = jax.devices('cpu')
    if len(found) < count:
        raise InputError(f'--devices: expected at most {len(found)}, found {count}.')
    return found[:count]


def temporary_bytes(lowered: Any) -> int:
    """Of a program on one device: its buffers beside inputs and outputs; nothing is run."""
    memory = lowered.compile().memory_analysis()
    assert memory is not None, 'the CPU compiler tells of its memory'
    return int(memory.temp_size_in_bytes)
