"""Many photos at a time, and one task that writes down what became of them."""

import asyncio
import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from rich import console, progress

from gair_jax.builders.streetscapes import photos_requests
from gair_jax.builders.streetscapes.photos_one import Photos
from gair_jax.builders.streetscapes.photos_share import Outcome, Share
from gair_jax.config import InputError

NOTE_SECONDS = 2.0  # between two notes of what was spent


class _Spent(NamedTuple):
    """Time by a clock, requests and bytes so far."""

    clock: float
    requests: int
    fetched: int


class Loop:
    """The photos that wait and those in flight."""

    def __init__(self, client: photos_requests.Client, photos: Photos, share: Share) -> None:
        """Starts nothing yet.

        Args:
          client: whose waits end when the loop is stopped.
          photos: what makes an outcome of a key.
          share: what is to be fetched, and the ledger.
        """
        self._client, self._photos, self._share = client, photos, share
        self._waiting: collections.deque[str] = collections.deque()
        self._flying: set[asyncio.Task[Outcome]] = set()
        self._fatal: list[InputError] = []
        self._noted = _Spent(time.monotonic(), 0, 0)
        self.stopped = ''

    def stop(self, why: str) -> None:
        """Starts no photo more, and ends the long waits of those in flight."""
        self.stopped = self.stopped or why
        self._client.stopping.set()

    async def run(self, connections: int, title: str) -> None:
        """Until all is settled or, once stopped, until what was in flight is.

        Args:
          connections: photos at a time.
          title: words beside the progress bar.

        Raises:
          InputError: a token, the disk or the ledger makes going on pointless; what was in flight
            is settled before.
        """
        total, waiting = self._share.begin()
        self._waiting.extend(waiting)
        try:
            with _bar(title, total, total - len(waiting)) as advance:
                while self._start(connections):
                    settled, new = self._settle(await self._landed())
                    advance(settled, new)
                    self._note(NOTE_SECONDS)
        finally:
            self._note(0.0)
            for task in self._flying:
                task.cancel()
            await asyncio.gather(*self._flying, return_exceptions=True)
        if self._fatal:
            raise self._fatal[0]

    def _start(self, connections: int) -> bool:
        """Fills the free connections; whether anything is in flight."""
        stopping = self._client.stopping.is_set()
        while self._waiting and len(self._flying) < connections and not stopping:
            key = self._waiting.popleft()
            self._flying.add(asyncio.create_task(self._photos.outcome(key)))
        return bool(self._flying)

    def _note(self, every: float) -> None:
        """Writes down what was spent since the last time, if that is some seconds ago."""
        now = _Spent(time.monotonic(), self._client.requests, self._client.fetched)
        seconds, requests, fetched = np.subtract(now, self._noted)
        if seconds >= every:
            self._share.spend(seconds=seconds, requests=requests, fetched=fetched)
            self._noted = now

    async def _landed(self) -> set[asyncio.Task[Outcome]]:
        done, self._flying = await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
        return done

    def _settle(self, done: set[asyncio.Task[Outcome]]) -> tuple[int, int]:
        """Writes outcomes down; how many, and how many photos are wanted in their place."""
        settled = wanted = 0
        for task in done:
            try:
                new = self._share.settle(task.result())
            except photos_requests.AbandonedError:
                continue
            except InputError as error:
                self._fatal.append(error)
                self._client.stopping.set()
                continue
            self._waiting.extend(new)
            settled, wanted = settled + 1, wanted + len(new)
        return settled, wanted


@contextlib.contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar where there is a terminal; it is told of photos settled and photos added."""
    terminal = console.Console(stderr=True)
    with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total, completed=done)
        totals = [total]

        def advance(settled: int, added: int) -> None:
            totals[0] += added
            bar.update(task, total=totals[0], advance=settled)

        yield advance
