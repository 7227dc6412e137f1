"""The launchers with the real `gair train`: two processes over gloo, stopped, killed, gone on."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.launch import stand_in

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 40
CONFIG = """
import pathlib
from tests.train.tiny import tiny_config

def get_config():
    config = tiny_config(pathlib.Path({!r}), {!r}, {!r})
    config.batch, config.steps, config.eval.every = 8, {}, 20
    return config
"""
JAX_PORTS = 65536 - 4096  # the port of JAX under SLURM is this and the job's number, modulo 4096
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def config(tmp_path_factory, toy_set):
    path = tmp_path_factory.mktemp('config') / 'tiny.py'
    path.write_text(CONFIG.format(str(toy_set[0]), *toy_set[1:], STEPS))
    return path


@pytest.fixture
def cluster(tmp_path):
    """A folder with the stand-ins of SLURM, and `gair` itself."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    stand_in.executable(folder, 'srun', stand_in.SRUN)
    stand_in.executable(folder, 'scontrol', stand_in.SCONTROL)
    source = 'import sys; from gair_jax.cli import main; sys.exit(main())'
    stand_in.executable(folder, 'gair', source)
    return folder


def environment(**more):
    """One device a process, and the modules of these tests."""
    flags = '--xla_force_host_platform_device_count=1'
    return {**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': str(ROOT), **more}


def sbatch(cluster, config, workdir, **more):
    """The batch script, as SLURM starts it for two tasks."""
    job = free_port_of_jax() - JAX_PORTS
    environ = environment(
        PATH=stand_in.path_of(cluster), CONFIG=str(config), WORKDIR=str(workdir),
        SLURM_JOB_ID=str(job), SLURM_NTASKS='2', **more,
    )  # fmt: skip
    script = ROOT / 'launch' / 'slurm' / 'train.sbatch'
    return subprocess.Popen(['bash', script], env=environ, stderr=subprocess.PIPE, text=True)


def free_port_of_jax():
    for port in range(JAX_PORTS, 65536):
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)):
                return port
    raise OSError('no port is free')


def lines(workdir):
    path = workdir / 'metrics.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def reached(workdir, step):
    deadline = time.monotonic() + 180
    while not any(line['step'] >= step for line in lines(workdir)):
        assert time.monotonic() < deadline, f'step {step} did not come'
        time.sleep(0.05)


def last_loss(workdir):
    found = [line for line in lines(workdir) if 'loss' in line]
    assert found[-1]['step'] == STEPS
    return found[-1]['loss']


@pytest.fixture(scope='module')
def expected(tmp_path_factory, config):
    """The last loss of one process that nobody interrupts, as near as layouts are to each other."""
    command = [sys.executable, '-m', 'gair_jax.cli', 'train', f'--config={config}']
    workdir = tmp_path_factory.mktemp('alone')
    subprocess.run([*command, f'--workdir={workdir}'], env=environment(), check=True)
    return pytest.approx(last_loss(workdir), rel=2e-3)  # the bound on parameters


def test_the_batch_script_trains_is_warned_and_goes_on(tmp_path, cluster, config, expected):
    workdir = tmp_path / 'run'
    with sbatch(cluster, config, workdir) as script:
        reached(workdir, 5)
        os.kill(int((cluster / 'srun.pid').read_text()), signal.SIGUSR1)
        _, err = script.communicate(timeout=120)
    assert script.returncode == 0, err
    assert 'the run ended with 75' in err.lower()
    assert (cluster / 'scontrol.log').read_text().startswith('requeue ')
    stopped = lines(workdir)[-1]['step']
    assert stopped < STEPS
    with sbatch(cluster, config, workdir, SLURM_RESTART_COUNT='1') as script:
        _, err = script.communicate(timeout=240)
    assert script.returncode == 0, err
    assert len((cluster / 'scontrol.log').read_text().splitlines()) == 1, err
    assert last_loss(workdir) == expected


def test_a_killed_process_ends_the_round_and_the_next_one_finishes(tmp_path, config, expected):
    workdir = tmp_path / 'run'
    command = [sys.executable, ROOT / 'launch' / 'local.py', '--processes', '2', '--restarts', '1']
    command += ['--', sys.executable, '-m', 'gair_jax.cli', 'train', f'--config={config}']
    command += [f'--workdir={workdir}']
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stderr=pipe, text=True) as launcher:
        reached(workdir, 5)
        parents = children(launcher.pid)
        os.kill(children(parents[1])[0], signal.SIGKILL)
        _, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, err
    # Its peer may notice before the parent of the killed process has told.
    first = r'local\.py: process (1 ended with 137|0 ended with 76); the others have 60 s to stop'
    assert re.search(first, err)
    assert 'the run ended with 76 and is started again' in err
    assert last_loss(workdir) == expected


def children(pid):
    """The processes that one has started, oldest first."""
    path = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
    return [int(child) for child in path.read_text().split()]
