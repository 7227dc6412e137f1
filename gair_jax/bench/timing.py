"""Calls timed in turn, so that what else the machine does falls on all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Call = Callable[[], object]


class Times(NamedTuple):
    """Of each round, in order: wall-clock seconds, and CPU seconds of the whole process."""

    seconds: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is reported."""
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        """Hardly changed by other work on the machine; more than the wall clock on many cores."""
        return statistics.median(self.cpu)


def in_turn(
    calls: Mapping[str, Call],
    rounds: int,
    together: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> dict[str, Times]:
    """Every call once to warm up, then `rounds` times all of them one after the other.

    A call must return only when its work is done. Where `together` is more than 1, a call is made
    so many times before the next one has its turn, after once more that is not counted: a training
    step finds its memory as the step before left it, not as a pause did.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for first in range(0, rounds, together):
        say(f'round {first + 1} of {rounds}')
        for name, call in calls.items():
            if together > 1:
                call()
            for _ in range(min(together, rounds - first)):
                start, cpu_start = clock(), cpu_clock()
                call()
                seconds[name].append(clock() - start)
                cpu[name].append(cpu_clock() - cpu_start)
    say('')
    return {name: Times(tuple(seconds[name]), tuple(cpu[name])) for name in calls}


def say(text: str) -> None:
    """One line of progress, on a terminal alone."""
    if sys.stderr.isatty():
        print(f'\r{text:20}\r' if not text else f'\r{text:20}', end='', file=sys.stderr, flush=True)
