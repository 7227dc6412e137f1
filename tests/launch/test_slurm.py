"""launch/slurm/train.sbatch, run by bash with executables that stand in for srun and scontrol."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from tests.launch import stand_in

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'launch' / 'slurm' / 'train.sbatch'
JOB = '4711'
# Stands in for gair: ends with the code of its task, or saves when it is warned.
GAIR = """
import os, pathlib, signal, sys, time
task = int(os.environ['SLURM_PROCID'])
here = pathlib.Path(__file__).parent
names = ('JAX_COMPILATION_CACHE_DIR', 'XLA_PYTHON_CLIENT_MEM_FRACTION', 'SLURM_STEP_NUM_TASKS')
(here / f'task{task}').write_text(repr([sys.argv[1:], *(os.environ.get(n) for n in names)]))
def save(number, frame):
    time.sleep(0.5)
    (here / f'saved{task}').touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
code = os.environ['CODES'].split()[task]
if code == 'wait':
    (here / f'ready{task}').touch()
    time.sleep(60)
os.kill(os.getpid(), -int(code)) if int(code) < 0 else sys.exit(int(code))
"""


@pytest.fixture
def cluster(tmp_path):
    """A folder with the stand-ins."""
    stand_in.executable(tmp_path, 'srun', stand_in.SRUN)
    stand_in.executable(tmp_path, 'scontrol', stand_in.SCONTROL)
    stand_in.executable(tmp_path, 'gair', GAIR)
    return tmp_path


def environment(cluster, codes, **more):
    return {
        **os.environ, 'PATH': stand_in.path_of(cluster), 'CONFIG': 'a.py:release',
        'WORKDIR': '/shared/run', 'SLURM_JOB_ID': JOB, 'SLURM_NTASKS': str(len(codes.split())),
        'CODES': codes, **more,
    }  # fmt: skip


def run(cluster, codes, *arguments, **more):
    return subprocess.run(
        ['bash', SCRIPT, *arguments], capture_output=True, text=True, timeout=60,
        env=environment(cluster, codes, **more),
    )  # fmt: skip


def requeued(cluster):
    log = cluster / 'scontrol.log'
    return log.read_text().splitlines() if log.exists() else []


def wait_for(*paths):
    deadline = time.monotonic() + 20
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f'none of {paths} came'
        time.sleep(0.05)


def test_every_task_runs_gair_train_with_what_was_given(cluster):
    own = {'JAX_COMPILATION_CACHE_DIR': '/shared/compiled', 'SLURM_CPUS_PER_TASK': '8'}
    ran = run(cluster, '0 0', '--config.batch=8', '--config.data.dir=a b', **own)
    assert ran.returncode == 0, ran.stderr
    assert requeued(cluster) == []
    train = ['train', '--config=a.py:release', '--workdir=/shared/run']
    train += ['--config.batch=8', '--config.data.dir=a b']
    for task in (0, 1):
        found = (cluster / f'task{task}').read_text()
        assert found == repr([train, '/shared/compiled', '0.92', '2'])
    options, _ = json.loads((cluster / 'srun.json').read_text())
    assert options == ['--kill-on-bad-exit=0', '--wait=60', '--cpus-per-task=8']


@pytest.mark.parametrize(
    ('codes', 'code', 'again'),
    [
        ('75 75', 0, True),
        ('76 76', 0, True),
        ('76 -9', 0, True),  # srun reports 137
        ('76 1', 0, True),
        ('3 76', 3, False),  # srun would report 76
        ('76 2', 2, False),
        ('3 -9', 3, False),
        ('0 0', 0, False),
    ],
)
def test_the_job_goes_back_to_the_queue_unless_it_would_end_alike(cluster, codes, code, again):
    ran = run(cluster, codes)
    assert ran.returncode == code, ran.stderr
    assert requeued(cluster) == [f'requeue {JOB}'] * again


def test_a_job_that_fails_for_ever_ends(cluster):
    ran = run(cluster, '76 76', SLURM_RESTART_COUNT='3', RESTARTS='3')
    assert ran.returncode == 76
    assert requeued(cluster) == []
    assert 'restarted 3 times' in ran.stderr


def test_a_queue_that_does_not_take_the_job_back_is_reported(cluster):
    stand_in.executable(cluster, 'scontrol', 'import sys; sys.exit("not allowed")')
    ran = run(cluster, '75 75')
    assert ran.returncode == 75
    assert 'not allowed' in ran.stderr


def test_the_warning_before_the_time_limit_saves_and_requeues(cluster):
    command = ['bash', SCRIPT]
    with subprocess.Popen(command, env=environment(cluster, 'wait wait')) as script:
        wait_for(cluster / 'ready0', cluster / 'ready1', cluster / 'srun.pid')
        os.kill(int((cluster / 'srun.pid').read_text()), signal.SIGUSR1)
    assert script.returncode == 0
    assert (cluster / 'saved0').exists() and (cluster / 'saved1').exists()
    assert requeued(cluster) == [f'requeue {JOB}']


def test_a_cancelled_job_saves_and_is_not_requeued(cluster):
    command = ['bash', SCRIPT]
    with subprocess.Popen(command, env=environment(cluster, 'wait wait')) as script:
        wait_for(cluster / 'ready0', cluster / 'ready1', cluster / 'srun.pid')
        script.terminate()  # scancel signals the script and the tasks
        os.kill(int((cluster / 'srun.pid').read_text()), signal.SIGUSR1)
    wait_for(cluster / 'saved0', cluster / 'saved1')
    assert script.returncode == -signal.SIGTERM
    assert requeued(cluster) == []


@pytest.mark.parametrize('name', ['CONFIG', 'WORKDIR'])
def test_what_must_be_named_is_asked_for(cluster, name):
    ran = run(cluster, '0 0', **{name: ''})
    assert ran.returncode != 0
    assert f'{name}=' in ran.stderr
    assert not (cluster / 'srun.json').exists()


def test_a_machine_without_gair_is_refused(cluster):
    (cluster / 'gair').unlink()
    bare = f'{cluster}{os.pathsep}/usr/bin{os.pathsep}/bin'
    ran = run(cluster, '0 0', PATH=bare)
    assert ran.returncode == 2
    assert 'gair is not installed here' in ran.stderr


def test_the_job_asks_for_a_warning_a_requeue_and_a_task_a_gpu():
    asked = dict(re.findall(r'^#SBATCH --([\w-]+)=?(.*)$', SCRIPT.read_text(), re.MULTILINE))
    assert asked['signal'] == 'TERM@120'  # without B: the tasks are warned, not the script
    assert asked['open-mode'] == 'append'
    assert 'requeue' in asked
    assert asked['ntasks-per-node'] == asked['gpus-per-node']
