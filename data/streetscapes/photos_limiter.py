"""One token bucket a host, shared by every task of every worker process of this machine.

A request takes a token; tokens drop in at the rate. When the service says no (429, or an error code
that means so), the bucket is paused for all, and its rate is halved and climbs back:

    rate(t) = level (1 + ((t - CLIMB) / CLIMB)^5 / 2),   never above the configured rate,

where `level` is the rate that was refused and t the seconds since: steep at first, flat around the
level, then probing beyond it. The shape is that of CUBIC's congestion window (RFC 9438, section
4.2) with a fifth power for its third, which spends 1 - 1/12 of the level on the way, not 1 - 1/8.

The bucket is a file of six numbers under a lock. A database would do as well, but a token costs 20
microseconds here, and the lock falls with the process that held it, whatever ended it.
"""

import asyncio
import fcntl
import os
import pathlib
import re
import struct
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self

from gair_jax.config import InputError

CLIMB = 30.0  # seconds from half of the level back to it
BURST = 0.05  # seconds' worth of tokens that may pile up: what a task that wakes late would lose
LEAST = 0.1  # requests a second; no service is asked less often than that
FIRST_PAUSE = 0.5  # seconds, doubled with every refusal that follows another
SHORTEST = 0.001  # seconds of a wait; tokens that drop in meanwhile are not lost
LONGEST = 600.0  # seconds; no pause is longer, whatever a service or a set-back clock says


class State(NamedTuple):
    """What the file holds; times are seconds since 1970, 0 for never.

    tokens: that may be taken now, below 1 for none.
    filled: when `tokens` was so.
    level: the rate that was refused last, requests a second; 0: none was.
    cut: when that was.
    paused: until when nobody asks.
    strikes: refusals since an answer came.
    """

    tokens: float = 0.0
    filled: float = 0.0
    level: float = 0.0
    cut: float = 0.0
    paused: float = 0.0
    strikes: float = 0.0


_FORMAT = struct.Struct(f'<{len(State._fields)}d')


def path_of(folder: pathlib.Path, host: str) -> pathlib.Path:
    """The bucket of a host ('name' or 'name:port') among those in a folder."""
    return folder / (re.sub(r'[^A-Za-z0-9.-]', '_', host) + '.bucket')


class Bucket:
    """Tokens of one host; a context manager. The methods never wait but for the lock."""

    def __init__(
        self, path: pathlib.Path, rate: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Opens the bucket, or makes an empty one.

        Args:
          path: the file that all workers share; on a disk of this machine.
          rate: requests a second at most, of all together.
          clock: seconds since 1970, the same for all who share the file.

        Raises:
          InputError: the file cannot be opened.
        """
        self._rate, self._clock = rate, clock
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(f'{path}: cannot be opened: {error.strerror}.') from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def take(self) -> float:
        """Takes a token and returns 0, or returns the seconds after which to ask again."""
        return self._change(self._take)

    def refused(self, sent: float, retry_after: float, jitter: float) -> None:
        """The service refused a request because there were too many.

        Args:
          sent: when the request was sent, by the bucket's clock. One that was sent before the last
            cut tells nothing new: the rate is not halved again.
          retry_after: seconds that the service asks for; 0: it does not say.
          jitter: 0..1, drawn anew by the caller: workers must not come back all at once.
        """

        def change(state: State, now: float) -> tuple[State, float]:
            new = sent >= state.cut
            strikes = state.strikes + new
            if new:
                state = state._replace(level=self._rate_at(state, now), cut=now)
            pause = retry_after or FIRST_PAUSE * 2 ** min(strikes - 1, 10) * (0.5 + jitter / 2)
            paused = max(state.paused, now + min(pause, LONGEST))
            state = state._replace(tokens=0.0, filled=now, strikes=strikes, paused=paused)
            return state, 0.0

        self._change(change)

    def answered(self) -> None:
        """An answer came that was no refusal: the next pause is short again."""
        self._change(lambda state, now: (state._replace(strikes=0.0), 0.0))

    def rate(self) -> float:
        """Requests a second that are allowed now."""
        return self._change(lambda state, now: (state, self._rate_at(state, now)))

    def _take(self, state: State, now: float) -> tuple[State, float]:
        if now < state.paused:
            return state, max(SHORTEST, state.paused - now)
        rate = self._rate_at(state, now)
        # No tokens drop in during a pause.
        grown = state.tokens + (now - max(state.filled, state.paused)) * rate
        tokens = min(grown, max(1.0, BURST * rate))
        if tokens < 1:
            return state._replace(tokens=tokens, filled=now), max(SHORTEST, (1 - tokens) / rate)
        return state._replace(tokens=tokens - 1, filled=now), 0.0

    def _rate_at(self, state: State, now: float) -> float:
        if not state.level:
            return self._rate
        # A pause is no time to climb: nothing was learned in it.
        since = max(0.0, now - max(state.cut, state.paused))
        climbed = state.level * (1 + ((since - CLIMB) / CLIMB) ** 5 / 2)
        return min(self._rate, max(LEAST, climbed))

    def _change(self, change: Callable[[State, float], tuple[State, float]]) -> float:
        """Reads, changes and writes the state, alone among all processes."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            now = self._clock()
            state, answer = change(self._read(now), now)
            os.pwrite(self._file, _FORMAT.pack(*state), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return answer

    def _read(self, now: float) -> State:
        data = os.pread(self._file, _FORMAT.size, 0)
        if len(data) < _FORMAT.size:  # just made
            return State(filled=now)
        state = State(*_FORMAT.unpack(data))
        # After the clock was set back, what was written by the old one would stop everything.
        if max(state.filled, state.cut, state.paused - LONGEST) > now:
            return State(filled=now, level=state.level, cut=now)
        return state


class Turns:
    """The tasks of one process, one behind the other, before the bucket of a host."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        # Only the first in the queue looks at the file, so that 32 tasks do not wake for one token.
        self._queue = asyncio.Lock()

    async def take(self, wait: Callable[[float], Awaitable[None]]) -> None:
        """Returns with a token; `wait` sleeps for some seconds, or raises to give up."""
        async with self._queue:
            while seconds := self.bucket.take():
                await wait(seconds)
