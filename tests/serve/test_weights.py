"""Weights are read from wherever they lie, and say what they are."""

import dataclasses
import sys
import types

import jax
import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.convert import files
from gair_jax.convert.files import StateFile
from gair_jax.models import gair
from gair_jax.serve import conversion, weights
from gair_jax.train import checkpoint
from tests.convert import states
from tests.models import small

REVISION = '0123abc'


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    pytest.importorskip('safetensors')
    path = tmp_path_factory.mktemp('weights') / 'gair.safetensors'
    files.write(path, StateFile(state=states.gair()))
    return path


@pytest.fixture(scope='module')
def converted(file):
    made, folder = conversion.from_file(file), file.parent / 'ours'
    checkpoint.write(
        folder,
        made.config,
        made.params,
        made.contracts,
        carried=made.carried,
        origin=made.origin(str(file)),
    )
    return folder


def test_a_file_and_its_conversion_are_the_same_weights(file, converted):
    read = [weights.read(path) for path in (file, converted)]
    jax.tree.map(np.testing.assert_array_equal, read[0].params, read[1].params)
    assert read[0].config == read[1].config
    plain = [{side: c.to_dict() for side, c in w.contracts.items()} for w in read]  # nan != nan
    assert plain[0] == plain[1]
    assert read[0].origin.sha256 == read[1].origin.sha256
    assert [w.origin.source for w in read] == ['gair_release'] * 2
    assert [w.origin.path for w in read] == [str(file), str(converted)]
    assert all(isinstance(leaf, jax.Array) for w in read for leaf in jax.tree.leaves(w.params))
    assert set(plain[0]) == {'rs', 'sv'}


def test_a_training_step_says_which(tmp_path):
    config = small.config('paper')
    params = small.drawn(gair.build(config).init)
    contracts = {'rs': sensors.CONTRACTS['sentinel2_10']}
    step = tmp_path / 'run' / 'checkpoints' / '40'
    checkpoint.write(step, config, params, contracts, carried={}, origin={})
    for path in (step, tmp_path / 'run'):
        origin = weights.read(path).origin
        assert (origin.source, origin.step) == ('gair_jax', 40)
        assert dataclasses.asdict(origin)['path'] == str(path)


def test_the_fingerprint_is_of_names_shapes_and_bytes():
    tree = {'a': {'kernel': np.arange(6, dtype=np.float32).reshape(2, 3)}, 'b': np.zeros(2)}
    mark = weights.fingerprint(tree)
    assert mark == weights.fingerprint({'b': tree['b'], 'a': tree['a']})
    kernel = tree['a']['kernel']
    for other in (kernel.reshape(3, 2), kernel.astype(np.float64), -kernel, kernel + 0.1):
        assert weights.fingerprint({**tree, 'a': {'kernel': other}}) != mark
    assert weights.fingerprint({**tree, 'a': {'weight': kernel}}) != mark
    turned = {**tree, 'a': {'kernel': np.asfortranarray(kernel)}}
    assert weights.fingerprint(turned) == mark  # the same numbers, laid out otherwise


@pytest.mark.parametrize('path', ['nowhere', 'nowhere.pth', 'nowhere.safetensors'])
def test_an_absent_path_is_named(path, tmp_path):
    pytest.importorskip('safetensors')
    with pytest.raises(InputError, match=rf'{tmp_path / path}: no such'):
        weights.read(tmp_path / path)


class Hub(types.ModuleType):
    """A stand-in for huggingface_hub: what is asked of it, and a file or an error for answer."""

    def __init__(self, answer):
        super().__init__('huggingface_hub')
        self.answer, self.asked = answer, []

    def hf_hub_download(self, repo_id, filename, revision):
        self.asked.append((repo_id, filename, revision))
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


def test_the_hub_is_asked_for_the_revision_that_the_user_pins(file, monkeypatch):
    hub = Hub(file)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    path = 'hf://zpl99/GAIR/weights/gair.safetensors'
    read = weights.read(path, revision=REVISION)
    assert hub.asked == [('zpl99/GAIR', 'weights/gair.safetensors', REVISION)]
    assert (read.origin.path, read.origin.revision) == (path, REVISION)
    assert read.origin.sha256 == weights.read(file).origin.sha256


def test_without_a_revision_nothing_is_fetched(file, monkeypatch):
    hub = Hub(file)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    with pytest.raises(InputError, match=r'hf://a/b/c.pth: expected a revision'):
        weights.read('hf://a/b/c.pth')
    weights.read(file)
    assert hub.asked == []


@pytest.mark.parametrize('path', ['hf://a/b', 'hf://a', 'hf://', 'hf://a//c.pth'])
def test_a_hub_name_in_part_is_refused(path):
    with pytest.raises(InputError, match='expected hf://owner/name/file'):
        weights.read(path, revision=REVISION)


def test_a_hub_out_of_reach_is_one_sentence(monkeypatch):
    cause = ConnectionError('Cannot reach the hub\nand a long trace')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', Hub(cause))
    with pytest.raises(InputError, match=r'revision 0123abc \(Cannot reach the hub\)\.$'):
        weights.read('hf://a/b/c.pth', revision=REVISION)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(InputError, match=r"pip install 'gair_jax\[hub\]'"):
        weights.read('hf://a/b/c.pth', revision=REVISION)
