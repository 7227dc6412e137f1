"""Calls timed in turn, so that what else the machine does falls on all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Call = Callable[[], object]


class Times(NamedTuple):
    """Wall-clock seconds of each round, in order."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is reported."""
        return statistics.median(self.seconds)


def in_turn(
    calls: Mapping[str, Call], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Times]:
    """Every call once to warm up, then `rounds` times all of them one after the other.

    A call must return only when its work is done.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds):
        _say(f'round {i + 1} of {rounds}')
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    _say('')
    return {name: Times(tuple(found)) for name, found in seconds.items()}


def _say(text: str) -> None:
    """One line of progress, on a terminal alone."""
    if sys.stderr.isatty():
        print(f'\r{text:20}\r' if not text else f'\r{text:20}', end='', file=sys.stderr, flush=True)
