"""What is kept, and what is done with checkpoints that are not whole."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.config import BankConfig, Config, InputError
from gair_jax.train import checkpoint, memory_bank
from gair_jax.train.saver import Saver
from gair_jax.train.state import TrainState


def state(step, value=0.0):
    return TrainState(
        step=jnp.int32(step),
        params={'rs': {'kernel': jnp.full((2, 3), value)}},
        opt_state=(jnp.full((2, 3), -value),),
        bank=memory_bank.create(BankConfig(size=4), 8, jax.random.key(0)),
        teacher={},
    )


def saver(folder, say=print, **changed):
    config = Config()
    for name, value in changed.items():
        setattr(config.checkpoint, name, value)
    return Saver(folder, config, {'rs': sensors.CONTRACTS['sentinel2_10']}, say)


def saved(folder, steps, **changed):
    writer = saver(folder, **changed)
    for step in steps:
        writer.save(state(step, float(step)))
    writer.close()


def steps_in(folder):
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())


def test_the_last_ones_and_every_mth_are_kept(tmp_path):
    saved(tmp_path, range(1, 10), keep=2, keep_every=3)
    assert steps_in(tmp_path / 'checkpoints') == [3, 6, 8, 9]


def newest_data_file(folder: pathlib.Path) -> pathlib.Path:
    return max(folder.rglob('d/*'), key=lambda p: p.stat().st_size)


def truncate(folder):
    file = newest_data_file(folder)
    file.write_bytes(file.read_bytes()[:-7])


def empty(folder):
    newest_data_file(folder).write_bytes(b'')


def lose_a_file(folder):
    newest_data_file(folder).unlink()


def lose_the_optimizer(folder):
    for path in sorted((folder / 'rest').rglob('*'), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / 'rest').rmdir()


def lose_the_record(folder):
    (folder / '_CHECKPOINT_METADATA').unlink()


@pytest.mark.parametrize(
    'damage', [truncate, empty, lose_a_file, lose_the_optimizer, lose_the_record]
)
def test_of_a_damaged_newest_checkpoint_it_says_so_and_takes_the_one_before(damage, tmp_path):
    saved(tmp_path, [1, 2, 3])
    damage(tmp_path / 'checkpoints' / '3')
    said = []
    again = saver(tmp_path, said.append)
    assert len(said) == 1 and 'put aside' in said[0] and '/3' in said[0]
    assert again.latest_step() == 2
    restored = again.restore(state(0))
    np.testing.assert_array_equal(restored.params['rs']['kernel'], np.full((2, 3), 2.0))
    np.testing.assert_array_equal(restored.opt_state[0], np.full((2, 3), -2.0))
    again.save(state(3, 3.0))
    again.close()
    assert steps_in(tmp_path / 'checkpoints') == [1, 2, 3]
    assert [p.name for p in (tmp_path / 'damaged').iterdir()] == ['3']


def test_where_all_are_damaged_it_starts_anew(tmp_path):
    saved(tmp_path, [1, 2])
    for step in ('1', '2'):
        truncate(tmp_path / 'checkpoints' / step)
    said = []
    again = saver(tmp_path, said.append)
    assert again.latest_step() == -1 and len(said) == 2
    again.close()


def test_what_fails_in_the_background_is_told_at_the_next_call(tmp_path, monkeypatch):
    writer = saver(tmp_path)

    class Failed:
        def result(self):
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(writer._latest, 'save_checkpointables_async', lambda *a, **k: Failed())
    writer.save(state(1))
    with pytest.raises(InputError, match='step 1 could not be written .*newest one kept is .* -1'):
        writer.wait()
    writer.close()


@pytest.mark.parametrize(
    ('error', 'full'),
    [
        (OSError(28, 'No space left on device'), True),
        (ValueError('RESOURCE_EXHAUSTED: write failed'), True),
        (TimeoutError('Timed out while waiting for a barrier.'), False),
        (ConnectionResetError('reset by peer'), False),
        (ValueError('another mistake'), False),
    ],
)
def test_a_full_disk_is_told_from_a_lost_process(error, full):
    assert checkpoint.no_room(error) == full
