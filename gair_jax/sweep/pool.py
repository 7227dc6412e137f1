"""Runs of a sweep in subprocesses of this machine, some at a time; each is one `gair train`.

Children are in sessions of their own: Ctrl-C reaches the sweep alone, which asks them to save and
stop. If the sweep is killed they go on, and a sweep that is started again waits for them.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gair_jax.sweep import folder
from gair_jax.sweep.plan import Run
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.train.stopping import noted_signals

DONE, FAILED, STOPPED = 0, 1, 75
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 1.0  # between looks at how far the children are

Slot = Mapping[str, str]  # environment variables of the children that run in it


class _Child(NamedTuple):
    run: Run
    process: subprocess.Popen
    slot: Slot
    log_start: int  # bytes of the log that earlier attempts have written


def _print(text: str) -> None:
    """At once, also into a file."""
    print(text, flush=True)


def slots(workers: int, gpus: Sequence[str]) -> list[Slot]:
    """Places for one run each: `workers` of them (0: one, or one a GPU), which share the GPUs."""
    if not gpus:
        return [{}] * (workers or 1)
    return [{'CUDA_VISIBLE_DEVICES': gpus[i % len(gpus)]} for i in range(workers or len(gpus))]


def command(config: str, out: pathlib.Path, run: Run) -> list[str]:
    """The `gair train` of a run; `config` as that takes it."""
    return [
        sys.executable, '-m', 'gair_jax.cli', 'train', f'--config={config}',
        f'--workdir={out / run.name}', *run.overrides,
    ]  # fmt: skip


def run_all(
    runs: Sequence[Run],
    config: str,
    out: pathlib.Path,
    places: Sequence[Slot],
    say: Callable[[str], None] = _print,
) -> int:
    """Runs what is not finished, and returns an exit code.

    Args:
      runs: all of them; a failed one does not keep the others from running.
      config: the config file, as `gair train` takes it.
      out: folder of the sweep; gets a workdir a run, and logs.
      places: of `slots`; so many run at a time.
      say: takes a sentence on each run that ends.

    Returns:
      75 if a signal stopped some, else 1 if one failed, else 0.
    """
    pool = _Pool(config, out, places, say)
    for run in runs:
        pool.add(run)
    steps = {run.name: min(run.steps, folder.last_step(out, run)) for run in runs}
    total = sum(run.steps for run in runs)
    with noted_signals() as stop, ProgressBar('sweep', total, sum(steps.values())) as bar:
        looked, shown = time.monotonic(), (-1, '')
        while pool.running or (pool.waiting and not stop):
            pool.advance(bool(stop))
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                for child in pool.running:
                    steps[child.run.name] = folder.last_step(out, child.run)
                if (now := (sum(steps.values()), pool.summary())) != shown:
                    bar.update(*now)
                    shown = now
            time.sleep(_POLL_SECONDS)
    say(pool.summary())
    if pool.stopped or pool.waiting:
        return STOPPED
    return FAILED if pool.failed else DONE


class _Pool:
    """The children that run, and the runs that wait for a slot."""

    def __init__(
        self, config: str, out: pathlib.Path, places: Sequence[Slot], say: Callable[[str], None]
    ) -> None:
        self._config, self._out, self._say = config, out, say
        self._free = list(places)
        self._stopping = False
        self._elsewhere: set[str] = set()
        self.running: list[_Child] = []
        self.waiting: list[Run] = []
        self.done = self.failed = self.stopped = 0

    def add(self, run: Run) -> None:
        """Counts a run that is at its end, and puts any other into the queue."""
        if folder.is_done(self._out, run):
            self.done += 1
        elif folder.is_hopeless(self._out, run):
            self.failed += 1
            self._say(f'{run.name}: not begun again, as its failing step would come again.')
        else:
            self.waiting.append(run)

    def advance(self, stopping: bool) -> None:
        """Starts what fits, or tells all to stop; looks who has ended. Does not wait."""
        if stopping and not self._stopping:
            self._stopping = True
            self._say(f'Stopping: {len(self.running)} running are saved first.')
            for child in self.running:
                child.process.terminate()
        if not stopping:
            for run in list(self.waiting):
                if self._free:
                    self._begin(run)
        for child in list(self.running):
            if child.process.poll() is not None:
                self._end(child)

    def summary(self) -> str:
        """How many runs are where."""
        counts = {
            'done': self.done,
            'failed': self.failed,
            'running': len(self.running),
            'stopped': self.stopped,
            'left': len(self.waiting),
        }
        return ', '.join(f'{n} {name}' for name, n in counts.items() if n)

    def _begin(self, run: Run) -> None:
        """Starts a run, unless another process has it; then it stays in the queue."""
        log = folder.open_log(self._out, run)
        if log is None:
            if run.name not in self._elsewhere:
                self._say(f'{run.name}: is being run by another process; waiting for that.')
                self._elsewhere.add(run.name)
            return
        with log:
            self.waiting.remove(run)
            if folder.is_done(self._out, run):
                self.done += 1
                return
            folder.note_begin(self._out, run)
            slot = self._free.pop(0)
            process = subprocess.Popen(
                command(self._config, self._out, run),
                env={**os.environ, **slot},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.running.append(_Child(run, process, slot, log.tell()))

    def _end(self, child: _Child) -> None:
        """Counts a child that has ended, and says why it failed."""
        self.running.remove(child)
        self._free.append(child.slot)
        code, name = child.process.returncode, child.run.name
        if code == 0:
            self.done += 1
            self._say(f'{name}: done.')
        elif code in folder.STOPPED:
            self.stopped += 1
            self._say(f'{name}: stopped after step {folder.last_step(self._out, child.run)}.')
        else:
            self.failed += 1
            folder.note_failure(self._out, child.run, code)
            why = folder.cause(self._out, child.run, child.log_start)
            log = folder.log_path(self._out, child.run)
            self._say(f'{name}: failed ({_ending(code)}; {log}): {why}')


def _ending(code: int) -> str:
    if code >= 0:
        return f'exit code {code}'
    hint = ', perhaps for want of memory' if code == -signal.SIGKILL else ''
    return f'killed by {signal.Signals(-code).name}{hint}'
