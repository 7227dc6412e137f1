"""Location encoders as a side of the model: exact, drawn once, counted, and refused in words."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError, PlaceSizes
from gair_jax.geo import anchor_encodings
from gair_jax.geo.place_encodings import KERNELS, NAMES, ON_DEVICE, encoding, fixed
from gair_jax.models import flops, gair, place_encoders
from gair_jax.models.place_towers import kernels
from tests.models import small

OTHERS = [name for name in NAMES if name != 'geoclip']
PLACES = np.random.default_rng(0).uniform([-180, -90], [180, 90], (200, 2))
SIZES = PlaceSizes(hidden=(16,), degrees=5, frequencies=6, anchors=20, cell=30.0)


def config(name, sizes=SIZES):
    """A model of a location encoder alone."""
    made = small.config()
    made.model.rs.enabled = made.model.sv.enabled = False
    made.model.nili.kind = 'mean'
    made.model.location.encoder, made.model.location.sizes = name, sizes
    return made


def built(name, sizes=SIZES):
    model = gair.build(config(name, sizes))
    # Nothing is compiled but where the model draws what it encodes places by.
    init = model.init if name in ON_DEVICE else small.drawn(model.init)
    return model, init(jax.random.key(0)) if callable(init) else init


def features(model, params, places):
    """What the network behind a place is given."""
    seen = {}

    def keep(next_method, args, kwargs, context):
        if context.method_name == '__call__' and context.module.name == 'network':
            seen['x'] = args[0]
        return next_method(*args, **kwargs)

    with nn.intercept_methods(keep):
        given = jnp.asarray(model.place_input(places))
        model.location.apply({'params': params['location']}, given)
    return np.asarray(seen['x'])


def oracle(name, params, sizes):
    """The encoding in float64, with the directions and anchors that the model has drawn."""
    held = jax.tree.map(np.asarray, params['location'])
    if name == 'rff':
        return anchor_encodings.rff(PLACES, held['directions'], held['shift'], sizes.extent)
    if name == 'rbf':
        return anchor_encodings.rbf(PLACES, held['anchors'], sizes.kernel or KERNELS['rbf'])
    return fixed(name, sizes)(PLACES)


@pytest.mark.parametrize('name', OTHERS)
def test_the_network_reads_the_float64_encoding(name):
    """Within 1e-5, at places' full precision; a place rounded to float32 first misses it."""
    model, params = built(name)
    exact = oracle(name, params, SIZES)
    scale = max(1.0, np.abs(exact).max())
    np.testing.assert_allclose(features(model, params, PLACES), exact, atol=1e-5 * scale)
    network = place_encoders.network(name, SIZES, 16)
    inner = {'params': params['location']['network']}
    expected = network.apply(inner, jnp.asarray(exact, jnp.float32))
    found = model.encode_location(params, jnp.asarray(model.place_input(PLACES)))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_frequencies_of_a_millimetre_are_exact():
    """The highest of grid at 1e-8 degrees: float32 places would be other places altogether."""
    sizes = PlaceSizes(frequencies=4, min_radius=1e-8, hidden=(4,))
    made = encoding('grid', sizes, 'model.location')
    found, degrees = made(PLACES), PLACES[:, 0].astype(np.longdouble)
    exact = np.sin(degrees * np.longdouble(1e8))
    # A float64 product of 1.8e10 is rounded by 2e-6.
    np.testing.assert_allclose(found[:, 0], exact, atol=1e-5)
    rounded = made(PLACES.astype(np.float32))[:, 0]
    assert np.abs(rounded - exact).max() > 1


def test_anchors_lie_evenly_on_the_sphere():
    """The sine of the latitude is uniform: mean 0, variance 1/3, each within 4 deviations."""
    _, params = built('rbf', PlaceSizes(anchors=4000, hidden=(4,)))
    lon, lat = np.asarray(params['location']['anchors'], np.float64).T
    up = np.sin(np.deg2rad(lat))
    assert abs(up.mean()) < 4 * (1 / 3 / 4000) ** 0.5
    assert abs((up**2).mean() - 1 / 3) < 4 * (4 / 45 / 4000) ** 0.5
    assert np.abs(lon).max() <= 180 and abs(lon.mean()) < 4 * 180 * (1 / 3 / 4000) ** 0.5


@pytest.mark.parametrize('name', ['rff', 'rbf', 'satclip'])
def test_what_places_are_encoded_by_has_no_gradient(name):
    model, params = built(name)
    places = jnp.asarray(model.place_input(PLACES))
    slopes = jax.grad(lambda p: jnp.sum(model.encode_location(p, places) ** 2))(params)['location']
    assert all(float(jnp.abs(x).max()) > 0 for x in jax.tree.leaves(slopes['network']))
    assert all(float(jnp.abs(x).max()) == 0 for n, x in slopes.items() if n != 'network')
    assert set(slopes) - {'network'} == {'rff': {'directions', 'shift'}, 'rbf': {'anchors'}}.get(
        name, set()
    )


def test_operations_are_those_of_the_matrices():
    """SIREN on 25 harmonics by 16 hidden to 16; of rff the directions, 2 x 6, beside 6-16-16."""
    assert flops.place(built('satclip')[0]) == 2 * (25 * 16 + 16 * 16)
    assert flops.place(built('rff')[0]) == 2 * (2 * 6 + 6 * 16 + 16 * 16)
    assert flops.place(built('tile')[0]) == 0
    model = built('satclip')[0]
    assert set(kernels(model.location, model.place_width)) == {(25, 16), (16, 16)}


def test_names_are_of_gair_places_and_the_default_is_as_before():
    assert set(ON_DEVICE) < set(NAMES)
    model = gair.build(small.config())
    assert model.encoding is None and model.place_field == 'lonlat'
    found = model.place_input(PLACES)
    np.testing.assert_array_equal(found, PLACES.astype(np.float32), strict=True)


@pytest.mark.parametrize(
    ('name', 'change', 'words'),
    [
        ('siren', {}, r"model.location.encoder: expected one of wrap, .*, found 'siren'"),
        ('xyz', {'hidden': (8, 0)}, 'model.location.sizes.hidden: expected 1 or more, found 0'),
        ('xyz', {'activation': 'swish'}, r"sizes.activation: expected leaky_relu or .*'swish'"),
        ('satclip', {'form': 'closed-form'}, r"sizes.form: expected analytic or normalised, .*'cl"),
        ('satclip', {'degrees': 0}, 'sizes.degrees: expected 1 or more, found 0'),
        ('grid', {'frequencies': 1}, 'model.location.sizes: frequencies: expected 2 or more'),
        ('grid', {'frequencies': -1}, 'sizes.frequencies: expected 0 or more, found -1'),
        ('grid', {'min_radius': 9.0, 'max_radius': 1.0}, 'found 9.0 and 1.0'),
        ('rbf', {'anchors': 0}, 'sizes.anchors: expected 1 or more, found 0'),
        ('rff', {'kernel': -1.0}, 'sizes.kernel: expected 0 or more, found -1.0'),
        ('tile', {'cell': 0.0}, 'sizes.cell: expected 0.01 or more, found 0.0'),
        ('tile', {'extent': (5.0, 5.0, 0.0, 1.0)}, 'sizes.extent: expected west, east, south, nor'),
        ('rff', {'extent': (0.0, 1.0)}, 'sizes.extent: expected west, east, south, north, found'),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, change, words):
    with pytest.raises(InputError, match=words):
        gair.build(config(name, PlaceSizes(**change)))
