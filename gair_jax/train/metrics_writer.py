"""Metrics of a run: one JSON line a record, TensorBoard events, and a progress line for people."""

import json
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 15.0  # between progress lines where there is no terminal


class MetricsWriter:
    """Appends records to `<workdir>/metrics.jsonl` and, if asked, to TensorBoard event files."""

    def __init__(self, workdir: pathlib.Path, *, after_step: int, tensorboard: bool) -> None:
        """Drops the lines past `after_step`, which a killed run wrote before it could save."""
        path = workdir / 'metrics.jsonl'
        kept = _truncate(path, after_step)
        self._seconds_before = kept[-1].get('seconds', 0.0) if kept else 0.0
        self._begun = time.monotonic()
        self._file = path.open('a', encoding='utf-8')
        self._events = _event_writer(workdir, after_step) if tensorboard else None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One record: `step` (steps taken so far), `seconds` of the run so far, named figures."""
        seconds = round(self._seconds_before + time.monotonic() - self._begun, 2)
        self._file.write(json.dumps({'step': step, 'seconds': seconds, **values}) + '\n')
        self._file.flush()
        if self._events:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes both outputs."""
        self._file.close()
        if self._events:
            self._events.close()


def _truncate(path: pathlib.Path, after_step: int) -> list[dict[str, float]]:
    """Keeps the records up to a step, and returns them."""
    kept: list[dict[str, float]] = []
    for line in path.read_text(encoding='utf-8').splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break  # the line that was being written when the run died
        if record['step'] <= after_step:
            kept.append(record)
    part = path.with_suffix('.part')
    part.write_text(''.join(json.dumps(record) + '\n' for record in kept), encoding='utf-8')
    os.replace(part, path)
    return kept


def _event_writer(workdir: pathlib.Path, after_step: int) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(workdir / 'tensorboard'), purge_step=after_step + 1)


class ProgressBar:
    """A bar with rate and time left on a terminal, else a line now and then; always on stderr."""

    def __init__(self, title: str, total: int, done: int = 0, *, shown: bool = True) -> None:
        self._console = Console(stderr=True, quiet=not shown)
        self._title, self._total, self._last = title, total, time.monotonic()
        self._begun, self._first = self._last, done
        columns = (
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn('{task.fields[note]}'),
        )  # fmt: skip
        self._bar = (
            Progress(*columns, console=self._console) if shown and sys.stderr.isatty() else None
        )
        if self._bar:
            self._task = self._bar.add_task(title, total=total, completed=done, note='')

    def update(self, done: int, note: str) -> None:
        """Shows that `done` steps are taken; `note` is a short text such as the loss."""
        if self._bar:
            self._bar.update(self._task, completed=done, note=note)
        elif time.monotonic() - self._last > PLAIN_SECONDS or done == self._total:
            self._last = time.monotonic()
            left = (self._last - self._begun) / max(1, done - self._first) * (self._total - done)
            self._console.print(
                f'{self._title} {done}/{self._total}, {left:.0f} s left, {note}', highlight=False
            )

    def __enter__(self) -> 'ProgressBar':
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
