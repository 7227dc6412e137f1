"""How processes find each other, and what a parent makes of its child's end."""

import signal
import subprocess
import sys

import jax
import pytest

from gair_jax.config import InputError
from gair_jax.train import processes
from gair_jax.train.processes import Launch
from tests.multihost.runs import exit_codes_of_two

NONE = ('', 0, -1, False)
THREE = {'JAX_COORDINATOR_ADDRESS': 'a:1', 'JAX_NUM_PROCESSES': '4', 'JAX_PROCESS_ID': '2'}


@pytest.mark.parametrize(
    ('flags', 'environ', 'expected'),
    [
        (NONE, {}, None),
        (('host:99', 2, 1, False), {}, Launch('host:99', 2, 1)),
        (NONE, THREE, Launch('a:1', 4, 2)),
        (('', 0, 3, False), THREE, Launch('a:1', 4, 3)),  # flags win
        (NONE, {**THREE, 'JAX_NUM_PROCESSES': '1', 'JAX_PROCESS_ID': '0'}, None),
        (NONE, {'SLURM_STEP_NUM_TASKS': '2'}, Launch()),
        (NONE, {'SLURM_STEP_NUM_TASKS': '1', 'SLURM_JOB_ID': '7'}, None),
        (NONE, {'OMPI_COMM_WORLD_SIZE': '8'}, Launch()),
        (NONE, {'TPU_WORKER_HOSTNAMES': 'a,b'}, Launch()),
        (NONE, {'TPU_WORKER_HOSTNAMES': 'a'}, None),
        (('', 0, -1, True), {}, Launch()),
    ],
)
def test_flags_come_before_variables_and_these_before_schedulers(flags, environ, expected):
    assert processes.found(*flags, environ) == expected


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (('host:99', 2, -1, False), '--process .or JAX_PROCESS_ID.: expected with the other two'),
        (('', 2, 1, False), '--coordinator .or JAX_COORDINATOR_ADDRESS.: expected'),
        (('host:99', 2, 2, False), '--process: expected 0 to 1 of 2 processes, found 2'),
        (('host', 2, 1, False), "--coordinator: expected HOST:PORT, found 'host'"),
    ],
)
def test_a_launch_that_cannot_be_is_refused(flags, message):
    with pytest.raises(InputError, match=message):
        processes.found(*flags, {})


def joined_and_failed(monkeypatch, error):
    """The exit code of a process in which `error` comes up."""
    codes = []
    monkeypatch.setattr(processes, '_join', lambda launch: None)
    monkeypatch.setattr(processes.os, '_exit', lambda code: codes.append(code) or sys.exit(code))
    with pytest.raises(SystemExit), processes.joined(Launch()):
        raise error
    return codes


def test_a_loss_is_known_wherever_it_comes_up(monkeypatch, capsys):
    behind = TimeoutError('RPC: /xla.coordination.CoordinationService/Barrier')
    error = RuntimeError('Failed to run 4 operations')
    error.__cause__ = behind
    assert joined_and_failed(monkeypatch, error) == [processes.LOST]
    assert 'another process of this run is lost: Failed to run' in capsys.readouterr().err
    assert joined_and_failed(monkeypatch, InputError('a: expected b.')) == [2]
    assert capsys.readouterr().err == 'gair: a: expected b.\n'
    assert joined_and_failed(monkeypatch, RuntimeError('a mistake of ours')) == [1]
    assert 'Traceback' in capsys.readouterr().err


def test_a_process_that_is_done_keeps_its_code_if_the_others_do_not_leave(monkeypatch, capsys):
    def too_late():
        raise RuntimeError('DEADLINE_EXCEEDED: Barrier timed out.')

    codes = []
    monkeypatch.setattr(processes, '_join', lambda launch: None)
    monkeypatch.setattr(processes.os, '_exit', codes.append)
    monkeypatch.setattr(jax.distributed, 'shutdown', too_late)
    with processes.joined(Launch()) as outcome:
        outcome.code = 0
    assert codes == [0]
    assert 'did not end in time: DEADLINE_EXCEEDED' in capsys.readouterr().err
    monkeypatch.setattr(jax.distributed, 'shutdown', lambda: (_ for _ in ()).throw(OSError()))
    with processes.joined(Launch()) as outcome:
        outcome.code = 75
    assert codes == [0, 75]
    assert 'did not end in time: OSError' in capsys.readouterr().err


LATE = """
import sys, time
from gair_jax.train import processes
index, port, code = map(int, sys.argv[1:])
with processes.joined(processes.Launch(f'localhost:{port}', 2, index)) as outcome:
    time.sleep(3 * index)
    outcome.code = code
"""


@pytest.mark.parametrize('code', [0, 3, 75])
def test_processes_that_end_after_the_same_step_wait_for_the_last_to_say_so(code):
    assert exit_codes_of_two(LATE, code) == [code, code]


WATCH = """
import sys
from gair_jax.train import processes
sys.exit(processes.watch([sys.executable, '-c', {child!r}]))
"""


def watched(child, **options):
    command = [sys.executable, '-c', WATCH.format(child=child)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize(
    ('child', 'code'),
    [
        ('print("done")', 0),
        ('import sys; sys.exit(75)', 75),
        ('import os; os.kill(os.getpid(), 9)', 137),
        ('import os; os.abort()', 134),
        (
            'import os, sys; print("The coordination service: task 1 died", file=sys.stderr, '
            'flush=True); os.abort()',
            processes.LOST,
        ),
    ],
)
def test_a_parent_passes_its_childs_code_on_and_knows_a_lost_peer(child, code):
    done = watched(child)
    assert done.returncode == code
    assert ('another process of this run is lost' in done.stderr) == (code == processes.LOST)


def test_what_the_child_says_is_handed_on_whole():
    text = 'x' * 100_000
    done = watched(f'import sys; print("y"); sys.stderr.write("x" * {len(text)})')
    assert done.stdout == 'y\n' and done.stderr == text


def test_signals_reach_the_child():
    child = (
        'import signal, sys, time; signal.signal(signal.SIGTERM, lambda n, f: sys.exit(75)); '
        'print("ready", flush=True); time.sleep(60)'
    )
    command = [sys.executable, '-c', WATCH.format(child=child)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 75
