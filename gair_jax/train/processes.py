"""Many processes, one run: how they find each other, and what happens when one is lost.

JAX ends a process whose peer has died by aborting it, from a thread that Python never sees. So each
process of `gair train` is a light parent and the child that works: the parent passes signals on,
and turns the child's end into an exit code that a scheduler can act on.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from gair_jax.config import InputError

LOST = 76  # exit code: another process of the run is gone
# Exit codes that all processes reach after the same step: done, a non-finite step, a signal.
_TOGETHER = (0, 3, 75)
HEARTBEAT_SECONDS = 20  # without a sign of life a process counts as lost
MEETING_SECONDS = 3600  # the longest that processes wait for each other's compilations
VARIABLES = ('JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')
# Variables that hold the number of processes where a scheduler starts them all.
_COUNTS = ('SLURM_STEP_NUM_TASKS', 'OMPI_COMM_WORLD_SIZE')
_HOSTS = 'TPU_WORKER_HOSTNAMES'  # of a TPU slice, joined by commas
_CHILD = 'GAIR_CHILD'
# What JAX and its transports say of a peer that has gone.
_SIGNS = (
    'coordination', 'gloo', 'nccl', 'connection reset', 'socket closed', 'heartbeat',
    'deadline_exceeded',
)  # fmt: skip
_TAIL = 16384  # bytes of what the child said that are kept
_KILL_ON_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl


class Launch(NamedTuple):
    """Where processes meet; an empty coordinator leaves everything to JAX's own detection."""

    coordinator: str = ''
    processes: int = 0
    process: int = 0


def found(
    coordinator: str, processes: int, process: int, detect: bool, environ: Mapping[str, str]
) -> Launch | None:
    """The launch that flags or environment describe; None for a process on its own.

    Args:
      coordinator: HOST:PORT of process 0; '' where not given.
      processes: their number; 0 where not given.
      process: number of this one; -1 where not given.
      detect: leave it to JAX even if nothing here tells of other processes (TPU pods).
      environ: read for what is not given (`VARIABLES`), and for signs of a scheduler.

    Raises:
      InputError: some of the three are given, but not all, or they do not fit.
    """
    given = [coordinator, str(processes or ''), str(process if process >= 0 else '')]
    values = [v or environ.get(name, '') for v, name in zip(given, VARIABLES, strict=True)]
    if any(values):
        return _explicit(*values)
    if detect or any(_number(environ.get(name, '')) > 1 for name in _COUNTS):
        return Launch()
    return Launch() if ',' in environ.get(_HOSTS, '') else None


def _explicit(coordinator: str, processes: str, process: str) -> Launch | None:
    flags = zip(
        ('--coordinator', '--processes', '--process'), (coordinator, processes, process), VARIABLES,
        strict=True,
    )  # fmt: skip
    for flag, value, variable in flags:
        if not value:
            raise InputError(f'{flag} (or {variable}): expected with the other two, found none.')
    count, index = _number(processes), _number(process)
    if count < 1 or not 0 <= index < count:
        raise InputError(
            f'--process: expected 0 to {count - 1} of {processes} processes, found {process}.'
        )
    if not coordinator.rpartition(':')[2].isdigit():
        raise InputError(f'--coordinator: expected HOST:PORT, found {coordinator!r}.')
    return Launch(coordinator, count, index) if count > 1 else None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


def is_child() -> bool:
    """Whether this process works under a parent that watches it."""
    return _CHILD in os.environ


def watch(command: Sequence[str]) -> int:
    """Runs the working child, hands on what it says and signals to it, and returns its exit code.

    A child that was ended because another process is gone gives `LOST`.
    """
    child = subprocess.Popen(command, env={**os.environ, _CHILD: '1'}, stderr=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    tail = bytearray()
    assert child.stderr is not None
    reader = threading.Thread(target=_hand_on, args=(child.stderr, tail))
    reader.start()
    code = child.wait()
    reader.join()
    if code == -signal.SIGABRT and is_loss(tail.decode(errors='replace')):
        print('gair: another process of this run is lost, so this one ended.', file=sys.stderr)
        return LOST
    return code if code >= 0 else 128 - code


def _hand_on(source: BinaryIO, tail: bytearray) -> None:
    while part := source.read1(_TAIL):  # type: ignore[attr-defined]
        sys.stderr.buffer.write(part)
        sys.stderr.buffer.flush()
        tail.extend(part)
        del tail[:-_TAIL]


def is_loss(message: str) -> bool:
    """Whether an error tells of a peer that is gone."""
    lowered = message.lower()
    return any(sign in lowered for sign in _SIGNS)


class Outcome:
    """The exit code that a process of a run will give."""

    code: int = 1


@contextmanager
def joined(launch: Launch) -> Iterator[Outcome]:
    """Joins the other processes, before any other use of JAX, and leaves as the outcome asks.

    Where all end after the same step they leave together: process 0 holds what the others listen
    to, and would seem lost if it went first. Otherwise the process ends at once, as the others may
    be waiting in a collective for ever: it is for them to notice.

    The others may also fail to come in time, which is a loss like any other.
    """
    outcome = Outcome()
    try:
        _join(launch)
        yield outcome
    except InputError as error:
        print(f'gair: {error}', file=sys.stderr)
        outcome.code = 2
    except Exception as error:
        # Who meets the loss first may also be a checkpoint that is being written.
        if not is_loss(_told(error)):
            traceback.print_exc()
        else:
            print(
                f'gair: another process of this run is lost: {_first_line(error)}', file=sys.stderr
            )
            outcome.code = LOST
    except BaseException:
        traceback.print_exc()
    if outcome.code in _TOGETHER:
        _leave_together()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to write; JAX's own end would abort where a peer has already gone.
    os._exit(outcome.code)


def _leave_together() -> None:
    import jax

    try:
        jax.distributed.shutdown()
    except Exception as error:  # what this process had to do is done: its code stays
        print(
            f'gair: the other processes did not end in time: {_first_line(error)}', file=sys.stderr
        )


def _join(launch: Launch) -> None:
    import jax

    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_KILL_ON_PARENT_DEATH, signal.SIGKILL)
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    where: dict[str, Any] = {}
    if launch.coordinator:
        where = {
            'coordinator_address': launch.coordinator,
            'num_processes': launch.processes,
            'process_id': launch.process,
            'cluster_detection_method': 'deactivate',
        }
    try:
        jax.distributed.initialize(**where, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except ValueError as error:  # nothing tells JAX where the others are
        raise InputError(f'--distributed: {_first_line(error)}') from error


def meet(name: str) -> None:
    """Waits until all processes are here.

    A collective would do, but not every transport waits as long as a compilation may take.
    """
    from orbax.checkpoint import multihost

    multihost.get_barrier_sync_fn()(key=name, timeout_ms=1000 * MEETING_SECONDS)


def _told(error: BaseException | None) -> str:
    """What an error and those behind it say."""
    return f'{error}\n{_told(error.__cause__ or error.__context__)}' if error else ''


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
