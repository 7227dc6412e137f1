"""Each layout is told from its keys, sized from its shapes, and its table leads there and back."""

import dataclasses

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import sources
from gair_jax.convert.table import convert, restore
from gair_jax.models import gair
from tests.convert import states

# Source -> a state dict, and another spelling of it that must be told alike.
LAYOUTS = {
    'gair_release': states.gair,
    'gair_history': states.history,
    'croma': states.croma,
    'geoclip': states.geoclip,
    'taxabind': states.taxabind,
    'satclip': states.satclip,
    'torchspatial': states.torchspatial,
    'vit_imagenet': states.vit,
    'vit_mae': states.mae,
    'vit_mocov3': states.moco,
}

SHAPES = {}


def sized(state, name='', settings=None):
    layout = sources.recognise(state, name)
    settings = states.SETTINGS.get(layout.source, {}) if settings is None else settings
    layout = dataclasses.replace(layout, settings=settings)
    source = sources.source(layout.source)
    config = source.config(state, layout, 'release')
    return source, layout, config, shapes(repr(config), config)


def shapes(text, config):
    if text not in SHAPES:
        SHAPES[text] = jax.eval_shape(gair.build(config).init, jax.random.key(0))
    return SHAPES[text]


def test_every_source_is_tested():
    assert set(LAYOUTS) == set(sources.SOURCES)


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_state_dict_is_recognised_and_comes_back_bit_for_bit(name):
    state = LAYOUTS[name]()
    source, layout, _, template = sized(state)
    assert layout.source == name
    rules = source.rules(template, layout)
    tree = convert(state, rules, template, source.unused(template, layout))
    again = restore(tree, rules)
    assert set(again) <= set(state) and len(again) > 0.4 * len(state)
    for key, array in again.items():
        np.testing.assert_array_equal(array, state[key], strict=True)


@pytest.mark.parametrize('name', [n for n in LAYOUTS if n != 'vit_mocov3'])
def test_a_prefix_of_data_parallel_training_changes_nothing_but_the_names(name):
    state = {f'module.{key}': value for key, value in LAYOUTS[name]().items()}
    source, layout, _, template = sized(state)
    assert layout.source == name and layout.prefix.startswith('module.')
    rules = source.rules(template, layout)
    tree = convert(state, rules, template, source.unused(template, layout))
    assert set(restore(tree, rules)) <= set(state)


@pytest.mark.parametrize('name', LAYOUTS)
def test_each_missing_key_is_named(name):
    """Whichever is absent, the sentence names it, or at least what it belongs to."""
    state = LAYOUTS[name]()
    source, layout, _, template = sized(state)
    used = restore(
        convert(state, source.rules(template, layout), template, source.unused(template, layout)),
        source.rules(template, layout),
    )
    for key in used:
        fewer = {k: v for k, v in state.items() if k != key}
        with pytest.raises(InputError) as error:
            source, layout, _, template = sized(fewer, name)
            rules = source.rules(template, layout)
            convert(fewer, rules, template, source.unused(template, layout))
        assert key in str(error.value), error.value


@pytest.mark.parametrize('name', LAYOUTS)
def test_an_unknown_key_is_named(name):
    state = {**LAYOUTS[name](), 'mystery.weight': np.zeros((2, 2), np.float32)}
    source, layout, _, template = sized(state)
    with pytest.raises(InputError, match='mystery.weight: expected no such key'):
        convert(state, source.rules(template, layout), template, source.unused(template, layout))


def test_sizes_are_read_off_the_shapes():
    config = sized(states.gair())[2]
    rs, sv, location = config.model.rs, config.model.sv, config.model.location
    assert (rs.dim, rs.depth, rs.mlp_dim, rs.patch, rs.heads) == (16, 2, 32, 8, 16)
    assert (sv.dim, sv.depth, sv.mlp_dim, sv.patch) == (16, 2, 32, 16)
    assert (config.input.rs.size, config.input.sv.size) == (32, 32)
    assert (location.frequencies, location.hidden, len(location.sigma)) == (8, (16,), 3)
    assert config.model.embed_dim == 16 and config.model.nili.hidden == ()
    assert not config.model.rs.final_norm
    croma = sized(states.croma())[2]
    assert (croma.input.rs.sensor, croma.model.rs.dim) == ('sentinel2_12', 16)
    assert croma.model.rs.final_norm and croma.model.embed_dim == 16
    geoclip = sized(states.geoclip(sigma=(1, 16, 256)))[2].model
    assert (geoclip.location.sigma, geoclip.embed_dim) == ((1.0, 16.0, 256.0), 12)
    vit = sized(states.vit(dim=128))[2]
    assert (vit.model.sv.heads, vit.model.sv.qkv_bias, vit.input.sv.size) == (2, True, 32)


@pytest.mark.parametrize(
    ('state', 'pooling', 'sensor'),
    [
        (states.vit(), 'class', 'street_view_half'),
        (states.mae(), 'class', 'street_view_imagenet'),
        (states.mae(norm='fc_norm'), 'mean_norm', 'street_view_imagenet'),
        (states.moco(), 'class', 'street_view_imagenet'),
    ],
)
def test_vits_differ_in_pooling_and_statistics(state, pooling, sensor):
    config = sized(state)[2]
    assert (config.model.sv.pooling, config.input.sv.sensor) == (pooling, sensor)


def test_the_user_may_name_the_source():
    assert sources.recognise(states.vit(), 'vit_mae').source == 'vit_mae'
    with pytest.raises(InputError, match='expected croma, found keys such as cls_token'):
        sources.recognise(states.vit(), 'croma')
    with pytest.raises(InputError, match=r"source: expected one of gair_history.*found 'resnet'"):
        sources.recognise(states.vit(), 'resnet')


def test_an_unknown_file_is_told_what_is_understood():
    with pytest.raises(InputError, match=r'one of the layouts gair_history, .*vit_mae, .*conv1'):
        sources.recognise({'conv1.weight': np.zeros((2, 3, 7, 7))})


@pytest.mark.parametrize(
    ('state', 'key', 'shape', 'words'),
    [
        (
            states.gair,
            'rs_encoder.s2_encoder.linear_input.weight',
            (16, 650),
            'square patches of 10',
        ),
        (states.gair, 'imnet.weight', (16,), r'an array of 2 axes, found shape \(16,\)'),
        (states.croma, 's2_encoder.linear_input.weight', (16, 7 * 64), 'or 3 bands, found 448'),
        (states.vit, 'pos_embed', (1, 8, 16), r'square of patches and the class token, found 7'),
        (states.vit, 'patch_embed.proj.weight', (16, 13, 16, 16), 'expected 3 channels'),
    ],
)
def test_shapes_that_size_nothing_are_refused(state, key, shape, words):
    with pytest.raises(InputError, match=words):
        sized({**state(), key: np.zeros(shape, np.float32)})
