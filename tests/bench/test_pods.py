import json

import jax
import pytest

from gair_jax import cli
from gair_jax.bench import links, pods
from gair_jax.bench.collectives import Collective
from gair_jax.bench.training import training
from gair_jax.train import sharding
from gair_jax.train.state import parameter_count
from tests.train.tiny import tiny_config

pytestmark = pytest.mark.slow

LINK = links.Link(inside=100.0, node=8, between=10.0, ring_from=1, peak=1.0)


def test_efficiency_is_the_time_alone_by_the_time_with_what_is_sent():
    found = [Collective('all-reduce', 800, 8, 1)]  # 14 s
    pod = pods.pod(8, 4, alone=40.0, compute=42.0, found=found, link=LINK)
    assert pod['efficiency'] == pytest.approx(40 / 56, abs=1e-4)
    assert pod['efficiency_overlapped'] == pytest.approx(40 / 42, abs=1e-4)
    assert pod['triples_per_second'] == pytest.approx(32 / 56, abs=0.1)
    assert pod['bytes_sent_per_device'] == {'all-reduce': 1400}


def test_a_step_sends_its_gradients_once(tmp_path):
    """Data parallel: each float32 slope is summed once over the devices."""
    config = tiny_config(tmp_path, 'toy', 'tiny')
    config.batch = 8
    shapes = jax.eval_shape(
        training(config, sharding.make_mesh(jax.devices()[:1])).make, jax.random.key(0)
    )
    gradients = 4 * (parameter_count(shapes.params) - shapes.params['location']['frequencies'].size)
    found = pods.sent(config, jax.devices()[:4])
    reduced = sum(c.size * c.times for c in found if c.kind == 'all-reduce')
    assert gradients <= reduced < 1.5 * gradients + 50_000


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        'from tests.train.tiny import tiny_config\n'
        f'def get_config():\n    return tiny_config({str(tmp_path)!r}, "toy", "tiny")\n'
    )
    return path


def test_the_verb_predicts_for_each_number_of_devices(config_file, capsys):
    run = ['bench', 'pods', f'--config={config_file}', '--devices=2,4', '--batch=2']
    assert cli.main([*run, '--step-seconds=0.5', '--json', '--config.bank.size=8']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found['seconds_alone'] == 0.5 and list(found['pods']) == ['2', '4']
    assert found['pods']['4']['batch'] == 8
    assert all(0 < pod['efficiency'] <= 1.1 for pod in found['pods'].values())
    assert any('as given' in each for each in found['assumptions'])


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--mfu=0'], '--mfu: expected above 0'),
        (['--devices=32'], '--devices: expected at most 8, found 32'),
        (['--devices=4', '--batch=3', '--config.accumulation=2'], 'accumulation'),
    ],
)
def test_what_cannot_be_predicted_is_one_sentence(arguments, words, config_file, capsys):
    assert cli.main(['bench', 'pods', f'--config={config_file}', *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and words in said
