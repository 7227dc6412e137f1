"""State dicts on disk: what comes back is what was written, and nothing that is read is run."""

import argparse
import os
import pickle
import sys

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import files
from gair_jax.convert.files import StateFile

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')
ml_dtypes = pytest.importorskip('ml_dtypes')

STATE = {
    'layers.0.weight': np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not in C order
    'pointer': np.array([2**40 + 1], np.int64),
    'logit_scale': np.array(2.659, np.float32),
    'half': np.array([1.5, np.inf], np.float16),
    'brain': np.array([1.5, -2], ml_dtypes.bfloat16),
    'double': np.array([1 / 3]),
    'mask': np.array([True, False]),
}


class Runs:
    """A pickle of this runs a command when it is read."""

    def __reduce__(self):
        return os.system, ('touch pwned',)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, strict=True)


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth', 'x.pt'])
def test_types_and_shapes_come_back(name, tmp_path):
    files.write(tmp_path / name, StateFile(state=STATE, wrapper='model', record={'config': {}}))
    found = files.read(tmp_path / name)
    assert_same(found.state, STATE)
    assert found.record == {'config': {}}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_torch_reads_what_was_written(tmp_path):
    path = tmp_path / 'x.pth'
    state = {'encoder.weight': np.ones((2, 2), np.float32), 'head.bias': np.zeros(3, np.float32)}
    files.write(path, StateFile(state=state, groups=('encoder',)))
    held = torch.load(path, weights_only=True)
    assert set(held) == {'encoder', 'head.bias'} and held['encoder']['weight'].shape == (2, 2)
    again = files.read(path)
    assert (again.groups, again.wrapper) == (('encoder',), '')
    assert_same(again.state, state)


@pytest.mark.parametrize('wrapper', files.WRAPPERS)
def test_a_training_script_s_wrapper_is_taken_off(wrapper, tmp_path):
    path = tmp_path / 'x.pth'
    held = {wrapper: {'a': torch.ones(2)}, 'epoch': 3, 'args': argparse.Namespace(lr=1e-3)}
    torch.save({**held, 'optimizer': {'state': {}}}, path)
    found = files.read(path)
    assert found.wrapper == wrapper and list(found.state) == ['a']
    assert set(found.ignored) == {'epoch', 'args', 'optimizer'}


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('legacy', [False, True])
def test_a_pickle_with_code_in_it_is_refused_unrun(protocol, legacy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held = {'model': {'a': torch.ones(2)}, 'extra': Runs()}
    if legacy:
        (tmp_path / 'x.pth').write_bytes(pickle.dumps(held['extra'], protocol=protocol))
    else:
        torch.save(held, 'x.pth', pickle_protocol=protocol)
    with pytest.raises(InputError, match=r'^x.pth: (holds Python objects beside tensors|no read)'):
        files.read('x.pth')
    assert not (tmp_path / 'pwned').exists()


def test_a_whole_module_is_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'tensors \(torch.nn.modules.linear.Linear\), which'):
        files.read(tmp_path / 'x.pth')


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth'])
@pytest.mark.parametrize('damage', ['cut', 'empty', 'text'])
def test_damaged_files_are_one_sentence(name, damage, tmp_path):
    path = tmp_path / name
    files.write(path, StateFile(state=STATE))
    whole = path.read_bytes()
    path.write_bytes({'cut': whole[: len(whole) // 2], 'empty': b'', 'text': b'hello'}[damage])
    with pytest.raises(InputError, match=rf'{path}: no readable .*\)\.$') as error:
        files.read(path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('held', 'words'),
    [
        (torch.ones(3), 'expected a dict of tensors, found Tensor'),
        ({'model': {}}, 'found no tensor in it'),
        ({'epoch': 3}, 'found no tensor in it'),
    ],
)
def test_files_without_a_state_dict_are_refused(held, words, tmp_path):
    torch.save(held, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=words):
        files.read(tmp_path / 'x.pth')


def test_what_is_absent_or_of_another_kind_is_named(tmp_path):
    with pytest.raises(InputError, match='no such file'):
        files.read(tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'expected a file ending in \.safetensors, \.pth'):
        files.read(tmp_path / 'x.npz')


@pytest.mark.parametrize(('name', 'module'), [('x.pth', 'torch'), ('x.safetensors', 'safetensors')])
def test_without_the_extra_it_says_what_to_install(name, module, tmp_path, monkeypatch):
    files.write(tmp_path / name, StateFile(state={'a': np.ones(2)}))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf'{module} is not installed.*gair_jax\[convert\]'):
        files.read(tmp_path / name)


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth'])
def test_a_failed_write_leaves_nothing(name, tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(files.os, 'replace', full)
    with pytest.raises(OSError, match='No space'):
        files.write(tmp_path / name, StateFile(state=STATE))
    assert list(tmp_path.iterdir()) == []
