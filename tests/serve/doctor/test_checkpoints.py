"""Checkpoints and configs, good and bad."""

import os
import pickle
import shutil
import types

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert.table import flatten, unflatten
from gair_jax.models import gair
from gair_jax.sensors import contract
from gair_jax.serve.doctor.checkpoints import looks_drawn
from gair_jax.train import checkpoint
from gair_jax.train.saver import Saver
from tests.models import small
from tests.serve.doctor.made import fine, only, texts

CONTRACTS = {'rs': contract('sentinel2_10'), 'sv': contract('street_view_rgb')}


def write(folder, params, contracts=None):
    saver = Saver(folder, small.config(), CONTRACTS if contracts is None else contracts)
    saver.save_best(types.SimpleNamespace(step=7, params=params), 1.0)
    saver.close()
    return folder


@pytest.fixture(scope='module')
def params():
    return small.drawn(gair.build(small.config()).init)


@pytest.fixture(scope='module')
def sound(tmp_path_factory, params):
    return write(tmp_path_factory.mktemp('sound') / 'run', params)


@pytest.fixture
def run(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / 'run')


def test_a_sound_checkpoint_is_fine(sound):
    assert fine(sound)
    assert 'step 7' in texts(sound)[0] and 'rs sentinel2_10' in texts(sound)[0]
    assert fine(sound / 'best/7')


def test_one_without_a_contract(tmp_path, params):
    path = write(tmp_path / 'run', params, {'sv': CONTRACTS['sv']})
    only(path, 'unusable', "encoder 'rs'", 'contract', 'sentinel2_10')


def test_a_contract_other_than_the_config_says(tmp_path, params):
    path = write(tmp_path / 'run', params, {**CONTRACTS, 'sv': contract('street_view_half')})
    only(path, 'suspicious', 'street_view_half', 'street_view_rgb')


@pytest.mark.parametrize('part', ['ocdbt.process_0/d', 'd', 'manifest.ocdbt', 'cut'])
def test_parts_that_are_missing(run, part, capfd):
    """Said in one sentence, without what Orbax logs of each array."""
    folder = run / 'best/7/params'
    if part == 'cut':
        largest = max(folder.rglob('d/*'), key=lambda path: path.stat().st_size)
        os.truncate(largest, largest.stat().st_size // 2)
    elif part.endswith('d'):
        shutil.rmtree(folder / part)
    else:
        (folder / part).unlink()
    only(run, 'unusable', 'damaged', str(folder))
    with pytest.raises(InputError, match='damaged'):
        checkpoint.load(run)
    assert capfd.readouterr().err == ''


def test_one_whose_record_is_missing(run):
    (run / 'best/7/_CHECKPOINT_METADATA').unlink()
    only(run / 'best/7', 'unusable', 'checkpoint')


def test_writing_that_was_cut_short(run):
    part = run / 'best/9.orbax-checkpoint-tmp-3'
    part.mkdir()
    only(run, 'suspicious', part.name, 'cut short')
    only(part, 'unusable', 'cut short')


def test_a_workdir_without_any(tmp_path):
    (tmp_path / 'checkpoints').mkdir()
    only(tmp_path, 'unusable', 'checkpoint')


def test_parameters_that_are_not_finite(tmp_path, params):
    broken = jax.tree.map(np.array, params)
    broken['location']['frequencies'][0, 0] = np.nan
    only(write(tmp_path / 'run', broken), 'unusable', 'location/frequencies', 'in 1 of')


def test_parameters_of_another_shape(tmp_path, params):
    other = {**params, 'nili': {}}
    only(write(tmp_path / 'run', other), 'unusable', 'nili/', 'no such parameter')


def test_parameters_as_drawn(tmp_path, params):
    leaves = flatten(params)
    leaves |= {name: np.zeros_like(leaf) for name, leaf in leaves.items() if name.endswith('bias')}
    leaves |= {name: np.ones_like(leaf) for name, leaf in leaves.items() if name.endswith('scale')}
    drawn = unflatten(leaves)
    only(write(tmp_path / 'run', drawn), 'suspicious', 'before the first step')
    assert looks_drawn(flatten(small.rs_alone()))  # what the model itself draws


def test_one_bias_that_moved_is_training():
    start = {'a/bias': np.zeros(3), 'b/scale': np.ones(3), 'a/kernel': np.full(3, 9.0)}
    assert looks_drawn(start)
    assert not looks_drawn({**start, 'a/bias': np.array([0, 1e-9, 0])})
    assert not looks_drawn({**start, 'b/scale': np.array([1, 1, 1.001])})
    assert not looks_drawn({'a/kernel': np.zeros(3)})


def test_files_that_hold_no_known_layout(tmp_path):
    save = pytest.importorskip('safetensors.numpy').save_file
    save({'a.weight': np.ones((2, 2), np.float32)}, tmp_path / 'other.safetensors')
    only(tmp_path / 'other.safetensors', 'unusable', 'gair_release', 'a.weight')
    whole = (tmp_path / 'other.safetensors').read_bytes()
    (tmp_path / 'cut.safetensors').write_bytes(whole[:-4])
    only(tmp_path / 'cut.safetensors', 'unusable', 'safetensors')


def test_a_pickle_with_code_in_it_is_never_run(tmp_path):
    pytest.importorskip('torch')

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / 'sprung'), 'w')

    path = tmp_path / 'model.pth'
    path.write_bytes(pickle.dumps({'model': Trap()}, protocol=2))
    only(path, 'unusable', 'never built')
    assert not (tmp_path / 'sprung').exists()


def test_official_layouts_are_recognised(tmp_path):
    """GeoCLIP's location encoder, the smallest of them, drawn and written as it is published."""
    torch = pytest.importorskip('torch')
    from gair_jax.convert import geoclip
    from gair_jax.convert.table import restore

    config = small.config()
    config.model.rs.enabled = config.model.sv.enabled = False
    config.model.location.hidden = (16, 16, 16)
    tree = small.drawn(gair.build(config).init)
    state = restore({'location': tree['location']}, geoclip.rules(3))
    path = tmp_path / 'location_encoder_weights.pth'
    torch.save({key: torch.from_numpy(np.array(value)) for key, value in state.items()}, path)
    assert fine(path)
    assert 'geoclip' in texts(path)[0]
