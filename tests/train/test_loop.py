"""Runs that stop, die or go wrong, on the toy data set with the smallest model."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.train import checkpoint, loop
from tests.train.tiny import tiny_config

QUIET = {'say': lambda text: None}


def train(config, workdir):
    return loop.train(config, workdir, devices=jax.devices()[:1], **QUIET)


def records(workdir):
    return [json.loads(x) for x in (workdir / 'metrics.jsonl').read_text().splitlines()]


def params_of(workdir, step):
    return checkpoint.load(workdir / 'checkpoints' / str(step))[1]


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope='module')
def finished(toy_set, tmp_path_factory):
    """A run of six steps that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('runs') / 'whole'
    train(tiny_config(*toy_set), workdir)
    return workdir


def test_a_run_writes_its_metrics_validations_and_best_checkpoint(finished):
    steps = [r for r in records(finished) if 'loss' in r]
    assert [r['step'] for r in steps] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(r[k]) for r in steps for k in ('loss', 'incl', 'secl', 'grad_norm'))
    # Warm-up of 5 % of six steps is no step: the cosine starts at the peak.
    rates = [0.5e-2 * (1 + np.cos(np.pi * k / 6)) for k in range(6)]
    np.testing.assert_allclose([r['learning_rate'] for r in steps], rates, rtol=1e-5)
    val = {r['step']: r['val_loss'] for r in records(finished) if 'val_loss' in r}
    assert sorted(val) == [3, 6]
    best = [int(p.name) for p in (finished / 'best').iterdir()]
    assert best == [min(val, key=val.get)]


@pytest.mark.parametrize('stop', ['SIGTERM', 'SIGINT'])
def test_a_signal_saves_and_the_resumed_run_ends_bit_for_bit_the_same(
    stop, finished, toy_set, tmp_path, monkeypatch
):
    batch = Pipeline.iterate

    def iterate(self, start, end):
        for step, made in enumerate(batch(self, start, end), start + 1):
            if step == 3 and start == 0:
                os.kill(os.getpid(), getattr(signal, stop))
            yield made

    monkeypatch.setattr(Pipeline, 'iterate', iterate)
    config = tiny_config(*toy_set)
    config.checkpoint.every = 100
    with pytest.raises(loop.StoppedError, match=f'{stop}: stopped after step 3'):
        train(config, tmp_path)
    assert train(config, tmp_path).steps == 6
    assert_same(params_of(tmp_path, 6), params_of(finished, 6))
    assert [r['step'] for r in records(tmp_path) if 'loss' in r] == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_has_nothing_left_to_do(finished):
    config = checkpoint.load(finished)[0]
    before = (finished / 'metrics.jsonl').read_bytes()
    train(config, finished)
    assert (finished / 'metrics.jsonl').read_bytes() == before


@pytest.mark.slow
def test_a_non_finite_step_is_refused_with_the_ids_of_its_records(toy_set, tmp_path, monkeypatch):
    batch = Pipeline.iterate

    def poisoned(self, start, end):
        for step, made in enumerate(batch(self, start, end), start + 1):
            if step == 5:
                made = {**made, 'rs': np.full_like(made['rs'], np.nan)}
                self.poisoned = self.ids(made)
            yield made

    monkeypatch.setattr(Pipeline, 'iterate', poisoned)
    with pytest.raises(loop.NonFiniteStepError, match='step 5: .*Its records: ') as caught:
        train(tiny_config(*toy_set), tmp_path)
    data = Pipeline(tiny_config(*toy_set), 'train')
    assert all(name in str(caught.value) for name in data.ids(data.batch(4)))
    assert sorted(p.name for p in (tmp_path / 'checkpoints').iterdir()) == ['2', '4']
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(params_of(tmp_path, 4)))


def test_a_workdir_of_another_run_is_refused_by_the_setting_that_differs(finished):
    config = checkpoint.load(finished)[0]
    config.model.rs.depth = 3
    with pytest.raises(InputError, match='model.rs.depth was 2, now 3'):
        train(config, finished)


@pytest.mark.parametrize(('field', 'value'), [('batch', 0), ('steps', -1), ('epochs', 0.0)])
def test_a_run_without_length_is_refused(field, value, toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.steps = 0
    setattr(config, field, value)
    with pytest.raises(InputError, match=f'{field}: expected'):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_window_larger_than_the_tiles_is_refused_before_anything_is_written(toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.input.rs.window = 200
    with pytest.raises(InputError, match='at least input.rs.window = 200 pixels a side, found 40'):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_batch_that_devices_cannot_share_is_refused(toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.batch = 6
    with pytest.raises(InputError, match='multiple of the 4 devices'):
        loop.train(config, tmp_path / 'run', devices=jax.devices()[:4], **QUIET)


@pytest.mark.slow
def test_several_devices_give_the_numbers_of_one(toy_set, tmp_path):
    """The first loss to 1e-6 relative; with SGD every parameter to 1e-6."""
    config = tiny_config(*toy_set)
    config.steps, config.optimizer.name = 3, 'sgd'
    for count in (1, 4):
        loop.train(config, tmp_path / str(count), devices=jax.devices()[:count], **QUIET)
    losses = [[r['loss'] for r in records(tmp_path / n) if 'loss' in r] for n in ('1', '4')]
    np.testing.assert_allclose(losses[1][0], losses[0][0], rtol=1e-6)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        params_of(tmp_path / '1', 3),
        params_of(tmp_path / '4', 3),
    )


@pytest.mark.slow
def test_subtrees_start_from_checkpoints(finished, toy_set, tmp_path):
    """With a rate of zero the parameters after a step are those the run started from."""
    config = tiny_config(*toy_set)
    config.seed, config.steps, config.optimizer.rate = 7, 1, 0.0
    config.init.rs = str(finished)
    train(config, tmp_path / 'part')
    started = params_of(tmp_path / 'part', 1)
    source = checkpoint.load(finished)[1]
    assert_same(started['rs'], source['rs'])
    fresh = tiny_config(*toy_set)
    fresh.seed, fresh.steps, fresh.optimizer.rate = 7, 1, 0.0
    train(fresh, tmp_path / 'fresh')
    assert_same(started['sv'], params_of(tmp_path / 'fresh', 1)['sv'])


@pytest.mark.slow
def test_a_start_of_another_shape_names_the_leaf(finished, toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.model.rs.mlp_dim = 16
    config.init.all = str(finished)
    with pytest.raises(InputError, match=r'init.all: .*rs.*: expected \(.*16.*\), found \('):
        train(config, tmp_path)


@pytest.mark.slow
def test_places_and_tiles_alone_train_without_a_photo_encoder(toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.model.sv.enabled = False
    config.steps = 2
    state = train(config, tmp_path).state
    assert 'sv' not in state.params
    assert 'incl' not in records(tmp_path)[0] and np.isfinite(records(tmp_path)[1]['secl'])


@pytest.mark.slow
def test_masked_autoencoding_goes_through_the_same_trainer(toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.loss.objective, config.bank.size = 'mae', 0
    train(config, tmp_path)
    first, last = (r['mae_rs'] for r in (records(tmp_path)[0], records(tmp_path)[-2]))
    assert last < first


@pytest.mark.slow
def test_distillation_and_a_learned_temperature_are_trained_and_resumed(toy_set, tmp_path):
    config = tiny_config(*toy_set)
    config.loss.distillation, config.loss.learn_temperature = 0.2, True
    config.bank.content, config.steps, config.checkpoint.every = 'embeddings', 4, 1
    train(config, tmp_path / 'whole')
    assert records(tmp_path / 'whole')[-1]['val_temperature'] != pytest.approx(0.07)
    # The encoders start as their own teachers: cosine 1 for both, so -2 x weight.
    assert records(tmp_path / 'whole')[0]['distillation'] == pytest.approx(-0.4, abs=1e-5)


@pytest.mark.slow
def test_a_full_disk_while_saving_is_one_sentence_and_loses_nothing(toy_set, tmp_path):
    """RLIMIT_FSIZE stands for a full disk; the run before it is there to be resumed."""
    config = tiny_config(*toy_set)
    config.steps = 4
    train(config, tmp_path)
    config_path = tmp_path / 'more.json'
    config_path.write_text(json.dumps(checkpoint.to_json(config)))
    script = (
        'import json, pathlib, resource, sys\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n'
        'from gair_jax.train import checkpoint, loop\n'
        'from gair_jax.config import InputError\n'
        f'stored = json.loads(pathlib.Path({str(config_path)!r}).read_text())\n'
        'config = checkpoint.from_json(stored)\n'
        'config.seed = 1\n'
        'try:\n'
        f'    loop.train(config, {str(tmp_path / "second")!r}, say=lambda text: None)\n'
        'except InputError as error:\n'
        '    print(error)\n'
        '    sys.exit(2)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', script],
        capture_output=True,
        text=True,
        env={**os.environ, 'XLA_FLAGS': ''},
    )
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stdout.count('\n') == 1 and 'could not be written' in done.stdout
    assert not [p for p in (tmp_path / 'second' / 'checkpoints').glob('*') if p.name.isdigit()]


@pytest.mark.slow
def test_killed_five_times_at_random_it_ends_bit_for_bit_the_same(toy_set, tmp_path):
    """SIGKILL, whatever the run is doing; each time it is started again the same way."""
    directory, name, variant = toy_set
    config = tiny_config(*toy_set)
    config.steps, config.checkpoint.every = 40, 3
    stored = tmp_path / 'config.json'
    stored.write_text(json.dumps(checkpoint.to_json(config)))
    module = tmp_path / 'config.py'
    module.write_text(
        'import json, pathlib\nfrom gair_jax.train import checkpoint\n'
        'def get_config():\n'
        f'    return checkpoint.from_json(json.loads(pathlib.Path({str(stored)!r}).read_text()))\n'
    )

    def start(workdir):
        command = [sys.executable, '-m', 'gair_jax.cli', 'train']
        with (tmp_path / 'log').open('ab') as log:
            return subprocess.Popen(
                [*command, f'--config={module}', f'--workdir={workdir}'],
                env={**os.environ, 'XLA_FLAGS': ''},
                stdout=log,
                stderr=log,
            )

    def steps_taken(workdir: pathlib.Path):
        path = workdir / 'metrics.jsonl'
        return path.read_bytes().count(b'"loss"') if path.exists() else 0

    assert start(tmp_path / 'whole').wait() == 0
    rng = random.Random(0)
    for _ in range(5):
        run, until = start(tmp_path / 'killed'), rng.randrange(2, 9)
        begun = steps_taken(tmp_path / 'killed')
        while run.poll() is None and steps_taken(tmp_path / 'killed') < begun + until:
            time.sleep(0.003)
        run.kill()
        run.wait()
    assert start(tmp_path / 'killed').wait() == 0, (tmp_path / 'log').read_text()
    assert_same(params_of(tmp_path / 'killed', 40), params_of(tmp_path / 'whole', 40))
