"""Encodings of places against SciPy, exact arithmetic and what their definitions imply."""

import decimal
import math

import numpy as np
import pytest
from scipy.special import sph_harm_y

from gair_jax.config import InputError
from gair_jax.geo import anchor_encodings, frequency_encodings
from gair_jax.geo.spherical_harmonics import spherical_harmonics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def places(rng):
    return rng.uniform([-180, -90], [180, 90], (40, 2))


EDGES = np.array([[0, 90], [10, -90], [-180, 0], [180, 0], [0, 0]], float)


@pytest.mark.parametrize('degrees', [1, 8, 40])
def test_harmonics_are_those_of_scipy_poles_included(places, degrees):
    places = np.concatenate([places, EDGES])
    found = spherical_harmonics(places, degrees, 'normalised')
    phi, theta = np.deg2rad(places + [180, 90]).T
    for l in range(degrees):  # noqa: E741
        for m in range(l + 1):
            value = sph_harm_y(l, m, theta, phi)  # with the phase
            scale = math.sqrt(2) if m else 1
            np.testing.assert_allclose(found[:, l * l + l + m], scale * value.real, atol=1e-12)
            if m:
                np.testing.assert_allclose(found[:, l * l + l - m], scale * value.imag, atol=1e-12)


def test_the_analytic_form_differs_by_pi_at_order_0_and_by_the_phase(places):
    ours, true = (spherical_harmonics(places, 5, form) for form in ('analytic', 'normalised'))
    for l in range(5):  # noqa: E741
        for m in range(-l, l + 1):
            factor = np.pi if m == 0 else (-1) ** m
            at = l * l + l + m
            np.testing.assert_allclose(ours[:, at], factor * true[:, at], atol=1e-13)


def test_harmonics_of_a_degree_have_a_constant_sum_of_squares(places):
    found = spherical_harmonics(places, 40, 'normalised')
    for l in (0, 7, 39):  # noqa: E741
        total = np.sum(found[:, l * l : (l + 1) ** 2] ** 2, axis=1)
        np.testing.assert_allclose(total, (2 * l + 1) / (4 * np.pi), rtol=1e-12)


def exact_sine(value):
    """The sine of a Decimal, reduced by 50 digits of 2 pi."""
    turn = 2 * decimal.Decimal('3.14159265358979323846264338327950288419716939937510582')
    return math.sin(float(value % turn))


def test_the_highest_frequencies_keep_their_digits():
    # 1e6 per degree: the argument is 1.2e8, of which float32 keeps no digit behind the point.
    decimal.getcontext().prec = 60
    place = np.array([[123.456789, -45.678912]])
    scales = frequency_encodings.frequencies(2, 1e-6, 1.0)
    found = frequency_encodings.grid(place, scales)
    for at, degrees in ((0, place[0, 0]), (4, place[0, 1])):
        exact = exact_sine(decimal.Decimal(degrees.item()) * decimal.Decimal(scales[0].item()))
        assert found[0, at] == pytest.approx(exact, abs=3e-8)  # half a unit of the product


def test_frequencies_run_from_the_least_radius_to_the_largest():
    found = frequency_encodings.frequencies(5, 0.01, 100)
    np.testing.assert_allclose(1 / found, [0.01, 0.1, 1, 10, 100])


@pytest.mark.parametrize('name', frequency_encodings.SCALED)
def test_places_a_turn_apart_are_one_place_for_spheres_at_frequency_one(name, places):
    ones = np.ones(3)
    found, turned = (frequency_encodings.SCALED[name](x, ones) for x in (places, places + [360, 0]))
    assert found.shape == turned.shape and np.abs(found).max() <= 1
    assert np.allclose(found, turned) == (name not in ('grid', 'theory'))


WIDTHS = {
    'grid': 4, 'theory': 6, 'sphere_c': 3, 'sphere_c_plus': 6, 'sphere_m': 5, 'sphere_m_plus': 8,
    'dfs': 4 * 7 + 4,
}  # fmt: skip


@pytest.mark.parametrize('name', WIDTHS)
def test_widths_are_those_of_the_papers(name, places):
    scales = frequency_encodings.frequencies(7, 0.1, 100)
    assert frequency_encodings.SCALED[name](places, scales).shape == (40, 7 * WIDTHS[name])


def test_the_random_features_estimate_a_gaussian_kernel(places, rng):
    near = places[:2] + rng.normal(0, 0.2, (2, 2))
    both = np.concatenate([places[:2], near])
    extent, count = (-180.0, 180.0, -90.0, 90.0), 200_000
    directions = rng.normal(0, 3, (2, count))
    shift = rng.uniform(0, 2 * np.pi, count)
    found = anchor_encodings.rff(both, directions, shift, extent)
    scaled = both / [180, 90]
    gaps = np.sum((scaled[:, None] - scaled) ** 2, axis=-1)
    np.testing.assert_allclose(found @ found.T, np.exp(-9 * gaps / 2), atol=0.02)


def test_an_anchor_is_1_at_itself_and_falls_as_a_gaussian():
    anchors = np.array([[10.0, 20.0], [30.0, 40.0]])
    found = anchor_encodings.rbf(np.array([[10.0, 20.0], [10.0, 23.0]]), anchors, 3.0)
    assert found[0, 0] == 1 and found[1, 0] == pytest.approx(math.exp(-0.5))


def test_cells_run_from_the_south_west_and_hold_what_is_outside():
    extent = (-10.0, 10.0, 0.0, 5.0)
    assert anchor_encodings.cells(extent, 4.0) == (2, 5)
    places = np.array([[-10, 0], [-6.01, 3.9], [-6, 4], [9, 4.9], [99, 99], [-99, -99]])
    found = anchor_encodings.cell_of(places, extent, 4.0)
    assert found.tolist() == [0, 0, 6, 9, 9, 0]


@pytest.mark.parametrize(
    ('call', 'said'),
    [
        (lambda x: frequency_encodings.frequencies(1, 1, 2), 'frequencies: expected 2 or more'),
        (lambda x: frequency_encodings.frequencies(4, 0, 2), 'radii: expected 0 < min_radius'),
        (lambda x: frequency_encodings.frequencies(4, 3, 2), 'found 3 and 2'),
        (lambda x: spherical_harmonics(x, 0), 'found .analytic. and 0'),
        (lambda x: spherical_harmonics(x, 3, 'closed'), "found 'closed' and 3"),
        (lambda x: anchor_encodings.cells((-1, 1, -1, 1), 0.0), 'cell side: expected degrees'),
    ],
)
def test_settings_that_cannot_be(call, said, places):
    with pytest.raises(InputError, match=said):
        call(places)
