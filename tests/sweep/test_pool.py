"""The pool, with a few lines of Python in the place of `gair train`."""

import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

from gair_jax.sweep import folder, pool
from gair_jax.train import checkpoint
from tests.sweep.files import finish, log, plan

# What a child does: the last line is a run's own.
SCRIPT = """
import os, pathlib, signal, sys, time
workdir, config, steps, mark, source = sys.argv[1:]
workdir = pathlib.Path(workdir)
workdir.mkdir(parents=True, exist_ok=True)
def log(step):
    with (workdir / 'metrics.jsonl').open('a') as file:
        file.write('{"step": %d, "val_loss": 1.0}\\n' % step)
def finish():
    (workdir / 'config.json').write_text(config)
    log(int(steps))
    (workdir / 'checkpoints' / steps).mkdir(parents=True)
    (workdir / 'checkpoints' / steps / mark).touch()
def save_when_told(number, frame):
    log(2)
    sys.exit(75)
def wait(seconds):
    signal.signal(signal.SIGTERM, save_when_told)
    (workdir / 'waits').touch()
    time.sleep(seconds)
exec(source)
"""


class Trainer:
    """Stands for `gair train`: what each run does, by its name."""

    def __init__(self, monkeypatch):
        self.begun, self.does = [], {}
        monkeypatch.setattr(pool, 'command', self._command)

    def _command(self, config, out, run):
        self.begun.append(run.name)
        settings = json.dumps(checkpoint.to_json(run.config))
        arguments = [str(out / run.name), settings, str(run.steps), checkpoint.MARK]
        source = self.does.get(run.name, 'finish()')
        return [sys.executable, '-c', SCRIPT, *arguments, source]


@pytest.fixture
def trainer(monkeypatch):
    return Trainer(monkeypatch)


@pytest.fixture
def made(tmp_path):
    return plan(tmp_path, "grid({'seed': range(5)})")


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'out'


def go(made, out, *, runs=None, workers=2, gpus=()):
    said = []
    code = pool.run_all(
        runs or made.runs, made.sweep.config, out, pool.slots(workers, gpus), said.append
    )
    return code, said


def wait_for(path: pathlib.Path):
    until = time.monotonic() + 30
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert path.exists()


def test_all_runs_are_run_and_a_second_time_none(made, out, trainer):
    assert go(made, out) == (0, [*(f'seed={i}: done.' for i in range(5)), '5 done'])
    assert trainer.begun == [run.name for run in made.runs]
    assert go(made, out) == (0, ['5 done'])
    assert len(trainer.begun) == 5


def test_a_failed_run_is_told_with_its_cause_and_the_others_go_on(made, out, trainer):
    trainer.does['seed=1'] = (
        "print('Resuming.'); print('gair: batch: expected at least 1.'); sys.exit(2)"
    )
    trainer.does['seed=2'] = 'raise OSError(28, "No space")'
    trainer.does['seed=3'] = 'os.kill(os.getpid(), signal.SIGKILL)'
    code, said = go(made, out)
    assert code == 1 and said[-1] == '2 done, 3 failed'
    text = '\n'.join(said)
    log_1 = out / 'logs' / 'seed=1.log'
    assert f'seed=1: failed (exit code 2; {log_1}): batch: expected at least 1.' in text
    assert 'seed=2: failed (exit code 1' in text and 'OSError: [Errno 28] No space' in text
    assert 'seed=3: failed (killed by SIGKILL, perhaps for want of memory' in text
    assert 'it said nothing' in text
    assert [folder.state(out, run) for run in made.runs] == ['done', *['failed'] * 3, 'done']


def test_what_failed_or_was_cut_is_run_again_but_not_a_step_that_would_fail_again(
    made, out, trainer
):
    for i, code in enumerate((2, 3, 75)):
        trainer.does[f'seed={i}'] = (
            f'finish(); os.rename(workdir / "checkpoints", workdir / "x"); sys.exit({code})'
        )
    assert go(made, out)[0] == 75
    assert folder.state(out, made.runs[2]) == 'partial'
    trainer.does.clear()
    trainer.begun.clear()
    code, said = go(made, out)
    assert code == 1 and trainer.begun == ['seed=0', 'seed=2']
    assert 'seed=1: not begun again' in said[0]
    assert [folder.state(out, run) for run in made.runs] == ['done', 'failed', *['done'] * 3]


def test_a_run_that_could_not_go_on_is_tried_with_other_settings(made, out):
    (out / 'logs').mkdir(parents=True)
    folder.note_failure(out, made.runs[1], 3)
    other = plan(out.parent, "grid({'seed': range(5)})", overrides=['--config.batch=8'])
    (out / 'seed=1').mkdir()
    (out / 'seed=1' / 'config.json').write_text(json.dumps(checkpoint.to_json(made.runs[1].config)))
    assert folder.is_hopeless(out, made.runs[1]) and not folder.is_hopeless(out, other.runs[1])


def test_a_checkpoint_of_other_settings_is_not_this_run(made, out):
    finish(out, made.runs[0], [])
    other = plan(out.parent, "grid({'seed': range(5)})", overrides=['--config.batch=8'])
    assert folder.state(out, made.runs[0]) == 'done'
    assert folder.state(out, other.runs[0]) != 'done'


def test_a_run_is_done_at_its_last_step_and_no_earlier(made, out):
    finish(out, made.runs[0], [{'step': 4}], step=4)
    assert folder.state(out, made.runs[0]) == 'partial'
    last = out / 'seed=0' / 'checkpoints' / '6'
    last.mkdir()  # half written: Orbax's mark is not there yet
    assert folder.state(out, made.runs[0]) == 'partial'
    (last / checkpoint.MARK).touch()
    assert folder.state(out, made.runs[0]) == 'done'


def test_the_last_step_is_read_past_a_line_cut_short(made, out):
    log(out, made.runs[0], [{'step': i, 'loss': 0.5} for i in range(1, 2001)])
    with (out / 'seed=0' / 'metrics.jsonl').open('a') as file:
        file.write('{"step": 2001, "lo')
    assert folder.last_step(out, made.runs[0]) == 2000
    assert folder.last_step(out, made.runs[1]) == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_children_which_save_and_the_next_start_goes_on(
    number, made, out, trainer
):
    trainer.does['seed=1'] = trainer.does['seed=2'] = 'wait(60)'

    def interrupt():
        for i in (1, 2):
            wait_for(out / f'seed={i}' / 'waits')
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code, said = go(made, out)
    thread.join()
    assert code == 75 and said[-1] == '1 done, 2 stopped, 2 left'
    assert 'Stopping: 2 running are saved first.' in said
    assert 'seed=1: stopped after step 2.' in said
    assert [folder.state(out, run) for run in made.runs[:4]] == [
        'done', 'partial', 'partial', 'waiting'
    ]  # fmt: skip
    trainer.does.clear()
    assert go(made, out)[0] == 0


def test_a_run_that_another_process_has_is_waited_for(made, out, trainer):
    """The lock lives with the child, whoever started it: here, with a file that a timer closes."""
    held = folder.open_log(out, made.runs[0])
    assert folder.open_log(out, made.runs[0]) is None

    def end():
        wait_for(out / 'seed=1' / 'checkpoints')
        finish(out, made.runs[0], [])
        held.close()

    thread = threading.Thread(target=end)
    thread.start()
    code, said = go(made, out, runs=made.runs[:2], workers=1)
    thread.join()
    assert code == 0 and trainer.begun == ['seed=1']
    assert said[0] == 'seed=0: is being run by another process; waiting for that.'


def test_children_hold_the_lock_when_the_sweep_has_gone(made, out, trainer):
    trainer.does['seed=0'] = 'wait(60)'
    running = pool._Pool(made.sweep.config, out, [{}], lambda text: None)
    running.add(made.runs[0])
    running.advance(stopping=False)
    (child,) = running.running
    try:
        assert folder.open_log(out, made.runs[0]) is None
    finally:
        child.process.kill()
        child.process.wait()
    with folder.open_log(out, made.runs[0]) as log:
        assert log is not None


def test_no_more_run_at_a_time_than_there_are_places(made, out, trainer):
    """Each leaves a mark while it lives and fails if it sees more than another one."""
    for run in made.runs:
        trainer.does[run.name] = (
            "mark = workdir.parent / f'{workdir.name}.lives'; mark.touch()\n"
            "assert len(list(workdir.parent.glob('*.lives'))) <= 2\n"
            'time.sleep(0.3); finish(); mark.unlink()'
        )
    assert go(made, out, workers=2)[0] == 0


def test_a_run_has_a_gpu_of_its_own(made, out, trainer):
    for run in made.runs:
        trainer.does[run.name] = "print(os.environ['CUDA_VISIBLE_DEVICES']); finish()"
    assert go(made, out, workers=0, gpus=['4', '7'])[0] == 0
    seen = [(out / 'logs' / f'{run.name}.log').read_text().strip() for run in made.runs]
    assert set(seen) == {'4', '7'}


def test_places_are_one_a_gpu_or_as_many_as_asked_for():
    assert pool.slots(0, []) == [{}] and pool.slots(3, []) == [{}] * 3
    gpus = [slot['CUDA_VISIBLE_DEVICES'] for slot in pool.slots(3, ['0', '1'])]
    assert gpus == ['0', '1', '0']
