import itertools
import json
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest

from gair_jax import cli, config_files
from gair_jax.bench import train
from gair_jax.bench.runner import Runner
from gair_jax.bench.training import compilations, drawn, shapes, training
from gair_jax.config import InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.train import sharding
from tests.train.tiny import tiny_config

pytestmark = pytest.mark.slow


def test_random_batches_are_as_those_of_a_data_set(toy_set):
    config = tiny_config(*toy_set)
    for dtype in ('float32', 'bfloat16'):
        config.model.dtype = dtype
        real, made, other = Pipeline(config, 'train').batch(0), drawn(config, 0), drawn(config, 1)
        wanted = {name: (x.shape, x.dtype) for name, x in real.items()}
        assert {name: (x.shape, x.dtype) for name, x in made.items()} == wanted
        assert {name: (x.shape, x.dtype) for name, x in shapes(config).items()} == wanted
        assert (made['rs'] != other['rs']).mean() > 0.9


@pytest.mark.parametrize('data', ['random', 'config'])
def test_the_verb_times_steps_and_says_what_bounds_them(data, config_file, capsys):
    run = ['bench', 'train', f'--config={config_file}', '--steps=2', f'--data={data}', '--batch=8']
    assert cli.main([*run, '--json']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found['sizes']['batch'] == 8 and len(found['ours']['each']) == 2
    assert found['compilations_after_first_step'] == 0
    assert found['verdict']['by'] in ('input', 'compute', 'memory', 'communication')
    assert found['peak_bytes'] > found['ours']['compiled_temporary_bytes'] > 0
    assert found['mfu']['of_data_sheet'] is None and 0 < found['mfu']['of_product'] < 1
    assert found['rate'] == pytest.approx(
        found['flops']['from_sizes'] / found['ours']['seconds'], rel=0.01
    )
    assert found['run']['steps'] == 6  # as the config says
    assert found['first_loss']['ours'] > 0 and found['peer'] is None


def test_compiling_is_noticed_and_calling_again_is_not():
    function, given, longer = jax.jit(lambda x: 2 * x + 1), jnp.ones(3), jnp.ones(4)
    with compilations() as found:
        function(given)
    assert len(found) == 1
    with compilations() as found:
        function(given + given)
    function(longer)  # no longer listened to
    assert len(found) == 1  # the sum


def test_waiting_for_a_batch_and_work_of_the_host_are_told_apart(toy_set):
    config = tiny_config(*toy_set)

    def slow():
        for batch in itertools.cycle([drawn(config, 0)]):
            time.sleep(0.2)
            yield batch

    made = training(config, sharding.make_mesh(jax.devices()[:1]))
    runner = Runner(made, slow(), seed=0)
    losses = [runner() for _ in range(3)]
    assert losses[2] < losses[0]  # it does train
    assert runner.last(2).waited >= 0.2 > runner.last(2).seconds > 0


def test_the_length_of_a_run_is_its_steps_or_its_epochs(config_file):
    config = config_files.load(str(config_file), ['--config.steps=0', '--config.epochs=3'])
    assert train.whole_run(config, 0, 2.0) == {'steps': None, 'seconds': None}
    # 3 x 40 / 4
    assert train.whole_run(config, 40, 2.0) == {'steps': 30, 'seconds': 60.0}


def test_a_config_beside_a_peer_is_refused(config_file):
    with pytest.raises(InputError, match="--config: with --peer the model is the peer's"):
        train.bench(train.Sizes(config=str(config_file)), 0, 'torch_gair.py')


@pytest.mark.slow
def test_an_accelerator_host_has_all_that_is_imported():
    code = (
        'import sys; from gair_jax import cli; '
        "cli.main(['bench', 'train', '--config=configs/pretrain/quickstart.py', '--batch=4', "
        "'--steps=1']); "
        "print([m for m in ('torch', 'rasterio', 'PIL', 'grain', 'orbax') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == '[]', ran.stderr
