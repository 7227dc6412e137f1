"""Processes that run side by side: started, listened to, signalled and ended together.

Every process leads a group of its own, so that what it starts ends with it. One thread does
everything; a signal is noted when it comes and handed on at the next turn.
"""

import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

TURN_SECONDS = 0.05
_SIGNAL_ON_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl
_LIBC = ctypes.CDLL(None)


class Stream(NamedTuple):
    """Where the lines of one process's output go, and with what before them."""

    prefix: bytes
    target: IO[bytes]
    rest: bytearray  # the line that is not finished yet


def noted_signals() -> list[int]:
    """The signals that have come to this process, oldest first; the list grows."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: came.append(number))
    return came


def run(
    command: Sequence[str],
    shares: Sequence[Mapping[str, str]],
    came: list[int],
    grace: float,
    quiet_others: bool,
) -> list[int]:
    """Runs a command once per share, waits for all, and leaves nothing behind.

    Args:
      command: what to run.
      shares: the variables that one process has beside the environment; their number is that of
        the processes.
      came: signals to hand on to all; a second SIGINT ends them at once.
      grace: seconds that the others have to stop once one has failed; then they are sent SIGTERM,
        and SIGKILL after as long again.
      quiet_others: process 0 keeps the terminal, and the others' output is dropped; else every
        line is shown with the number of its process. Errors of the others are always shown.

    Returns:
      The exit codes as a shell gives them: 128 and the signal's number after a signal.

    Raises:
      OSError: the command cannot be started.
    """
    address = f'127.0.0.1:{_free_port()}'
    started: list[subprocess.Popen] = []
    relay = selectors.DefaultSelector()
    try:
        for process, share in enumerate(shares):
            place = {
                'JAX_COORDINATOR_ADDRESS': address,
                'JAX_NUM_PROCESSES': str(len(shares)),
                'JAX_PROCESS_ID': str(process),
            }
            muted = quiet_others or len(shares) == 1
            child = _start(command, {**os.environ, **share, **place}, muted, process)
            started.append(child)
            _listen(relay, child, process)
        return _attend(started, relay, came, grace)
    finally:
        for child in started:
            _end_group(child)
        relay.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _start(
    command: Sequence[str], environ: dict[str, str], muted: bool, process: int
) -> subprocess.Popen:
    out: int | None = subprocess.DEVNULL if muted else subprocess.PIPE
    err: int | None = subprocess.PIPE
    if muted and process == 0:
        out = err = None
    return subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        start_new_session=True, preexec_fn=_stop_with_parent,
    )  # fmt: skip


def _stop_with_parent() -> None:
    # If this launcher itself is killed, nobody else tells the process to stop.
    if sys.platform == 'linux':
        _LIBC.prctl(_SIGNAL_ON_PARENT_DEATH, signal.SIGTERM)


def _listen(relay: selectors.BaseSelector, child: subprocess.Popen, process: int) -> None:
    pairs = ((child.stdout, sys.stdout.buffer), (child.stderr, sys.stderr.buffer))
    for source, target in pairs:
        if source is not None:
            stream = Stream(b'[%d] ' % process, target, bytearray())
            relay.register(source, selectors.EVENT_READ, stream)


def _attend(
    started: list[subprocess.Popen], relay: selectors.BaseSelector, came: list[int], grace: float
) -> list[int]:
    running, handed = list(started), 0
    limits: list[tuple[float, int]] | None = None  # when to send what, once a process has failed
    while running:
        _turn(relay)
        for child in [c for c in running if _has_ended(c)]:
            running.remove(child)
            if _code(child) and limits is None:
                _say(started.index(child), _code(child), grace if running else 0)
                now = time.monotonic()
                limits = [(now + grace, signal.SIGTERM), (now + 2 * grace, signal.SIGKILL)]
        due, handed = came[handed:], len(came)
        while limits and time.monotonic() >= limits[0][0]:
            due.append(limits.pop(0)[1])
        if came.count(signal.SIGINT) > 1:
            due.append(signal.SIGKILL)
        for number in due:
            _send(running, number)
    while relay.get_map() and _turn(relay):
        pass
    return [_code(child) for child in started]


def _has_ended(child: subprocess.Popen) -> bool:
    # Seen but not yet reaped, so that its number is still its group's.
    if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        return False
    _end_group(child)
    return True


def _end_group(child: subprocess.Popen) -> None:
    if child.returncode is None:
        _send([child], signal.SIGKILL)
        child.wait()


def _send(running: Sequence[subprocess.Popen], number: int) -> None:
    for child in running:
        os.killpg(child.pid, number)


def _code(child: subprocess.Popen) -> int:
    assert child.returncode is not None
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _turn(relay: selectors.BaseSelector) -> bool:
    """Hands on the output that is there; False if none came within a turn's time."""
    if not relay.get_map():
        time.sleep(TURN_SECONDS)
        return False
    ready = relay.select(TURN_SECONDS)
    for key, _ in ready:
        part = os.read(key.fd, 65536)
        _hand_on(key.data, part)
        if not part:
            relay.unregister(key.fileobj)
    return bool(ready)


def _hand_on(stream: Stream, part: bytes) -> None:
    stream.rest.extend(part)
    whole, newline, rest = bytes(stream.rest).rpartition(b'\n')
    if not part and rest:  # the process is gone: what it left unfinished is its last line
        whole, newline, rest = whole + newline + rest, b'\n', b''
    if newline:
        lines = (stream.prefix + line + b'\n' for line in whole.split(b'\n'))
        stream.target.write(b''.join(lines))
        stream.target.flush()
        stream.rest[:] = rest


def _say(process: int, code: int, grace: float) -> None:
    others = f'; the others have {grace:g} s to stop' if grace else ''
    print(f'local.py: process {process} ended with {code}{others}.', file=sys.stderr, flush=True)
