"""Stopping well: a signal is noted, and all processes of a run stop after the same step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.train import sharding


@contextmanager
def noted_signals() -> Iterator[list[str]]:
    """A list that names the signal once SIGTERM or SIGINT has come; handlers are put back."""
    came: list[str] = []

    def note(number: int, frame: Any) -> None:
        came.append(signal.Signals(number).name)

    try:
        old = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: the caller's own handlers act
        old = {}
    try:
        yield came
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Agreement:
    """Whether any process wants to stop, asked at one step and known to all a step later.

    The question travels with the step's own work, so that no process waits for the answer.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._split = NamedSharding(mesh, P(sharding.AXES))
        self._any = jax.jit(jnp.any, out_shardings=sharding.replicated(mesh))
        self._alone = jax.process_count() == 1
        self._asked: list[Any] = []

    def reached(self, wanted: bool) -> bool:
        """Tells the others what this process wants; True once all know that one wants to stop."""
        if self._alone:
            return wanted
        self._asked.append(self._any(self._flags(wanted)))
        return len(self._asked) > 1 and bool(np.asarray(self._asked.pop(0)))

    def _flags(self, wanted: bool) -> jax.Array:
        local = len(self._split.addressable_devices)
        return jax.make_array_from_process_local_data(self._split, np.full(local, wanted))
