"""Priors that are counted, beside counts by hand and by all pairs."""

import numpy as np
import pytest

from gair_jax.geo.sphere import EARTH_RADIUS_M, great_circle_m
from gair_jax.transfer import counted_priors
from gair_jax.transfer.species_settings import COUNTED, CountedConfig

PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [179.9, 0.0]])
LABEL = np.array([0, 1, 1, 2])


def prior(name, places=PLACES, label=LABEL, classes=4, **settings):
    return counted_priors.build(name, CountedConfig(**settings), places, label, classes)


def test_by_hand():
    here = np.array([[0.2, 0.0], [-179.9, 0.0]])
    # Rows of classes: 1, 2, 1 and 0.
    np.testing.assert_allclose(prior('frequency')(here), [[2 / 8, 3 / 8, 2 / 8, 1 / 8]] * 2)
    found = prior('neighbours', neighbours=2)(here)
    # The second is nearest to 179.9 east, across the date line, and then to 10 east.
    np.testing.assert_allclose(found, np.array([[2, 2, 1, 1], [1, 2, 2, 1]]) / 6)
    found = prior('radius', radius_degrees=0.5)(here)
    np.testing.assert_allclose(found, [[2 / 5, 1 / 5, 1 / 5, 1 / 5], [1 / 5, 1 / 5, 2 / 5, 1 / 5]])
    found = prior('histogram', columns=36, rows=18, pseudo_count=0.5)(here)
    np.testing.assert_allclose(found[0], [1.5 / 4, 1.5 / 4, 0.5 / 4, 0.5 / 4])
    np.testing.assert_allclose(found[1], [0.25] * 4)  # an empty cell says nothing
    found = prior('kernel', kernel_degrees=1.0, kernel_neighbours=2)(here[:1])
    weights = np.array([np.exp(-(0.2**2) / 2), np.exp(-(0.8**2) / 2), 0, 0]) + 1
    np.testing.assert_allclose(found[0], weights / weights.sum(), atol=1e-12)


@pytest.fixture
def crowd():
    rng = np.random.default_rng(0)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 400)))
    return np.stack([rng.uniform(-180, 180, 400), lat], axis=1), rng.integers(0, 5, 400)


@pytest.mark.parametrize('name', ['neighbours', 'radius', 'kernel'])
def test_trees_find_what_all_pairs_find(name, crowd):
    places, label = crowd
    here = places[:150] + [0.3, 0.1] - 0.2 * np.sign(places[:150])
    angle = great_circle_m(here[:, None], places[None]) / EARTH_RADIUS_M
    if name == 'radius':
        weight = (angle <= np.deg2rad(20)).astype(float)
    else:
        weight = (angle <= np.sort(angle, axis=1)[:, 29:30]).astype(float)
        if name == 'kernel':
            weight *= np.exp(-(angle**2) / (2 * np.deg2rad(5) ** 2))
    counts = weight @ np.eye(5)[label] + 1
    made = prior(
        name, places, label, 5, neighbours=30, kernel_neighbours=30, kernel_degrees=5.0,
        radius_degrees=20.0,
    )  # fmt: skip
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made(here), expected, atol=1e-9)


@pytest.mark.parametrize('name', COUNTED)
def test_every_prior_adds_up_to_1_everywhere_and_never_rules_a_class_out(name, crowd):
    corners = np.array([[180.0, 90.0], [-180.0, -90.0], [0.0, 0.0]])
    found = prior(name, *crowd, classes=7)(corners)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.shape == (3, 7) and (found > 0).all()
