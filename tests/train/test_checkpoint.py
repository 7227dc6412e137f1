"""Checkpoints carry everything a reader needs, and refuse what is not theirs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.config import BankConfig, Config, InputError, history
from gair_jax.train import checkpoint, memory_bank
from gair_jax.train.state import TrainState


def state(step, value=1.0):
    bank = memory_bank.create(BankConfig(size=3), 4, jax.random.key(0))
    params = {'rs': {'kernel': jnp.full((2, 3), value)}}
    return TrainState(jnp.int32(step), params, {'count': jnp.int32(step)}, bank, {})


def saver(folder, keep=2):
    config = Config()
    config.checkpoint.keep = keep
    return checkpoint.Saver(folder, config, {'rs': sensors.CONTRACTS['sentinel2_10']})


def test_a_config_survives_json():
    config = history()
    assert checkpoint.from_json(checkpoint.to_json(config)) == config


def test_a_config_of_another_version_names_the_field_it_does_not_know():
    stored = checkpoint.to_json(Config())
    stored['model']['rs']['swirl'] = 3
    with pytest.raises(InputError, match=r"config.model.rs: .* no field 'swirl'"):
        checkpoint.from_json(stored)


def test_differences_leave_out_what_only_concerns_running():
    stored, now = checkpoint.to_json(Config()), Config()
    now.log.every, now.checkpoint.keep = 77, 9
    assert checkpoint.differences(stored, now) == []
    now.model.rs.depth, now.model.nili.hidden = 3, (8,)
    assert checkpoint.differences(stored, now) == [
        'model.rs.depth was 0, now 3',
        'model.nili.hidden was [256, 256, 256, 256], now [8]',
    ]


def test_the_whole_state_comes_back_and_old_steps_go(tmp_path):
    writer = saver(tmp_path)
    for step in (1, 2, 3):
        writer.save(state(step, step / 3))
    writer.close()
    again = saver(tmp_path)
    assert again.latest_step() == 3
    restored = again.restore(state(0))
    for got, expected in zip(
        jax.tree.leaves(restored), jax.tree.leaves(state(3, 1.0)), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    again.close()
    assert sorted(p.name for p in (tmp_path / 'checkpoints').iterdir()) == ['2', '3']


def test_load_reads_config_contracts_and_parameters_without_the_optimiser(tmp_path):
    writer = saver(tmp_path)
    writer.save(state(4, 0.25))
    writer.close()
    for path in (tmp_path, tmp_path / 'checkpoints', tmp_path / 'checkpoints' / '4'):
        config, params, contracts = checkpoint.load(path)
        assert dataclasses.asdict(config)['checkpoint']['keep'] == 2
        assert contracts == {'rs': sensors.CONTRACTS['sentinel2_10']}
        np.testing.assert_array_equal(params['rs']['kernel'], np.full((2, 3), 0.25))


def test_the_best_checkpoint_is_the_one_of_lowest_validation_loss_and_is_preferred(tmp_path):
    writer = saver(tmp_path)
    kept = []
    for step, loss in ((1, 3.0), (2, 2.0), (3, 2.5)):
        writer.save(state(step, float(step)))
        kept.append(writer.save_best(state(step, float(step)), loss))
    writer.close()
    assert kept == [True, True, False]
    assert checkpoint.load(tmp_path)[1]['rs']['kernel'][0, 0] == 2.0
    again = saver(tmp_path)
    assert again.best_loss() == 2.0
    again.close()


@pytest.mark.parametrize('make', ['nothing', 'empty', 'rubbish', 'damaged'])
def test_what_is_no_checkpoint_is_refused_in_words(make, tmp_path):
    path = tmp_path / '5'
    if make in ('rubbish', 'empty'):
        path.mkdir()
    if make == 'rubbish':
        (path / 'notes.txt').write_text('hello')
    if make == 'damaged':
        writer = saver(tmp_path)
        writer.save(state(5))
        writer.close()
        path = tmp_path / 'checkpoints' / '5'
        (path / '_CHECKPOINT_METADATA').write_text('{')
    with pytest.raises(InputError, match=str(path)):
        checkpoint.load(path)
