"""The parity report: a case that the model meets, one that it misses, and cases that do not fit."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.serve import parity, replay
from gair_jax.serve.weights import Origin, Weights
from gair_jax.train import checkpoint
from tests.models import small

KWARGS = {'input': 'lonlat', 'order': 'lon_lat', 'normalized': False}
PLACES = np.array([[139.75, 35.66], [-83.26, 42.48], [0, 0]], np.float32)


def places_only():
    config = small.config('paper')
    config.model.rs.enabled = config.model.sv.enabled = False
    params = small.drawn(gair.build(config).init)
    origin = Origin(path='x', source='gair_jax', revision='', step=-1, sha256='')
    return Weights(config, params, {}, origin)


def embedding(weights):
    model = gair.build(weights.config)
    return np.asarray(model.encode_location(weights.params, jnp.asarray(PLACES)))


def stored(path, outputs, kind='location_rff', kwargs=KWARGS, inputs=None, **meta):
    meta = {
        'kind': kind,
        'kwargs': kwargs,
        'slices': {'first': 'embedding[:, 0]'},
        'tolerance': {name: [1e-5, 0.0] for name in outputs},
    } | meta
    inputs = {'lonlat': PLACES} if inputs is None else inputs
    arrays = {f'in/{k}': v for k, v in inputs.items()} | {f'out/{k}': v for k, v in outputs.items()}
    np.savez(path, meta=np.array(json.dumps(meta)), **arrays)
    return path


def test_the_report_gives_figures_error_and_verdict(tmp_path):
    weights = places_only()
    right = embedding(weights)
    wrong = right + np.float32(1e-3)
    path = stored(tmp_path / 'c.npz', {'embedding': right, 'first': wrong[:, 0]})
    whole, first = replay.report(weights, parity.read_case(path))
    assert whole.ok and whole.reference.shape == (3, 16)
    assert whole.reference.mean == pytest.approx(right.mean(), abs=1e-6)
    assert whole.ours.std == pytest.approx(right.std(), rel=1e-4)
    assert not first.ok and first.error == pytest.approx(1e-3, rel=0.02)
    assert first.times == pytest.approx(100, rel=0.02)


def test_the_command_prints_it_and_exits_with_1_on_a_miss(tmp_path, capsys):
    pytest.importorskip('safetensors')
    weights = places_only()
    checkpoint.write(tmp_path / 'ours', weights.config, weights.params, {}, carried={}, origin={})
    right = embedding(weights)
    good = stored(tmp_path / 'good.npz', {'embedding': right, 'gap': np.zeros(2)})
    bad = stored(tmp_path / 'bad.npz', {'embedding': -right})
    command = ['convert', str(tmp_path / 'ours')]
    assert cli.main([*command, str(tmp_path / 'a.safetensors'), '--case', str(good)]) == 0
    said = capsys.readouterr().out
    assert 'Parity report: good.npz' in said and 'ok' in said and 'Not compared: gap' in said
    both = ['--case', str(good), '--case', str(bad)]
    assert cli.main([*command, str(tmp_path / 'b.safetensors'), *both]) == 1
    assert 'MISS' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'kind': 'swin_v1'}, "expected a case of kind gair_forward.*found 'swin_v1'"),
        ({'kwargs': {'order': 'lon_lat'}}, "expected 'input' in the case"),
        ({'kind': 'vit_sv_encoder', 'inputs': {'sv': PLACES}}, 'model.sv.enabled: the case needs'),
        ({'outputs': {'embedding': np.zeros((3, 4))}}, r'expected shape \(3, 4\), found \(3, 16\)'),
        ({'outputs': {'gap': np.zeros(3)}}, 'no output to compare'),
    ],
)
def test_cases_that_do_not_fit_are_refused(changes, words, tmp_path):
    outputs = changes.pop('outputs', {'embedding': np.zeros((3, 16))})
    path = stored(tmp_path / 'c.npz', outputs, **changes)
    with pytest.raises(InputError, match=words):
        replay.report(places_only(), parity.read_case(path))


def test_a_file_that_is_no_case_stops_the_command_before_it_writes(tmp_path, capsys):
    (tmp_path / 'c.npz').write_bytes(b'hello')
    weights = places_only()
    checkpoint.write(tmp_path / 'ours', weights.config, weights.params, {}, carried={}, origin={})
    command = ['convert', str(tmp_path / 'ours'), str(tmp_path / 'x.pth')]
    assert cli.main([*command, '--case', str(tmp_path / 'c.npz')]) == 2
    assert 'not a parity case' in capsys.readouterr().err
    assert not (tmp_path / 'x.pth').exists()


def test_levels_are_maps_of_torch_s_layout():
    levels = jnp.arange(2 * 1 * 6 * 3).reshape(2, 1, 6, 3)[:, :, :4]
    maps = replay.level_maps({'levels': levels}, 2, 'level')
    assert set(maps) == {'level0', 'level1'} and maps['level1'].shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(maps['level1'][0, :, 1, 0], levels[1, 0, 2])


def test_other_readings_of_the_grid_leave_the_model_alone():
    config = small.config('release')
    model = gair.build(config)
    other = replay._reading(model, 'bilinear')
    assert (other.nili, other.config.model.nili.kind) == (None, 'bilinear')
    assert config.model.nili.kind == 'nili' and model.nili is not None
