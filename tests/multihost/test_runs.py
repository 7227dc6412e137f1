"""Two real processes, joined by gloo: the same numbers, and what happens when they die."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gair_jax import config_files
from gair_jax.train import checkpoint, objective, processes
from tests.multihost.runs import SECONDS, Run, environment, free_port, last_step, write_config
from tests.train import layouts
from tests.train.test_layouts import alone

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def config(toy_set, tmp_path_factory):
    return write_config(tmp_path_factory.mktemp('config') / 'tiny.py', toy_set)


@pytest.fixture(scope='module')
def finished(config, tmp_path_factory):
    """Forty steps by two processes that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('runs') / 'whole'
    with Run(config, workdir) as run:
        assert run.codes() == [0, 0], run.said()
    return workdir


def params_of(workdir):
    return checkpoint.load(workdir / 'checkpoints' / '40')[1]


def resumed_after_kill(config, workdir, step, **layout):
    """Starts or resumes a run and kills all of it by SIGKILL once `step` is taken."""
    with Run(config, workdir, **layout) as run:
        run.wait_for_step(step)
        for process in run.processes:
            run.kill(process)


@pytest.mark.parametrize(
    ('case', 'fsdp', 'form', 'accumulation'),
    [('batch', 1, 'ring', 1), ('batch', 2, 'chunked', 2), ('embeddings', 8, 'plain', 1)],
)
def test_two_processes_of_four_devices_give_the_numbers_of_one(
    case, fsdp, form, accumulation, tmp_path
):
    port, out = free_port(), tmp_path / 'taken'
    arguments = [case, str(fsdp), form, str(accumulation), str(out)]
    command = [sys.executable, '-m', 'tests.multihost.take_steps', str(port)]
    env = environment(4, 0, 1, 0)
    both = [subprocess.Popen([*command, str(i), *arguments], env=env) for i in range(2)]
    assert [process.wait(timeout=SECONDS) for process in both] == [0, 0]
    found = layouts.Taken(*pickle.loads(out.read_bytes()))
    layouts.assert_agree(found, alone(case))


def test_killed_and_restarted_in_the_same_layout_it_is_the_same_bit_for_bit(
    config, finished, tmp_path
):
    workdir = tmp_path / 'killed'
    resumed_after_kill(config, workdir, 17)
    with Run(config, workdir) as run:
        assert run.codes() == [0, 0], run.said()
    jax.tree.map(np.testing.assert_array_equal, params_of(workdir), params_of(finished))


def test_killed_and_restarted_as_one_process_and_as_two_again(config, finished, tmp_path):
    workdir = tmp_path / 'changed'
    resumed_after_kill(config, workdir, 17)
    resumed_after_kill(config, workdir, 28, processes=1, devices=1)
    with Run(config, workdir, devices=4, overrides=['--config.mesh.fsdp=2']) as run:
        assert run.codes() == [0, 0], run.said()
        assert 'Resuming after step' in run.said()
    start = objective.create(config_files.load(str(config), [])).init(jax.random.key(0))
    found, expected = params_of(workdir), params_of(finished)
    apart = layouts.norm(jax.tree.map(np.subtract, found, expected))
    assert apart <= 2e-3 * layouts.norm(jax.tree.map(np.subtract, expected, start))


@pytest.mark.parametrize('victim', [0, 1])
def test_when_one_is_lost_the_other_says_so_and_ends_within_a_minute(victim, config, tmp_path):
    workdir = tmp_path / 'lost'
    with Run(config, workdir, overrides=['--config.steps=100000']) as run:
        run.wait_for_step(7)
        run.kill(run.processes[victim])
        begin = time.monotonic()
        assert run.processes[1 - victim].wait(timeout=60) == processes.LOST
        assert time.monotonic() - begin < 60
        assert 'another process of this run is lost' in run.logs[1 - victim].read_text()
    newest = max(int(p.name) for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit())
    assert newest >= 5
    shutil.rmtree(workdir)


def test_a_signal_to_one_process_stops_both_after_the_same_step(config, finished, tmp_path):
    workdir = tmp_path / 'stopped'
    with Run(config, workdir, overrides=['--config.checkpoint.every=1000']) as run:
        run.wait_for_step(6)
        run.kill(run.processes[1], signal.SIGTERM)
        assert run.codes() == [75, 75], run.said()
        assert all('which is saved' in log.read_text() for log in run.logs)
    assert 6 < last_step(workdir) < 40
    with Run(config, workdir, overrides=['--config.checkpoint.every=1000']) as run:
        assert run.codes() == [0, 0], run.said()
    jax.tree.map(np.testing.assert_array_equal, params_of(workdir), params_of(finished))


def test_nothing_is_left_running_when_the_parent_is_killed(config, tmp_path):
    with Run(config, tmp_path / 'orphans', overrides=['--config.steps=100000']) as run:
        run.wait_for_step(1)
        children = [children_of(p.pid) for p in run.processes]
        assert all(children)
        for process in run.processes:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        end = time.monotonic() + 20
        while any(alive(c) for group in children for c in group):
            assert time.monotonic() < end
            time.sleep(0.1)


def children_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(x) for x in file.read().split()]


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
