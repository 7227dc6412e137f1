"""Files of every layout to checkpoints of ours and back, and `gair convert` around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import cli, presets
from gair_jax.config import InputError
from gair_jax.convert import files, sources
from gair_jax.convert.files import StateFile
from gair_jax.models import gair
from gair_jax.serve import conversion
from gair_jax.serve.conversion import Options
from gair_jax.train import checkpoint, start
from gair_jax.verbs import convert as verb
from tests.convert import states
from tests.convert.test_gair_release import renamed
from tests.models import small
from tests.shared import shared

torch = pytest.importorskip('torch')
pytest.importorskip('safetensors')

LAYOUTS = {
    'gair_release': states.gair,
    'gair_history': states.history,
    'croma': states.croma,
    'geoclip': states.geoclip,
    'taxabind': states.taxabind,
    'vit_imagenet': states.vit,
    'vit_mae': states.mae,
    'vit_mocov3': states.moco,
}


def stored(path, state, wrapper='', groups=()):
    files.write(path, StateFile(state=state, wrapper=wrapper, groups=groups))
    return path


def written(path, target, options=None):
    """The file converted and written; what was converted."""
    made = conversion.from_file(path, options)
    checkpoint.write(
        target,
        made.config,
        made.params,
        made.contracts,
        carried=made.carried,
        origin=made.origin(str(path)),
    )
    return made


def assert_same(found, expected):
    assert set(found) == set(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, strict=True)


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
@pytest.mark.parametrize('name', LAYOUTS)
def test_every_entry_comes_back_bit_for_bit(name, ending, tmp_path):
    state = LAYOUTS[name]()
    made = written(stored(tmp_path / f'in{ending}', state, 'model'), tmp_path / 'ours')
    assert made.layout.source == name
    back = conversion.to_state(tmp_path / 'ours')
    assert not back.absent and not back.remarks
    files.write(tmp_path / f'out{ending}', back.file)
    assert_same(files.read(tmp_path / f'out{ending}').state, state)


def test_names_of_transformers_5_and_of_data_parallel_training_come_back(tmp_path):
    state = {f'module.{key}': value for key, value in renamed(states.gair()).items()}
    made = written(stored(tmp_path / 'in.pth', state), tmp_path / 'ours')
    assert made.layout.spelling == '5'
    assert any('transformers 5' in remark for remark in made.remarks)
    assert_same(conversion.to_state(tmp_path / 'ours').file.state, state)


def test_half_precision_comes_back_as_it_was(tmp_path):
    state = {key: value.astype(np.float16) for key, value in states.vit().items()}
    made = written(stored(tmp_path / 'in.safetensors', state), tmp_path / 'ours')
    assert made.params['sv']['norm']['scale'].dtype == np.float32
    assert_same(conversion.to_state(tmp_path / 'ours').file.state, state)


def test_a_file_of_groups_gets_them_back(tmp_path):
    groups = ('s1_encoder', 's1_GAP_FFN', 's2_encoder', 's2_GAP_FFN', 'joint_encoder')
    written(stored(tmp_path / 'in.pt', states.croma(), groups=groups), tmp_path / 'ours')
    files.write(tmp_path / 'out.pt', conversion.to_state(tmp_path / 'ours').file)
    held = torch.load(tmp_path / 'out.pt', weights_only=True)
    assert set(held) == set(groups) and 'linear_input.bias' in held['s2_encoder']


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (
            lambda s: s.pop('imnet.bias'),
            'imnet.bias: expected for our nili/first/bias, found nothing',
        ),
        (lambda s: s.update(novel=np.zeros(2, np.float32)), 'novel: expected no such key'),
        (
            lambda s: s.update({'sv_encoder.layernorm.bias': np.zeros(3, np.float32)}),
            r'sv_encoder.layernorm.bias: .*shape \(16,\), found \(3,\)',
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(change, words, tmp_path, capsys):
    state = states.gair()
    change(state)
    path = stored(tmp_path / 'in.pth', state)
    with pytest.raises(InputError, match=words):
        conversion.from_file(path)
    assert cli.main(['convert', str(path), str(tmp_path / 'ours')]) == 2
    said = capsys.readouterr().err
    assert said.startswith('gair: weights: ') and said.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['in.pth']


def test_the_final_norm_of_a_history_checkpoint_is_kept_or_used(tmp_path):
    path = stored(tmp_path / 'in.pth', states.history())
    dropped, used = (conversion.from_file(path, Options(preset=p)) for p in ('release', 'history'))
    key = 'rs_encoder.s2_encoder.transformer.norm_out.weight'
    assert key in dropped.carried and 'norm' not in dropped.params['rs']
    assert any('--preset history' in remark for remark in dropped.remarks)
    np.testing.assert_array_equal(used.params['rs']['norm']['scale'], states.history()[key])
    assert used.config.model.nili.coordinates == 'history' and key not in used.carried
    with pytest.raises(InputError, match=r'norm_out.weight: expected for our rs/norm/scale'):
        conversion.from_file(stored(tmp_path / 'b.pth', states.gair()), Options(preset='history'))


def test_croma_is_cut_to_ten_bands_and_starts_a_run(tmp_path):
    path = stored(tmp_path / 'in.pth', states.croma())
    made = written(path, tmp_path / 'ten', Options(bands=10))
    assert made.config.input.rs.sensor == 'sentinel2_10'
    twelve = states.croma()['s2_encoder.linear_input.weight'].reshape(16, 12, 64)
    kernel = made.params['rs']['patch']['kernel'].reshape(10, 64, 16)
    np.testing.assert_array_equal(kernel[9], twelve[:, 11].T)

    run = small.config('paper')
    run.init.rs = str(tmp_path / 'ten')
    drawn = small.drawn(gair.build(run).init)
    started = start.apply(run, drawn)
    np.testing.assert_array_equal(
        started['rs']['patch']['kernel'], made.params['rs']['patch']['kernel']
    )
    assert started['sv'] is drawn['sv']
    written(path, tmp_path / 'twelve')
    run.init.rs = str(tmp_path / 'twelve')
    with pytest.raises(
        InputError, match=r"\['patch'\]\['kernel'\]: expected \(640, 16\), found \(768"
    ):
        start.apply(run, drawn)


def test_the_patch_embedding_may_be_drawn_anew(tmp_path):
    path = stored(tmp_path / 'in.pth', states.croma())
    plain, anew = (
        conversion.from_file(path, Options(bands=10, reinit_patch=r)).params['rs']
        for r in (False, True)
    )
    assert np.abs(anew['patch']['kernel']).max() < 0.05 and not anew['patch']['bias'].any()
    assert anew['patch']['kernel'].std() == pytest.approx(0.02 * 0.88, rel=0.1)  # truncated at 2
    jax.tree.map(np.testing.assert_array_equal, plain['transformer'], anew['transformer'])


def test_the_image_head_of_geoclip_joins_its_places(tmp_path):
    places = stored(tmp_path / 'places.pth', states.geoclip())
    head = stored(tmp_path / 'head.pth', states.image_head())
    made = written(places, tmp_path / 'ours', Options(image_head=str(head)))
    model, x = gair.build(made.config), np.random.default_rng(0).normal(size=(3, 20))
    ours = model.project_clip(made.params, jnp.asarray(x, jnp.float32))
    state = states.image_head()
    hidden = np.maximum(x @ state['0.weight'].T + state['0.bias'], 0)
    np.testing.assert_allclose(ours, hidden @ state['2.weight'].T + state['2.bias'], atol=1e-4)
    back = conversion.to_state(tmp_path / 'ours').file.state
    assert_same(back, states.geoclip() | state)
    whole = {f'location_encoder.{k}': v for k, v in states.geoclip().items()}
    whole |= {f'image_encoder.mlp.{k}': v for k, v in state.items()}
    whole |= {'image_encoder.CLIP.x': np.zeros(2, np.float32), 'logit_scale': np.float32(3.7)}
    whole = {key: np.asarray(value) for key, value in whole.items()}
    together = conversion.from_file(stored(tmp_path / 'whole.pth', whole))
    jax.tree.map(np.testing.assert_array_equal, together.params, made.params)


@pytest.mark.parametrize(
    ('state', 'options', 'words'),
    [
        (
            states.vit,
            {'preset': 'history'},
            '--preset: this is about gair, found weights of vit_im',
        ),
        (states.vit, {'bands': 10}, '--bands: this is about croma'),
        (states.gair, {'reinit_patch': True}, '--reinit-patch: this is about croma'),
        (states.croma, {'bands': 7}, '--bands: expected 10 or 12, found 7'),
    ],
)
def test_options_about_another_source_are_refused(state, options, words, tmp_path):
    with pytest.raises(InputError, match=words):
        conversion.from_file(stored(tmp_path / 'in.pth', state()), Options(**options))


def trained(folder, model):
    """A checkpoint as training leaves it."""
    params = small.drawn(gair.build(model).init)
    checkpoint.write(folder, model, params, {}, carried={}, origin={})
    return params


def test_a_checkpoint_of_ours_gets_official_names_and_is_read_again(tmp_path):
    """Its heads and hidden layers leave no trace in the shapes: the file carries the config."""
    params = trained(tmp_path / 'ours', small.config('paper'))
    back = conversion.to_state(tmp_path / 'ours')
    assert {'sv_encoder.pooler.*', 'nerf_fn.*', 'optical_proj.*'} <= set(back.absent)
    assert 'imnet.*' not in back.absent
    np.testing.assert_array_equal(
        back.file.state['imnet.layers.2.weight'], params['nili']['rest_0']['kernel'].T
    )
    for name in ('x.pth', 'x.safetensors'):
        files.write(tmp_path / name, back.file)
        again = conversion.from_file(tmp_path / name)
        assert again.config.model.rs.heads == 4 and again.config.model.sv.pooling == 'mean'
        jax.tree.map(np.testing.assert_array_equal, again.params, params)


def test_a_part_of_ours_is_written_as_another_source(tmp_path):
    trained(tmp_path / 'ours', small.config('paper'))
    back = conversion.to_state(tmp_path / 'ours', 'croma')
    assert all(key.startswith('s2_encoder.') for key in back.file.state)
    assert back.remarks == [
        'The layout of croma has no place for our location, nili, sv: left out.'
    ]
    assert 's1_encoder.*' in back.absent


def test_what_a_layout_has_no_place_for_is_refused(tmp_path):
    model = presets.paper()
    model.model = small.config('paper').model
    model.input = small.config('paper').input
    model.model.rs.qkv_bias = True
    trained(tmp_path / 'ours', model)
    with pytest.raises(
        InputError, match=r'gair_release has no place for our rs/transformer/.*bias'
    ):
        conversion.to_state(tmp_path / 'ours')
    model.model.rs.enabled = False
    trained(tmp_path / 'without', model)
    with pytest.raises(InputError, match=r"expected parameters 'rs', found \['location', 'sv'\]"):
        conversion.to_state(tmp_path / 'without', 'croma')


def test_the_command_offers_every_source():
    asked = {'satclip', 'torchspatial'}  # those that need settings: test_place_conversion.py
    assert set(verb.SOURCES) == set(sources.SOURCES) == set(LAYOUTS) | asked


def test_the_command_converts_both_ways_and_says_what(tmp_path, capsys):
    path = stored(tmp_path / 'in.pth', states.gair(), 'model')
    assert cli.main(['convert', str(path), str(tmp_path / 'ours')]) == 0
    said = capsys.readouterr().out
    assert 'gair_release ->' in said and 'nerf_fn.* (24)' in said  # 2 layers of 11, and a norm
    assert 'taken: 16 (rs) and 1 (sv)' in said
    out = tmp_path / 'out.safetensors'
    assert cli.main(['convert', str(tmp_path / 'ours'), str(out)]) == 0
    assert f'{len(states.gair())} entries' in capsys.readouterr().out
    assert_same(files.read(out).state, states.gair())
    assert cli.main(['convert', str(path), str(tmp_path / 'ours')]) == 2
    assert 'expected a new name' in capsys.readouterr().err
    assert cli.main(['convert', str(path), str(tmp_path / 'other.pth')]) == 2
    assert 'expected a checkpoint of ours' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_all_402_entries_reproduce_the_release_and_come_back(ending, tmp_path, capsys):
    from tests.parity import weights

    case = shared('parity/gair/gair_forward.npz')
    state = dict(weights.load(case).params)
    rng = np.random.default_rng(0)
    state['rs_patch_pos_encoding'] = rng.normal(size=(1, 144, 768)).astype(np.float32)
    state['logit_scale'] = np.array(np.log(1 / 0.07), np.float32)
    state['queue_for_location'] = rng.normal(size=(2, 4096)).astype(np.float32)
    state['queue_ptr_location'] = np.array([256], np.int64)
    assert len(state) == 402
    path, ours, out = (
        stored(tmp_path / f'in{ending}', state, 'model'),
        tmp_path / 'o',
        tmp_path / 'b',
    )
    assert cli.main(['convert', str(path), str(ours), '--case', str(case)]) == 0
    said = capsys.readouterr().out
    assert said.count(' ok ') == 9 and 'MISS' not in said
    assert cli.main(['convert', str(ours), f'{out}{ending}']) == 0
    assert_same(files.read(f'{out}{ending}').state, state)
