"""Steps taken one at a time, as the training loop takes them."""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.bench.training import Training
from gair_jax.train import sharding
from gair_jax.train.state import Params


class HostTime(NamedTuple):
    """Medians of a step: seconds waited for its batch, CPU seconds of the thread that takes it."""

    waited: float
    seconds: float


class Runner:
    """Takes steps as the training loop does, and notes where the host's time goes."""

    def __init__(
        self, made: Training, batches: Iterator[Mapping[str, np.ndarray]], seed: int
    ) -> None:
        self._made, self._batches = made, batches
        self.state = made.start(seed)
        self._waited: list[float] = []
        self._host: list[float] = []

    def begin(self, params: Params, places: np.ndarray) -> None:
        """Starts from these parameters and a bank full of these places (lonlat)."""
        bank = self.state.bank
        bank = dataclasses.replace(
            bank, lonlat=jnp.asarray(places, jnp.float32), valid=jnp.ones(len(places), bool)
        )
        state = dataclasses.replace(self.state, params=params, bank=bank)
        self.state = jax.device_put(state, self._made.places)

    def last(self, steps: int) -> HostTime:
        """Of the last steps."""
        return HostTime(
            statistics.median(self._waited[-steps:]), statistics.median(self._host[-steps:])
        )

    def __call__(self) -> float:
        """One step, finished; its loss."""
        before = time.perf_counter()
        batch = next(self._batches)
        self._waited.append(time.perf_counter() - before)
        before = time.thread_time()
        with jax.set_mesh(self._made.mesh):
            placed = sharding.put_batch(self._made.mesh, batch)
            self.state, metrics = self._made.step(self.state, placed)
        jax.block_until_ready(self.state)
        loss = float(metrics['loss'])
        self._host.append(time.thread_time() - before)
        return loss
