"""The command itself, with real training: killed in the middle, it ends as if nothing had been."""

import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from gair_jax.train import checkpoint
from tests.sweep.files import RATES, ROOT, sweep_file

LIMIT = 300  # seconds
STEPS = 150


@pytest.fixture
def command(toy_set, tmp_path):
    """Two learning rates x three seeds of the smallest model, long enough to be killed."""
    folder, name, variant = toy_set
    config = tmp_path / 'tiny.py'
    config.write_text(
        'import pathlib\nfrom tests.train.tiny import tiny_config\n\n\ndef get_config():\n'
        f'    return tiny_config(pathlib.Path({str(folder)!r}), {name!r}, {variant!r})\n'
    )
    fixed = f"{{'steps': {STEPS}, 'checkpoint.every': 25, 'eval.every': 50}}"
    path = sweep_file(tmp_path, RATES, config=config, fixed=fixed)
    return [sys.executable, str(ROOT / 'launch' / 'sweep.py'), f'--sweep={path}']


def start(command, out, log):
    environ = {**os.environ, 'XLA_FLAGS': '', 'PYTHONPATH': str(ROOT)}
    with log.open('ab') as file:
        return subprocess.Popen(
            [*command, f'--out={out}', '--workers=2'], env=environ, stdout=file, stderr=file
        )


def children(pid):
    """Of a process of Linux."""
    return [int(x) for x in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def newest(out):
    """By run the step of its newest checkpoint."""
    found = {}
    for path in out.glob(f'*/checkpoints/*/{checkpoint.MARK}'):
        name, step = path.parts[-4], path.parts[-2]
        if step.isdigit():  # and not one that is being written
            found[name] = max(found.get(name, 0), int(step))
    return found


def wait_until(condition, sweep):
    until = time.monotonic() + LIMIT
    while not condition():
        assert sweep.poll() is None and time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='finds children in /proc')
def test_killed_with_its_children_and_started_again_it_ends_with_table_and_picture(
    command, tmp_path
):
    out = tmp_path / 'killed'
    sweep = start(command, out, tmp_path / 'first')
    # Well before its end, since runs that begin together end together.
    wait_until(lambda: STEPS in newest(out).values() and cut_short(out, 50), sweep)
    running = children(sweep.pid)
    for pid in (sweep.pid, *running):
        os.kill(pid, signal.SIGKILL)
    sweep.wait()
    done, cut = [name for name, step in newest(out).items() if step == STEPS], cut_short(out)
    assert running and 0 < len(done) < 6 and cut
    assert start(command, out, tmp_path / 'second').wait(LIMIT) == 0

    said = (tmp_path / 'second').read_text()
    assert said.count(': done.') == 6 - len(done)  # what was finished was not run again
    assert 'Resuming after step' in (out / 'logs' / f'{cut[0]}.log').read_text()
    assert {line['state'] for line in lines_of(out / 'sweep.csv')} == {'done'}
    assert [line['n'] for line in lines_of(out / 'sweep_seeds.csv')] == ['3', '3']
    with Image.open(out / 'sweep.png') as image:
        assert min(image.size) > 300

    # A run that was cut, once more and whole, as the task of an array.
    whole = tmp_path / 'whole'
    whole.mkdir()
    shutil.copy(out / 'sweep.json', whole)
    names = [run['name'] for run in json.loads((out / 'sweep.json').read_text())['runs']]
    index = f'--index={names.index(cut[0])}'
    assert start([*command, index], whole, tmp_path / 'third').wait(LIMIT) == 0
    assert losses(whole, cut[0]) == losses(out, cut[0])


@pytest.mark.slow
def test_a_stopped_sweep_saves_its_runs_and_says_75(command, tmp_path):
    log, out = tmp_path / 'log', tmp_path / 'out'
    sweep = start(command, out, log)
    wait_until(lambda: newest(out), sweep)
    sweep.terminate()
    assert sweep.wait(LIMIT) == 75, log.read_text()
    assert 'saved first' in log.read_text() and 'stopped after step' in log.read_text()
    assert (out / 'sweep.csv').exists()


def cut_short(out, latest=STEPS - 1):
    """Runs whose newest checkpoint is of step `latest` or before."""
    return sorted(name for name, step in newest(out).items() if step <= latest)


def lines_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def losses(out, name):
    """All losses that a run logged: none may depend on interruptions."""
    records = [json.loads(x) for x in (out / name / 'metrics.jsonl').read_text().splitlines()]
    found = [(r['step'], r.get('loss'), r.get('val_loss')) for r in records]
    assert found[-1][0] == STEPS
    return found
