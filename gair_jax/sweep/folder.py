"""What a run of a sweep has left: its workdir OUT/NAME, its log and how it ended, in OUT/logs.

The log is locked by the run's own process for as long as that lives, whoever started it; so a run
is never begun a second time beside itself, not even after the sweep alone was killed.
"""

import fcntl
import json
import os
import pathlib
import re
import signal
from typing import BinaryIO

from gair_jax.sweep.plan import Run
from gair_jax.train import checkpoint

STATES = ('done', 'partial', 'failed', 'waiting')
STOPPED = (75, -signal.SIGTERM)  # saved on a signal; or the signal came before there was a state
NON_FINITE = 3
_TAIL = 8192  # bytes, several lines of metrics
_CAUSE_LINES = 4
# What `gair` says of bad input, and the last line of a traceback, which JAX may add lines to.
_SENTENCE = re.compile(r'gair: |[\w.]*(Error|Exception|Interrupt)\b')


def state(out: pathlib.Path, run: Run) -> str:
    """One of `STATES`: finished, begun, ended with an error, or not begun."""
    if is_done(out, run):
        return 'done'
    if exit_code(out, run):
        return 'failed'
    return 'partial' if last_step(out, run) else 'waiting'


def is_done(out: pathlib.Path, run: Run) -> bool:
    """Whether the checkpoint of the run's last step is there."""
    steps = checkpoint.steps_in(out / run.name / 'checkpoints')
    whole = [int(step.name) for step in steps if (step / checkpoint.MARK).is_file()]
    return bool(whole) and whole[-1] == run.steps and is_same(out, run)


def is_hopeless(out: pathlib.Path, run: Run) -> bool:
    """Whether the run met a step that was not finite, which it would meet again."""
    return exit_code(out, run) == NON_FINITE and is_same(out, run)


def is_same(out: pathlib.Path, run: Run) -> bool:
    """Whether what lies there, if anything, is of this run and not of other settings."""
    try:
        stored = json.loads((out / run.name / 'config.json').read_text(encoding='utf-8'))
    except FileNotFoundError:
        return True
    return not checkpoint.differences(stored, run.config)


def last_step(out: pathlib.Path, run: Run) -> int:
    """The last step that the run has logged; 0 before the first."""
    tail = _tail(out / run.name / 'metrics.jsonl', 0)
    for line in reversed(tail.splitlines()):
        try:
            return int(json.loads(line)['step'])
        except (json.JSONDecodeError, TypeError, KeyError):
            continue  # a line cut by a kill, or by reading the end alone
    return 0


def log_path(out: pathlib.Path, run: Run) -> pathlib.Path:
    """Where the run's output is appended to."""
    return out / 'logs' / f'{run.name}.log'


def open_log(out: pathlib.Path, run: Run) -> BinaryIO | None:
    """The log, locked for who inherits it; None while another process has it."""
    path = log_path(out, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open('ab')
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.close()
        return None
    return log


def note_begin(out: pathlib.Path, run: Run) -> None:
    """Forgets how the run ended before."""
    _exit_path(out, run).unlink(missing_ok=True)


def note_failure(out: pathlib.Path, run: Run, code: int) -> None:
    """Keeps the exit code of a run that ended with an error."""
    path = _exit_path(out, run)
    part = path.with_name(path.name + '.part')
    part.write_text(f'{code}\n', encoding='utf-8')
    os.replace(part, path)


def exit_code(out: pathlib.Path, run: Run) -> int:
    """Of a run that ended with an error; else 0."""
    path = _exit_path(out, run)
    return int(path.read_text(encoding='utf-8')) if path.exists() else 0


def cause(out: pathlib.Path, run: Run, since: int) -> str:
    """Why a run failed: its own sentence, else the last lines of its log past byte `since`."""
    lines = [x for x in _tail(log_path(out, run), since).splitlines() if x.strip()]
    if not lines:
        return 'it said nothing.'
    own = [line for line in lines if _SENTENCE.match(line)]
    return own[-1].removeprefix('gair: ') if own else '\n  '.join(lines[-_CAUSE_LINES:])


def _exit_path(out: pathlib.Path, run: Run) -> pathlib.Path:
    return out / 'logs' / f'{run.name}.exit'


def _tail(path: pathlib.Path, since: int) -> str:
    """The end of a file, past byte `since`; '' without one."""
    try:
        with path.open('rb') as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since, size - _TAIL))
            return file.read().decode(errors='replace')
    except FileNotFoundError:
        return ''
