import dataclasses
import json
import pathlib
import subprocess
import sys
import types
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import cli
from gair_jax.config import InputError, LocationConfig
from gair_jax.geo.projection import equal_earth
from gair_jax.models import gair
from gair_jax.serve import location_export, location_numpy, weights
from gair_jax.serve.location_export import FORMATS, Format
from gair_jax.train.saver import Saver
from tests.models import small

SIGMA = (1.0, 16.0, 256.0)
PLACES = np.array(
    [[139.75, 35.625], [-122.25, 47.5], [0, -90], [10, 90], [180, 0], [-180, 0.5], [-180, -90]]
)
# Of the root mean square of embeddings. Between two float64 phases only float32 networks differ.
ROUNDING = 1e-5


def make(folder, **settings):
    """A checkpoint with drawn weights, frequencies at their scales; its model and parameters."""
    config = small.config()
    for name, value in settings.items():
        setattr(config.model, name, value)
    model = gair.build(config)
    params = small.drawn(model.init, spread=0.3)
    if 'frequencies' in params.get('location', {}):
        # As `drawn` made them they have the spread of weights.
        scale = np.float32(SIGMA)[:, None, None] / np.float32(0.3)
        params['location']['frequencies'] *= scale
    saver = Saver(folder, config, {})
    saver.save_best(types.SimpleNamespace(step=7, params=params), 1.0)
    saver.close()
    return model, params


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Folder with a checkpoint `run` and its export in every format; the model; its parameters."""
    folder = tmp_path_factory.mktemp('export')
    model, params = make(folder / 'run')
    reports = {
        ending: location_export.export(folder / 'run', folder / f'location{ending}')
        for ending in FORMATS
    }
    return types.SimpleNamespace(folder=folder, model=model, params=params, reports=reports)


def ours(made, places):
    """What the model says, float32 phases and all."""
    encode = jax.jit(made.model.encode_location)
    return np.asarray(encode(made.params, jnp.asarray(places, jnp.float32)))


def in_float64(params, places):
    """The encoder written out in float64."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params['location'])
    phase = 2 * np.pi * equal_earth(places) @ p['frequencies'].swapaxes(1, 2)
    x = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
    hidden, out = p['branches']['hidden_0'], p['branches']['out']
    x = np.maximum(x @ hidden['kernel'] + hidden['bias'][:, None], 0)
    return (x @ out['kernel'] + out['bias'][:, None]).sum(axis=0)


def spread(x):
    return np.sqrt(np.mean(np.square(x)))


def python(folder, *arguments):
    """A fresh interpreter in `folder`, that knows nothing of this checkout."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize('ending', FORMATS)
def test_each_format_gives_the_numbers_of_the_model(made, ending):
    report = made.reports[ending]
    encode = FORMATS[ending].read(made.folder / f'location{ending}')
    expected = ours(made, PLACES)
    assert np.abs(encode(PLACES) - expected).max() <= report.tolerance * spread(expected)
    assert 0 <= report.difference <= report.tolerance * report.scale
    assert not list(made.folder.glob('*.part'))


def test_numpy_is_nearer_to_float64_than_the_model(made):
    places = location_export.check_places()
    expected = in_float64(made.params, places)
    found = location_numpy.embed(location_export.weights_of(made.params), places)
    assert found.dtype == np.float32
    error = np.abs(found - expected).max()
    assert error <= ROUNDING * spread(expected)
    # What float64 phases are for: the model's own are float32.
    assert np.abs(ours(made, places) - expected).max() > 10 * error


def test_the_module_has_the_projection_of_the_model():
    places = location_export.check_places()
    np.testing.assert_allclose(location_numpy.equal_earth(places), equal_earth(places), atol=1e-15)


def test_the_npz_runs_and_imports_with_numpy_alone(made):
    expected = in_float64(made.params, PLACES[1:2])[0]
    ran = python(made.folder, 'location.npz', *map(str, PLACES[1]))
    assert (ran.returncode, ran.stderr) == (0, '')
    np.testing.assert_allclose(json.loads(ran.stdout), expected, atol=ROUNDING * spread(expected))
    code = (
        'import sys; sys.path.insert(0, "location.npz")\n'
        'import gair_location, os; os.chdir("/")\n'
        f'print(gair_location.encode({PLACES[1:2].tolist()})[0].tolist())\n'
        'print([m for m in ("jax", "gair_jax", "scipy") if m in sys.modules])\n'
        'print(gair_location.metadata()["embed_dim"])'
    )
    imported = python(made.folder, '-c', code)
    embedding, loaded, width = imported.stdout.splitlines()
    assert embedding == str([float(np.float32(v)) for v in json.loads(ran.stdout)])
    assert (loaded, width) == ('[]', '16')


def test_the_npz_is_read_as_arrays(made):
    with np.load(made.folder / 'location.npz', allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored['frequencies'], made.params['location']['frequencies'])
        shapes = {k: stored[k].shape for k in stored.files if k.startswith(('kernel', 'bias'))}
    assert shapes == {
        'kernel_0': (3, 16, 16), 'bias_0': (3, 16), 'kernel_1': (3, 16, 16), 'bias_1': (3, 16)
    }  # fmt: skip


def test_the_same_weights_give_the_same_file(made, tmp_path):
    location_export.export(made.folder / 'run', tmp_path / 'again.npz')
    assert (tmp_path / 'again.npz').read_bytes() == (made.folder / 'location.npz').read_bytes()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['48.85', '139.7'], 'lat in [-90, 90], found lon 48.85, lat 139.7; they look swapped.'),
        (['2.35', '91'], 'found lon 2.35, lat 91.0; they look swapped.'),
        (['200', '10'], 'found lon 200.0, lat 10.0.'),
        (['100', '91'], 'found lon 100.0, lat 91.0.'),
        (['nan', '0'], 'found lon nan, lat 0.0.'),
        (['2.35'], 'usage: python'),
        (['2.35', 'north'], 'usage: python'),
    ],
)
def test_no_place_is_one_sentence(made, arguments, words):
    ran = python(made.folder, 'location.npz', *arguments)
    assert (ran.returncode, ran.stdout) == (2, '')
    assert words in ran.stderr and ran.stderr.count('\n') == 1


def test_a_bad_row_is_named_and_a_bad_shape_refused(made):
    arrays = location_export.weights_of(made.params)
    with pytest.raises(ValueError, match='place 2: expected lon'):
        location_numpy.embed(arrays, [[0, 0], [1, 1], [35, 139]])
    with pytest.raises(ValueError, match=r'found shape \(2,\)'):
        location_numpy.embed(arrays, [2.35, 48.85])


def test_places_in_any_number(made, monkeypatch):
    arrays = location_export.weights_of(made.params)
    whole = location_numpy.embed(arrays, PLACES)
    monkeypatch.setattr(location_numpy, 'CHUNK', 3)
    np.testing.assert_allclose(location_numpy.embed(arrays, PLACES), whole, atol=1e-6)
    assert location_numpy.embed(arrays, np.zeros((0, 2))).shape == (0, 16)


def test_stablehlo_takes_any_number_of_places_on_every_platform(made):
    exported = jax.export.deserialize(bytearray((made.folder / 'location.stablehlo').read_bytes()))
    assert exported.platforms == ('cpu', 'cuda', 'tpu')
    for n in (1, 5):
        places = jnp.asarray(PLACES[:n], jnp.float32)
        np.testing.assert_allclose(exported.call(places), ours(made, PLACES)[:n], atol=1e-5)
    # An accelerator must not round what the check on a CPU did not.
    text = exported.mlir_module()
    assert text.count('stablehlo.dot_general ') == text.count('HIGHEST, HIGHEST') > 0
    assert json.loads(exported.fun_name) == made.reports['.stablehlo'].metadata


def test_stablehlo_names_no_source_file(made):
    data = (made.folder / 'location.stablehlo').read_bytes()
    sources = [str(pathlib.Path(module.__file__).parent) for module in (gair, jax)]
    assert not [source for source in sources if source.encode() in data]


def test_onnx_in_its_runtime(made):
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(made.folder / 'location.onnx')
    expected = in_float64(made.params, PLACES)
    for n in (0, 1, 7):
        found = session.run(['embedding'], {'lonlat': PLACES[:n]})[0]
        np.testing.assert_allclose(found, expected[:n], atol=ROUNDING * spread(expected))
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored['sigma']) == list(SIGMA)
    assert stored['input'].startswith('lonlat [n, 2]: longitude, latitude')


@pytest.mark.parametrize('ending', ['.stablehlo', '.onnx'])
def test_programs_that_cannot_raise_give_nan_for_no_place(made, ending):
    encode = FORMATS[ending].read(made.folder / f'location{ending}')
    places = np.array([[0, 90.001], [-181, 0], [np.nan, 0], [-180, 90], [35.6, 139.7]])
    nan = np.isnan(encode(places))
    assert nan.all(axis=1).tolist() == nan.any(axis=1).tolist() == [True, True, True, False, True]


def test_metadata(made):
    (metadata,) = {json.dumps(report.metadata) for report in made.reports.values()}
    said = json.loads(metadata)
    assert (said['embed_dim'], said['sigma']) == (16, list(SIGMA))
    origin = said['origin']
    assert (origin['path'], origin['step']) == (str(made.folder / 'run'), 7)
    assert origin['sha256'] == weights.fingerprint(made.params)
    with zipfile.ZipFile(made.folder / 'location.npz') as archive:
        assert json.loads(archive.read('metadata.json')) == said


@pytest.mark.parametrize('ending', ['.npz', '.stablehlo'])
def test_a_projection_of_the_side_is_part_of_it(ending, tmp_path):
    _, params = make(tmp_path / 'run', projections=('location',))
    location_export.export(tmp_path / 'run', tmp_path / f'location{ending}')
    encode = FORMATS[ending].read(tmp_path / f'location{ending}')
    encoded = in_float64(params, PLACES)
    kernel, bias = (params['projections']['location'][k] for k in ('kernel', 'bias'))
    expected = encoded @ np.asarray(kernel) + np.asarray(bias)[None]
    np.testing.assert_allclose(encode(PLACES), expected, atol=5e-3 * spread(expected))


def swapped(weights):
    """Latitude taken for longitude."""
    return weights._replace(frequencies=weights.frequencies[..., ::-1])


def slightly_off(weights):
    return weights._replace(kernels=[k * np.float32(1.02) for k in weights.kernels])


def not_finite(weights):
    return weights._replace(biases=[b * np.float32(np.nan) for b in weights.biases])


@pytest.mark.parametrize('damage', [swapped, slightly_off, not_finite])
def test_what_differs_from_the_model_is_not_written(made, damage, tmp_path, monkeypatch):
    true = FORMATS['.npz']

    def write(path, source):
        true.write(path, source._replace(weights=damage(source.weights)))

    monkeypatch.setitem(FORMATS, '.npz', Format(write, true.read, float64=True))
    target = tmp_path / 'location.npz'
    target.write_text('as it was')
    with pytest.raises(InputError, match='not written, because at 2000 places'):
        location_export.export(made.folder / 'run', target)
    assert [p.name for p in tmp_path.iterdir()] == ['location.npz']
    assert target.read_text() == 'as it was'


def test_the_comparison_sees_the_edges_of_the_map():
    places = location_export.check_places()
    assert places.shape == (2000, 2) and np.abs(places).max(axis=0).tolist() == [180, 90]
    np.testing.assert_array_equal(places, places.astype(np.float32))
    for corner in ([180, 0], [-180, 0], [0, 90], [0, -90]):
        assert (places == corner).all(axis=1).any()


@pytest.mark.parametrize(
    ('target', 'words'),
    [
        ('location.tflite', 'location.tflite: expected an ending of .npz, .stablehlo, .onnx.'),
        ('location', 'location: expected an ending of'),
        ('nowhere/location.npz', 'location.npz: expected a file in a folder that exists.'),
        ('folder.onnx', 'folder.onnx: expected a file in a folder that exists.'),
    ],
)
def test_a_bad_target_is_one_sentence(made, target, words, tmp_path, capsys):
    (tmp_path / 'folder.onnx').mkdir()
    assert cli.main(['export', str(made.folder / 'run'), str(tmp_path / target)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['folder.onnx']


def test_a_missing_checkpoint_package_or_encoder_is_one_sentence(
    made, tmp_path, capsys, monkeypatch
):
    model = small.config().model
    make(tmp_path / 'run', location=dataclasses.replace(model.location, enabled=False))
    target = tmp_path / 'location.onnx'
    assert cli.main(['export', str(tmp_path / 'run'), str(target)]) == 2
    assert (
        'expected a model with a location encoder, found nili, rs, sv.' in capsys.readouterr().err
    )
    assert cli.main(['export', str(tmp_path / 'nothing'), str(target)]) == 2
    assert 'nothing: ' in capsys.readouterr().err
    monkeypatch.setattr(location_export.importlib.util, 'find_spec', lambda name: None)
    assert cli.main(['export', str(made.folder / 'run'), str(target)]) == 2
    assert "pip install 'gair_jax[onnx]'" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['run']


def test_an_encoder_whose_places_the_host_encodes_is_refused(tmp_path):
    location = LocationConfig(encoder='xyz')
    make(tmp_path / 'run', location=location)
    with pytest.raises(InputError, match='export writes the encoder geoclip alone, found xyz'):
        location_export.export(tmp_path / 'run', tmp_path / 'location.npz')
    assert not (tmp_path / 'location.npz').exists()


def test_the_verb_says_how_far_the_file_is_from_the_model(made, tmp_path, capsys):
    target = tmp_path / 'places.npz'
    assert cli.main(['export', str(made.folder / 'run'), str(target)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f'{target}: location encoder, 16 wide, sigma 1, 16, 256; at 2000')
    assert 'allowed 0.00512 of that' in said.out and said.err == ''
    assert pathlib.Path(target).exists()


def test_help_teaches_by_example(capsys):
    with pytest.raises(SystemExit):
        cli.main(['export', '--help'])
    assert 'example:\n  gair export runs/quickstart location.npz' in capsys.readouterr().out
