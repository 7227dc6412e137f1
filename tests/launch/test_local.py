"""launch/local.py: places and devices, exit codes, signals, restarts, and nothing left behind."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCAL = [sys.executable, str(ROOT / 'launch' / 'local.py')]
# A process that says so once it can be signalled, and saves when it is.
SAVES = """
import signal, sys, time
def save(number, frame):
    print('saved', flush=True)
    sys.exit(75)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, save)
print('ready', flush=True)
time.sleep(60)
"""


def arguments(options, code, *more):
    return [*LOCAL, *options.split(), '--', sys.executable, '-c', code, *more]


def run(options, code, *more, **environ):
    return subprocess.run(
        arguments(options, code, *more), capture_output=True, text=True, timeout=60,
        env={**os.environ, **environ},
    )  # fmt: skip


def started(options, code, until, count):
    """A launcher whose processes have said `until`."""
    launcher = subprocess.Popen(
        arguments(options, code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while count:
        count -= until in launcher.stdout.readline()
    return launcher


def variables(options, **environ):
    """What each process finds in its environment."""
    names = 'JAX_COORDINATOR_ADDRESS JAX_NUM_PROCESSES JAX_PROCESS_ID JAX_PLATFORMS XLA_FLAGS '
    names += 'CUDA_VISIBLE_DEVICES XLA_PYTHON_CLIENT_MEM_FRACTION'
    code = f'import os; print(*[os.environ.get(n, "-") for n in {names.split()}], sep="|")'
    ran = run(options, code, **environ)
    assert ran.returncode == 0, ran.stderr
    found = sorted(re.findall(r'^\[(\d+)\] (.*)$', ran.stdout, re.MULTILINE))
    return [dict(zip(names.split(), line.split('|'), strict=True)) for _, line in found]


def alive(pid):
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return 'State:\tZ' not in pathlib.Path(f'/proc/{pid}/status').read_text()
    except FileNotFoundError:
        return False


def gone(pid):
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_every_process_learns_its_place():
    places = variables('--processes 3')
    assert [place['JAX_PROCESS_ID'] for place in places] == ['0', '1', '2']
    assert {place['JAX_NUM_PROCESSES'] for place in places} == {'3'}
    (address,) = {place['JAX_COORDINATOR_ADDRESS'] for place in places}
    assert re.fullmatch(r'127\.0\.0\.1:\d+', address)


def test_virtual_devices_are_added_to_the_flags_of_the_user():
    flags = '--xla_dump_to=/x --xla_force_host_platform_device_count=8'
    (found, _) = variables(
        '--processes 2 --devices-per-process 3', XLA_FLAGS=flags, JAX_PLATFORMS=''
    )
    assert found['XLA_FLAGS'] == '--xla_dump_to=/x --xla_force_host_platform_device_count=3'
    assert found['JAX_PLATFORMS'] == 'cpu'


def test_devices_are_left_as_they_are_unless_asked():
    (found, _) = variables('--processes 2', XLA_FLAGS='--xla_dump_to=/x', JAX_PLATFORMS='tpu')
    assert found['XLA_FLAGS'] == '--xla_dump_to=/x'
    assert found['JAX_PLATFORMS'] == 'tpu'


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ('--processes 4', ['4', '5', '6', '7']),
        ('--processes 2', ['4,5', '6,7']),
        ('--processes 2 --devices-per-process 1', ['4', '5']),
    ],
)
def test_gpus_are_shared(options, expected):
    found = variables(options, CUDA_VISIBLE_DEVICES='4,5,6,7', JAX_PLATFORMS='')
    assert [share['CUDA_VISIBLE_DEVICES'] for share in found] == expected
    assert {share['XLA_PYTHON_CLIENT_MEM_FRACTION'] for share in found} == {'0.92'}


def test_what_the_user_set_for_gpus_stays():
    own = {'CUDA_VISIBLE_DEVICES': '0,1', 'XLA_PYTHON_CLIENT_MEM_FRACTION': '0.5'}
    found = variables('--processes 2', JAX_PLATFORMS='cuda,cpu', **own)
    assert {share['XLA_PYTHON_CLIENT_MEM_FRACTION'] for share in found} == {'0.5'}


@pytest.mark.parametrize(
    ('options', 'environ', 'sentence'),
    [
        ('--processes 3', {'CUDA_VISIBLE_DEVICES': '0,1,2,3'}, 'an even share of the 4 GPUs'),
        ('--processes 2', {'CUDA_VISIBLE_DEVICES': '0'}, 'an even share of the 1 GPUs'),
        ('--processes 2 --devices-per-process 2', {'JAX_PLATFORMS': 'tpu'}, 'found tpu'),
        ('--processes 0', {}, "expected a number from 1 up, found '0'"),
        ('--processes 2 --restarts -1', {}, 'expected'),
    ],
)
def test_what_cannot_be_is_refused(options, environ, sentence):
    ran = run(options, 'print("started")', **{'JAX_PLATFORMS': '', **environ})
    assert ran.returncode == 2
    assert sentence in ran.stderr
    assert 'started' not in ran.stdout


@pytest.mark.parametrize('command', [[], ['--'], ['--', 'no-such-command']])
def test_a_command_that_cannot_be_run_is_refused(command):
    ran = subprocess.run([*LOCAL, '--processes', '2', *command], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith('local.py: error: ')


@pytest.mark.parametrize(
    ('codes', 'expected'),
    [
        ((0, 0), 0),
        ((76, 3), 3),
        ((2, 75), 2),
        ((76, 75), 75),
        ((-9, 76), 76),  # killed: 137
        ((1, 0), 1),
        ((0, -9), 137),
    ],
)
def test_one_exit_code_stands_for_the_run(codes, expected):
    code = """
import os, sys
mine = int(sys.argv[1 + int(os.environ['JAX_PROCESS_ID'])])
os.kill(os.getpid(), -mine) if mine < 0 else sys.exit(mine)
"""
    ran = run('--processes 2', code, *map(str, codes))
    assert ran.returncode == expected
    assert ('local.py: process' in ran.stderr) == (expected != 0)


def test_lines_are_whole_and_carry_the_number_of_their_process():
    code = """
import os, sys
for part in ('a', 'b\\nc', '\\n', 'end'):
    os.write(1, part.encode())
os.write(2, b'error\\n')
"""
    ran = run('--processes 2', code)
    lines = ran.stdout.splitlines()
    for process in '01':
        assert [x for x in lines if x[1] == process] == [
            f'[{process}] {text}' for text in ('ab', 'c', 'end')
        ]
    assert sorted(ran.stderr.splitlines()) == ['[0] error', '[1] error']


def test_quiet_others_leaves_the_terminal_to_process_0():
    code = 'import os; os.write(1, b"out\\n"); os.write(2, b"error\\n")'
    ran = run('--processes 2 --quiet-others', code)
    assert ran.stdout == 'out\n'
    assert sorted(ran.stderr.splitlines()) == ['[1] error', 'error']


def test_the_others_are_stopped_and_then_killed_once_one_has_failed():
    code = (
        """
import os, signal, sys, time
process = os.environ['JAX_PROCESS_ID']
if process == '0':
    time.sleep(0.5)
    sys.exit(1)
if process == '1':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
"""
        + SAVES
    )
    start = time.monotonic()
    ran = run('--processes 3 --grace 1', code)
    assert ran.returncode == 75
    assert 2 < time.monotonic() - start < 10  # a second to notice, a second to save
    assert '[2] saved' in ran.stdout
    assert 'process 0 ended with 1; the others have 1 s to stop.' in ran.stderr


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handed_on_and_ends_the_run(number):
    launcher = started('--processes 2 --restarts 3', SAVES, 'ready', 2)
    launcher.send_signal(number)
    out, err = launcher.communicate(timeout=20)
    assert launcher.returncode == 75
    assert sorted(out.split('\n'))[1:] == ['[0] saved', '[1] saved']
    assert 'started again' not in err


def test_a_second_ctrl_c_ends_at_once():
    code = SAVES.replace('sys.exit(75)', '')
    launcher = started('--processes 2', code, 'ready', 2)
    launcher.send_signal(signal.SIGINT)
    assert 'saved' in launcher.stdout.readline()
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=20)
    assert launcher.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ('codes', 'restarts', 'expected', 'rounds'),
    [
        ('76 75 0', 5, 0, 3),
        ('-9 0', 1, 0, 2),
        ('76 76 76', 1, 76, 2),
        ('76 3 0', 5, 3, 2),
        ('2 0', 5, 2, 1),
        ('75 0', 0, 75, 1),
    ],
)
def test_a_run_is_started_again_unless_it_would_end_alike(
    tmp_path, codes, restarts, expected, rounds
):
    code = """
import os, pathlib, sys
log = pathlib.Path(sys.argv[1]) / os.environ['JAX_PROCESS_ID']
before = len(log.read_text()) if log.exists() else 0
log.write_text('x' * (before + 1))
mine = int(sys.argv[2].split()[before])
os.kill(os.getpid(), -mine) if mine < 0 else sys.exit(mine)
"""
    ran = run(f'--processes 2 --restarts {restarts}', code, str(tmp_path), codes)
    assert ran.returncode == expected
    assert [len(log.read_text()) for log in tmp_path.iterdir()] == [rounds, rounds]
    assert ran.stderr.count('started again') == rounds - 1


def test_nothing_that_a_process_started_is_left():
    code = """
import subprocess
print(subprocess.Popen(['sleep', '60']).pid)
"""
    ran = run('--processes 2', code)
    pids = re.findall(r'^\[\d\] (\d+)$', ran.stdout, re.MULTILINE)
    assert len(pids) == 2
    assert all(gone(int(pid)) for pid in pids)


@pytest.mark.skipif(sys.platform != 'linux', reason='PR_SET_PDEATHSIG is of Linux')
def test_the_processes_save_if_the_launcher_is_killed(tmp_path):
    code = SAVES.replace("print('saved', flush=True)", f"open({str(tmp_path / 's')!r}, 'a')")
    code = code.replace("print('ready'", "import os; print('ready', os.getpid()")
    command = arguments('--processes 2', code)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        pids = [int(launcher.stdout.readline().split()[-1]) for _ in range(2)]
        launcher.kill()
    assert all(gone(pid) for pid in pids)
    assert (tmp_path / 's').exists()
