"""`gair convert` of SatCLIP and TorchSpatial: hyper-parameters, the way back, the references."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import gair_jax
from gair_jax import cli
from gair_jax.config import InputError, PlaceSizes
from gair_jax.convert import files
from gair_jax.convert.files import StateFile
from gair_jax.geo.place_encodings import fixed
from gair_jax.geo.spherical_harmonics import spherical_harmonics
from gair_jax.models import gair
from gair_jax.serve import conversion
from gair_jax.serve.conversion import Options
from tests.convert import states
from tests.models import small
from tests.parity import weights
from tests.serve.conftest import saved as saved_checkpoint
from tests.serve.test_conversion import assert_same, stored, written
from tests.shared import shared

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')

PLACES = np.array([[8.5417, 47.3769], [-122.25, -60.5], [180.0, 89.0], [0.0, 0.0]])
CASES = [
    'baselines/satclip_location_analytic_l10', 'baselines/satclip_location_closed_l10',
    'baselines/geoclip_location', 'location/satclip_sh10_analytic',
    'location/satclip_sh10_closed_form', 'location/satclip_sh40_closed_form',
    *(f'location/ts_{name}' for name in (
        'wrap', 'wrap_ffn', 'xyz', 'nerf', 'rff', 'space2vec-grid', 'space2vec-theory',
        'sphere2vec-spherec', 'sphere2vec-spherecplus', 'sphere2vec-spherem',
        'sphere2vec-spheremplus', 'sphere2vec-dfs', 'spherical_harmonics')),
]  # fmt: skip


def saved(path, state, entry='', **settings):
    """A file of torch's, with hyper-parameters under `entry` as a training script writes them."""
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
    torch.save({'state_dict': tensors, 'epoch': 3, **({entry: settings} if entry else {})}, path)
    return path


@pytest.mark.parametrize('name', CASES)
def test_the_references_give_the_same_embeddings(name, tmp_path, capsys):
    """A converted file of a case's weights, compared by `gair convert --case`."""
    path = shared(f'parity/{name}.npz')
    case = weights.load(path)
    entry = 'params' if 'ts_' in name else 'hyper_parameters'
    said = {key: value for key, value in case.kwargs.items() if value is not None}
    said |= {'network': torch.float32} if entry == 'params' else {}  # no plain value: not read
    file = saved(tmp_path / 'in.ckpt', case.params, entry, **said)
    ran = cli.main(['convert', str(file), str(tmp_path / 'ours'), '--case', str(path)])
    text = capsys.readouterr().out
    assert ran == 0 and 'embedding' in text, text
    if 'geoclip' in name:
        return
    found = gair_jax.load(tmp_path / 'ours').encode_location(
        case.inputs[case.kwargs.get('input', 'lonlat')]
    )
    kept = [i for i in range(len(found)) if i not in _skipped(case)]
    np.testing.assert_allclose(found[kept], case.outputs['embedding'][kept], atol=3e-5)


def _skipped(case):
    return case.meta.get('skip_rows', {}).get('embedding', [])


def test_places_are_encoded_before_they_are_rounded(tmp_path):
    """At 1e-7 degrees a place rounded to float32 is another one."""
    config = small.config()
    config.model.rs.enabled = config.model.sv.enabled = False
    config.model.nili.kind = 'mean'
    sizes = PlaceSizes(hidden=(8,), frequencies=4, min_radius=1e-7)
    config.model.location.encoder, config.model.location.sizes = 'grid', sizes
    loaded = gair_jax.load(saved_checkpoint(config, tmp_path / 'ours'))
    made, encode = fixed('grid', sizes), gair.build(config).encode_location
    exact, rounded = (
        encode(loaded.params, jnp.asarray(made(places), jnp.float32))
        for places in (PLACES, PLACES.astype(np.float32))
    )
    found = loaded.encode_location(PLACES)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert np.abs(found - rounded).max() > 0.05


@pytest.mark.parametrize('form', ['analytic', 'closed-form'])
def test_the_form_of_harmonics_is_the_files_own(form, tmp_path):
    """Odd orders turn over and order 0 shrinks by pi between the two, so embeddings differ."""
    state = states.satclip()
    file = saved(tmp_path / 'in.ckpt', state, 'hyper_parameters', harmonics_calculation=form)
    made = conversion.from_file(file)
    assert not any('hyper_parameters' in remark for remark in made.remarks)
    found = gair_jax.load(file).encode_location(PLACES)
    ours = {'analytic': 'analytic', 'closed-form': 'normalised'}[form]
    x = spherical_harmonics(PLACES, 4, ours)
    for i, w0 in ((0, 30), (1, 1)):
        layer = f'model.location.nnet.layers.{i}'
        x = np.sin(w0 * (x @ state[f'{layer}.weight'].T + state[f'{layer}.bias']))
    last = 'model.location.nnet.last_layer'
    expected = x @ state[f'{last}.weight'].T + state[f'{last}.bias']
    # A phase of 30 (W x + b), some hundreds, is rounded by 1e-5 in float32.
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ('name', 'ending'), [('satclip', '.pth'), ('torchspatial', '.safetensors')]
)
def test_every_entry_comes_back_bit_for_bit(name, ending, tmp_path):
    state = getattr(states, name)()
    settings = tmp_path / 'settings.json'
    settings.write_text(json.dumps(states.SETTINGS[name]))
    file = stored(tmp_path / f'in{ending}', state, 'model')
    made = written(file, tmp_path / 'ours', Options(settings=str(settings)))
    assert made.layout.source == name and dict(made.layout.settings) == states.SETTINGS[name]
    back = conversion.to_state(tmp_path / 'ours')
    files.write(tmp_path / f'out{ending}', back.file)
    assert_same(files.read(tmp_path / f'out{ending}').state, state)
    # What was written says of itself what it was built with.
    again = conversion.from_file(tmp_path / f'out{ending}')
    assert again.config.model == made.config.model


def test_float64_is_rounded_and_said_so(tmp_path):
    state = {key: value.astype(np.float64) for key, value in states.satclip().items()}
    file = saved(tmp_path / 'in.ckpt', state, 'hyper_parameters', harmonics_calculation='analytic')
    made = written(file, tmp_path / 'ours')
    assert any('float64, ours are float32' in remark for remark in made.remarks)
    back = conversion.to_state(tmp_path / 'ours').file.state
    assert back['model.location.nnet.layers.0.weight'].dtype == np.float64


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('{"harmonics_calculation": "closed-form"}', "expected 'analytic', which the weights say"),
        ('{"harmonics": "analytic"}', "names of harmonics_calculation, .*found 'harmonics'"),
        ('{"harmonics_calculation": {}}', 'harmonics_calculation: expected a text, a number'),
        ('[1]', 'expected a JSON object, found list'),
        ('{', 'no readable JSON file'),
    ],
)
def test_bad_settings_are_one_sentence(given, words, tmp_path, capsys):
    file = saved(
        tmp_path / 'in.ckpt', states.satclip(), 'hyper_parameters', harmonics_calculation='analytic'
    )
    settings = tmp_path / 'settings.json'
    settings.write_text(given)
    with pytest.raises(InputError, match=words):
        conversion.from_file(file, Options(settings=str(settings)))
    arguments = ['convert', str(file), str(tmp_path / 'ours'), '--settings', str(settings)]
    assert cli.main(arguments) == 2
    assert not (tmp_path / 'ours').exists()


def test_settings_are_for_sources_that_need_them(tmp_path):
    settings = tmp_path / 'settings.json'
    settings.write_text('{"harmonics_calculation": "analytic"}')
    file = stored(tmp_path / 'in.pth', states.geoclip())
    with pytest.raises(InputError, match='none, as geoclip needs none'):
        conversion.from_file(file, Options(settings=str(settings)))


def test_a_layout_has_a_place_for_its_own_encoder_alone(tmp_path):
    file = stored(tmp_path / 'in.pth', states.geoclip())
    written(file, tmp_path / 'ours')
    with pytest.raises(InputError, match='of satclip has a place for satclip .* found geoclip'):
        conversion.to_state(tmp_path / 'ours', 'satclip')
    back = conversion.to_state(tmp_path / 'ours', 'taxabind')
    assert set(back.file.state) == {f'location_encoder.{key}' for key in states.geoclip()}
    assert isinstance(back.file, StateFile) and back.absent == ['model.*', 'logit_scale']
