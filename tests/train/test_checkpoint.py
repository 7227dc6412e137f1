"""Checkpoints carry everything a reader needs, and refuse what is not theirs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.config import BankConfig, Config, InputError
from gair_jax.presets import history
from gair_jax.train import checkpoint, memory_bank
from gair_jax.train.saver import Saver
from gair_jax.train.state import TrainState


def state(step, value=1.0):
    bank = memory_bank.create(BankConfig(size=3), 4, jax.random.key(0))
    params = {'rs': {'kernel': jnp.full((2, 3), value)}}
    return TrainState(jnp.int32(step), params, {'count': jnp.int32(step)}, bank, {})


def saver(folder, keep=2):
    config = Config()
    config.checkpoint.keep = keep
    return Saver(folder, config, {'rs': sensors.CONTRACTS['sentinel2_10']})


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
    assert again.best_loss == 2.0
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


def test_a_setting_that_an_older_run_did_not_know_had_its_default():
    stored, now = checkpoint.to_json(Config()), Config()
    del stored['model']['clip_hidden'], stored['input']['sv']['sensor']
    assert checkpoint.differences(stored, now) == []
    now.input.sv.sensor = 'street_view_half'
    assert checkpoint.differences(stored, now) == [
        "input.sv.sensor was 'street_view_rgb', now 'street_view_half'"
    ]


CARRIED = {
    'queue.pointer': np.array([2**40 + 1], np.int64),
    'logit_scale': np.array(2.659, np.float32),
    'a/b.c': np.arange(6, dtype=np.float16).reshape(2, 3),
    'mask': np.array([True, False]),
    'empty': np.zeros((0, 3), np.float32),
}
ORIGIN = {'path': 'x.pth', 'layout': {'source': 'croma', 'head': None}, 'groups': ['a']}


def write(folder, **changes):
    """A converted checkpoint."""
    values = {
        'config': history(),
        'params': {'rs': {'kernel': np.arange(6, dtype=np.float32).reshape(2, 3)}},
        'contracts': {'rs': sensors.CONTRACTS['sentinel2_12']},
        'carried': CARRIED,
        'origin': ORIGIN,
    } | changes
    checkpoint.write(folder, **values)


def test_a_converted_checkpoint_is_one_folder_that_holds_everything(tmp_path):
    write(tmp_path / 'made' / 'here')
    config, params, contracts = checkpoint.load(tmp_path / 'made' / 'here')
    assert config == history()
    assert contracts == {'rs': sensors.CONTRACTS['sentinel2_12']}
    assert isinstance(params['rs']['kernel'], jax.Array)
    np.testing.assert_array_equal(params['rs']['kernel'], np.arange(6).reshape(2, 3))
    assert checkpoint.origin(tmp_path / 'made' / 'here') == ORIGIN
    carried = checkpoint.carried(tmp_path / 'made' / 'here')
    assert carried.keys() == CARRIED.keys()
    for key, array in CARRIED.items():
        assert carried[key].dtype == array.dtype
        np.testing.assert_array_equal(carried[key], array, strict=True)


def test_a_training_run_carries_nothing(tmp_path):
    writer = saver(tmp_path)
    writer.save(state(1))
    writer.close()
    assert checkpoint.carried(tmp_path) == {} and checkpoint.origin(tmp_path) == {}


def test_what_is_there_already_is_not_written_over(tmp_path):
    write(tmp_path / 'made')
    with pytest.raises(InputError, match=r'made: expected a new name .* found this there'):
        write(tmp_path / 'made', carried={})
    assert set(checkpoint.carried(tmp_path / 'made')) == set(CARRIED)


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), RuntimeError('else')])
def test_a_write_that_fails_leaves_nothing(error, tmp_path, monkeypatch):
    def fail(path, items, **kwargs):
        (path.parent / f'{path.name}.orbax-checkpoint-tmp-7').mkdir()
        raise error

    monkeypatch.setattr(checkpoint.ocp, 'save_checkpointables', fail)
    with pytest.raises(InputError if isinstance(error, OSError) else RuntimeError):
        write(tmp_path / 'made')
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_of_orbax_has_the_name_that_is_cleaned_up(tmp_path, monkeypatch):
    seen = []
    rename = checkpoint.os.rename

    def watch(source, target, **kwargs):
        seen.append(str(source))
        return rename(source, target, **kwargs)

    monkeypatch.setattr(checkpoint.os, 'rename', watch)
    monkeypatch.setattr(checkpoint.pathlib.Path, 'rename', lambda self, target: watch(self, target))
    write(tmp_path / 'made')
    assert any('made.orbax-checkpoint-tmp' in name for name in seen), seen


def test_a_record_of_another_format_is_refused():
    values = checkpoint.record(history(), {})
    assert checkpoint.read_record(values)[0] == history()
    with pytest.raises(InputError, match='expected format 1 of gair_jax, found 2'):
        checkpoint.read_record({**values, 'format': 2})
