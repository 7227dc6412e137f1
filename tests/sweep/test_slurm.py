"""The batch script, run by a stand-in for sbatch that sets what SLURM sets."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from gair_jax.config import InputError
from gair_jax.sweep import plan as plans
from gair_jax.sweep import slurm
from tests.sweep.files import finish, launch, plan, sweep_file

# Writes down how it was called; the last argument is the script, which a test runs itself.
SBATCH = '#!/bin/sh\nprintf "%s\\n" "$@" > "$SAID"\necho Submitted batch job 77\n'
SCONTROL = '#!/bin/sh\necho "$@" > "$SAID"\n'


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Stand-ins first in the path; the file is what they were last called with."""
    for name, text in (('sbatch', SBATCH), ('scontrol', SCONTROL)):
        (tmp_path / 'bin').mkdir(exist_ok=True)
        (tmp_path / 'bin' / name).write_text(text)
        (tmp_path / 'bin' / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=os.pathsep)
    monkeypatch.setenv('SAID', str(tmp_path / 'said'))
    return tmp_path / 'said'


def start(script, index):
    """One task of an array, as SLURM starts it."""
    environ = {'SLURM_ARRAY_TASK_ID': str(index), 'SLURM_ARRAY_JOB_ID': '77'}
    return subprocess.Popen(
        ['bash', str(script)], env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True
    )


def test_the_runs_that_are_left_are_submitted_as_an_array(said, tmp_path, capsys):
    out = tmp_path / 'out folder'
    made = plan(tmp_path, "grid({'seed': range(6)})")
    for i in (1, 4):
        finish(out, made.runs[i], [])
    path = sweep_file(tmp_path, "grid({'seed': range(6)})")
    assert (
        launch(f'--sweep={path}', f'--out={out}', '--slurm=-p gpu --time=1:00', '--workers=3') == 0
    )
    assert said.read_text().splitlines() == ['--array=0,2-3,5%3', f'{out}/sweep.sbatch']
    assert 'Submitted batch job 77 (4 of 6 runs)' in capsys.readouterr().out
    listed = json.loads((out / 'sweep.json').read_text())
    assert [run['name'] for run in listed['runs']] == [run.name for run in made.runs]
    lines = (out / 'sweep.sbatch').read_text().splitlines()
    assert '#SBATCH -p gpu --time=1:00' in lines and '#SBATCH --job-name=sweep-rates' in lines
    assert f'#SBATCH --output="{out}/logs/slurm-%A_%a.out"' in lines
    # SLURM reads directives down to the first command.
    directives = [i for i, line in enumerate(lines) if line.startswith('#SBATCH')]
    assert max(directives) < min(i for i, x in enumerate(lines) if x and not x.startswith('#'))


def test_nothing_is_submitted_when_all_is_done(said, tmp_path, capsys):
    made = plan(tmp_path, 'seeds(1)')
    finish(tmp_path / 'out', made.runs[0], [])
    path = sweep_file(tmp_path, 'seeds(1)')
    assert launch(f'--sweep={path}', f'--out={tmp_path / "out"}', '--slurm=') == 0
    assert 'All runs are done' in capsys.readouterr().out and not said.exists()


def test_without_slurm_there_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('PATH', str(tmp_path))
    path = sweep_file(tmp_path, 'seeds(1)')
    assert launch(f'--sweep={path}', f'--out={tmp_path / "out"}', '--slurm=') == 2
    assert 'no sbatch on this machine' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_what_sbatch_refuses_is_said_in_its_words(said, tmp_path, capsys):
    (tmp_path / 'bin' / 'sbatch').write_text('#!/bin/sh\necho "invalid partition" >&2; exit 1\n')
    path = sweep_file(tmp_path, 'seeds(1)')
    assert launch(f'--sweep={path}', f'--out={tmp_path / "out"}', '--slurm=') == 2
    assert 'invalid partition' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('indices', 'text'), [([0], '0'), ([0, 1, 2], '0-2'), ([0, 2, 3, 9], '0,2-3,9')]
)
def test_ranges(indices, text):
    assert slurm.ranges(indices) == text


def test_a_task_runs_the_run_of_its_index_in_the_folder_it_was_submitted_from(tmp_path):
    shows = 'import os, sys; print(os.getcwd(), sys.argv[1:])'
    text = slurm.script('rates', tmp_path, [sys.executable, '-c', shows, "it's"], '')
    (tmp_path / 'script').write_text(text)
    task = start(tmp_path / 'script', 4)
    arguments = ["it's", '--index', '4']
    assert task.communicate()[0].strip() == f'{os.getcwd()} {arguments}'
    assert task.returncode == 0


@pytest.mark.parametrize('code', [0, 1, 75])
def test_a_task_ends_with_the_code_of_its_run(code, tmp_path, said):
    text = slurm.script('x', tmp_path, [sys.executable, '-c', f'import sys; sys.exit({code})'], '')
    (tmp_path / 'script').write_text(text)
    task = start(tmp_path / 'script', 0)
    task.communicate()
    assert task.returncode == code and not said.exists()


@pytest.mark.parametrize(('number', 'again'), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_near_the_time_limit_a_run_is_saved_and_queued_again(number, again, tmp_path, said):
    """USR1 is SLURM's warning; TERM comes from scancel, after which nothing must start again."""
    saves = (
        'import pathlib, signal, sys, time\n'
        'signal.signal(signal.SIGTERM, lambda *x: (time.sleep(0.3), sys.exit(75)))\n'
        f'pathlib.Path({str(tmp_path / "ready")!r}).touch()\n'
        'time.sleep(60)'
    )
    (tmp_path / 'script').write_text(slurm.script('x', tmp_path, [sys.executable, '-c', saves], ''))
    task = start(tmp_path / 'script', 5)
    while not (tmp_path / 'ready').exists():
        time.sleep(0.01)
    task.send_signal(number)
    task.communicate(timeout=30)
    assert task.returncode == 75
    assert (said.read_text() if said.exists() else '') == ('requeue 77_5\n' if again else '')


def test_a_task_refuses_a_sweep_that_has_changed_since_it_was_submitted(tmp_path):
    made = plan(tmp_path, "grid({'seed': [0, 1]})")
    plans.write(made, tmp_path)
    assert slurm.task(made, tmp_path, 1) == made.runs[1]
    assert slurm.task(plan(tmp_path, "grid({'seed': [0, 2]})"), tmp_path, 0).name == 'seed=0'
    for changed in ("grid({'seed': [0, 2]})", "grid({'batch': [8, 9]})"):
        with pytest.raises(InputError, match='run 1 is not the one'):
            slurm.task(plan(tmp_path, changed), tmp_path, 1)
    with pytest.raises(InputError, match='run 1 is not the one'):
        slurm.task(plan(tmp_path, "grid({'seed': [0, 1]})", fixed="{'steps': 7}"), tmp_path, 1)


def test_a_path_that_slurm_would_read_as_a_pattern_is_refused(tmp_path):
    with pytest.raises(InputError, match='--out: expected a path that SLURM takes'):
        slurm.script('x', pathlib.Path('/a%b'), ['x'], '')
