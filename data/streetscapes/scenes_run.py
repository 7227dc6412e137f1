"""A stage of one worker: key by key until none is left or a signal comes, with a bar."""

import contextlib
import json
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, MappingProxyType
from typing import Any, NamedTuple

from rich import console, progress

from gair_jax.builders.streetscapes import whole_files
from gair_jax.builders.streetscapes.ledger import Ledger
from gair_jax.config import InputError


class Outcome(NamedTuple):
    """What became of a key: see `Ledger.settle`; and what was spent on it: see `Ledger.spend`."""

    state: str
    reason: str
    sha256: str
    size: int
    record: Mapping[str, Any]
    spent: Mapping[str, float] = MappingProxyType({})


class Ran(NamedTuple):
    """How a stage ended: number of keys by state, and the signal that stopped it, '' for none."""

    counts: dict[str, int]
    stopped: str


def kept(record: Mapping[str, Any], sha256: str = '', size: int = 0, **spent: float) -> Outcome:
    """A key whose file is in place."""
    return Outcome('kept', '', sha256, size, record, spent)


def without(state: str, reason: str) -> Outcome:
    """A key without a file: dropped, or failed for now."""
    return Outcome(state, reason, '', 0, {})


def run(
    ledger: Ledger, todo: list[str], work: Callable[[str], Outcome], *, title: str, shown: bool
) -> Ran:
    """Does the keys in the given order; on SIGTERM or SIGINT the one in hand is finished first."""
    terminal = console.Console(stderr=True)
    hidden = not (shown and sys.stderr.isatty())
    with _signals() as came, progress.Progress(console=terminal, disable=hidden) as bar:
        task = bar.add_task(title, total=len(todo))
        for key in todo:
            if came:
                break
            begun = time.monotonic()
            outcome = work(key)
            ledger.settle(key, outcome.state, **_rest(outcome))
            ledger.spend(seconds=time.monotonic() - begun, **outcome.spent)
            bar.advance(task)
    return Ran(ledger.counts(), came[0] if came else '')


def ledger_path(out: pathlib.Path, stage: str, worker: int) -> pathlib.Path:
    """Where a stage of a worker keeps its ledger."""
    return out / 'ledgers' / f'{stage}-{worker}.sqlite'


def write(path: pathlib.Path, value: Any) -> None:
    """JSON that is there whole or not at all; InputError if it cannot be written."""
    whole_files.write(path, json.dumps(value, indent=1).encode())


def read(path: pathlib.Path) -> Any:
    """What `write` wrote; InputError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: cannot be read: {error}.') from error


def _rest(outcome: Outcome) -> dict[str, Any]:
    fields = outcome._asdict().items()
    return {name: value for name, value in fields if name not in ('state', 'spent')}


@contextlib.contextmanager
def _signals() -> Iterator[list[str]]:
    """A list that names the signal once one has come; handlers are put back."""
    came = list[str]()

    def note(number: int, frame: FrameType | None) -> None:
        del frame
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
