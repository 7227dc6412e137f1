"""Location encoders of SatCLIP, TaxaBind and TorchSpatial: what is read, and what is refused."""

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import sources, torchspatial
from gair_jax.convert.table import convert, restore
from gair_jax.geo.place_encodings import NAMES
from tests.convert import states
from tests.convert.test_sources import sized

SCALES = {'spa_f_act': 'tanh', 'frequency_num': 3, 'min_radius': 0.5, 'max_radius': 90.0}
# Columns of the first layer: (encodings a frequency) x 3, or fixed.
WIDTHS = {
    'wrap_ffn': 4, 'xyz': 3, 'NeRF': 96, 'Space2Vec-grid': 12, 'Space2Vec-theory': 18,
    'Sphere2Vec-sphereC': 9, 'Sphere2Vec-sphereC+': 18, 'Sphere2Vec-sphereM': 15,
    'Sphere2Vec-sphereM+': 24, 'Sphere2Vec-dfs': 48, 'spherical_harmonics': 25, 'rff': 6,
}  # fmt: skip


def settings_of(name):
    more = {
        'rff': {'map_range': [-10, 20, -30, 40]},
        'spherical_harmonics': {'legendre_poly_num': 5},
    }
    return {'spa_enc_type': name, **SCALES, **more.get(name, {})}


def test_every_encoder_of_torchspatial_has_a_width_here():
    assert set(WIDTHS) | {'wrap'} == set(torchspatial.NAMES)
    assert set(NAMES) - set(torchspatial.NAMES.values()) == {'rbf', 'tile', 'satclip', 'geoclip'}


@pytest.mark.parametrize('name', WIDTHS)
def test_each_encoder_goes_there_and_back(name):
    state = states.torchspatial(WIDTHS[name], name)
    source, layout, config, template = sized(state, settings=settings_of(name))
    location = config.model.location
    assert location.encoder == torchspatial.NAMES[name] and config.model.embed_dim == 12
    assert (location.sizes.hidden, location.sizes.activation) == ((8,), 'tanh')
    rules = source.rules(template, layout)
    again = restore(convert(state, rules, template, source.unused(template, layout)), rules)
    assert set(state) - set(again) == {'class_emb.weight'}
    for key, array in again.items():
        np.testing.assert_array_equal(array, state[key], strict=True)


def test_wrap_is_told_by_its_keys():
    source, layout, config, template = sized(states.wrap(), settings={})
    assert (config.model.location.encoder, config.model.embed_dim) == ('wrap', 12)
    rules = source.rules(template, layout)
    unused = source.unused(template, layout)
    again = restore(convert(states.wrap(), rules, template, unused), rules)
    assert set(states.wrap()) - set(again) == {'class_emb.weight', 'user_emb.weight'}


def test_a_regressor_of_mosaiks_holds_an_encoder():
    held = {f'loc_enc.{key}': value for key, value in states.torchspatial().items()}
    others = {'cnn_ffn.0.weight': (4, 4), 'regress_ffn.0.bias': (4,)}
    state = held | states.drawn(others)
    source, layout, config, template = sized(state)
    assert config.model.location.encoder == 'rff' and layout.prefix == 'loc_enc.'
    tree = convert(state, source.rules(template, layout), template, source.unused(template, layout))
    np.testing.assert_array_equal(
        tree['location']['directions'], state['loc_enc.spa_enc.position_encoder.dirvec']
    )


def test_sizes_are_those_of_the_file():
    rff = sized(states.torchspatial())[2].model.location.sizes
    assert rff.extent == (-162.0, -59.0, 20.0, 56.0) and rff.frequencies == 6
    grid = sized(states.torchspatial(12, 'grid'), settings=settings_of('Space2Vec-grid'))[
        2
    ].model.location.sizes
    assert (grid.frequencies, grid.min_radius, grid.max_radius) == (3, 0.5, 90.0)
    # These two take 1, whatever the file says.
    for name in ('Sphere2Vec-sphereM+', 'Sphere2Vec-dfs'):
        state = states.torchspatial(WIDTHS[name], name)
        assert sized(state, settings=settings_of(name))[2].model.location.sizes.min_radius == 1
    found = sized(states.satclip(), settings={'harmonics_calculation': 'closed-form'})[2].model
    sizes = found.location.sizes
    assert (sizes.degrees, sizes.form, sizes.hidden) == (4, 'normalised', (8, 8))
    assert (found.location.encoder, found.embed_dim) == ('satclip', 12)


@pytest.mark.parametrize('prefix', ['', 'model.', 'location.', 'model.location.'])
def test_satclip_is_found_under_any_of_its_names(prefix):
    network = {
        key.removeprefix('model.location.'): value
        for key, value in states.satclip().items()
        if key.startswith('model.location.')
    }
    state = {prefix + key: value for key, value in network.items()}
    source, layout, _, template = sized(state)
    assert (layout.source, layout.prefix) == ('satclip', prefix)
    convert(state, source.rules(template, layout), template, source.unused(template, layout))


def test_taxabind_is_told_from_geoclip_by_the_model_beside_it():
    whole, alone = states.taxabind(), states.geoclip()
    assert sources.recognise(whole).prefix == 'location_encoder.'
    assert sources.recognise(alone).source == 'geoclip'
    assert sources.recognise(alone, 'taxabind').source == 'taxabind'
    inner = {f'location_encoder.{key}': value for key, value in alone.items()}
    trees = []
    for state, name in ((whole, ''), (alone, 'taxabind'), (inner, 'geoclip')):
        source, layout, _, template = sized(state, name)
        unused = source.unused(template, layout)
        trees.append(convert(state, source.rules(template, layout), template, unused))
    jax.tree.map(np.testing.assert_array_equal, trees[0], trees[1])
    jax.tree.map(np.testing.assert_array_equal, trees[0], trees[2])


def test_two_networks_under_satclips_names_are_refused():
    state = states.satclip()
    state['model.nnet.layers.1.bias'] = state['model.nnet.layers.1.bias'] + 1
    with pytest.raises(InputError, match=r'model.nnet.layers.1.bias: expected the numbers of mode'):
        sized(state)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (
            {},
            r'harmonics_calculation: expected in the hyper-parameters .*--settings, found nothing',
        ),
        ({'harmonics_calculation': 'discretized'}, "one of analytic, closed-form, found 'discret"),
        ({'harmonics_calculation': 'analytic', 'legendre_polys': 5}, 'polys: expected 4, as .* 16'),
        ({'harmonics_calculation': 'analytic', 'le_type': 'grid'}, 'le_type: expected sphericalha'),
        ({'harmonics_calculation': 'analytic', 'pe_type': 'fcnet'}, 'pe_type: expected siren'),
    ],
)
def test_what_satclip_does_not_say_is_asked_for(settings, words):
    with pytest.raises(InputError, match=words):
        sized(states.satclip(), settings=settings)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'spa_enc_type': None}, 'spa_enc_type: expected in the hyper-parameters'),
        ({'spa_enc_type': 'tile_ffn'}, r"spa_enc_type: expected one of wrap, .*found 'tile_ffn'"),
        ({'spa_enc_type': 'rbf'}, "found 'rbf'"),
        ({'spa_f_act': None}, 'spa_f_act: expected in the hyper-parameters'),
        ({'spa_f_act': 'swish'}, "spa_f_act: expected one of leakyrelu, .*found 'swish'"),
        ({'frequency_num': None}, 'frequency_num: expected in the hyper-parameters'),
        ({'min_radius': 0}, 'min_radius: expected a number above 0, found 0'),
        ({'max_radius': 'far'}, "max_radius: expected a number above 0, found 'far'"),
        ({'skip_connection': False}, 'skip_connection: expected true'),
        ({'spa_enc_type': 'rff'}, 'position_encoder.dirvec: expected an array of 2 axes, found no'),
    ],
)
def test_what_torchspatial_does_not_say_is_asked_for(change, words):
    settings = {**settings_of('Space2Vec-grid'), **change}
    settings = {name: value for name, value in settings.items() if value is not None}
    with pytest.raises(InputError, match=words):
        sized(states.torchspatial(12, 'grid'), settings=settings)


def test_another_number_of_frequencies_is_a_misshaped_layer():
    state = states.torchspatial(12, 'grid')
    settings = settings_of('Space2Vec-grid') | {'frequency_num': 4}
    source, layout, _, template = sized(state, settings=settings)
    with pytest.raises(InputError, match=r'layers.0.linear.weight: .* \(8, 16\), found \(8, 12\)'):
        convert(state, source.rules(template, layout), template, source.unused(template, layout))


def test_an_extent_of_two_numbers_is_refused():
    settings = states.SETTINGS['torchspatial'] | {'map_range': [0, 1]}
    with pytest.raises(InputError, match='map_range: expected west, east, south, north, found'):
        sized(states.torchspatial(), settings=settings)
