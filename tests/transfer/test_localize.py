import numpy as np
import pytest

from gair_jax.geo.sphere import EARTH_RADIUS_M
from gair_jax.transfer import localize


def test_best_point_is_the_centre_of_the_highest_cell():
    similarity = np.zeros((2, 4, 4))
    similarity[0, 0, 3] = similarity[1, 2, 1] = 1.0
    np.testing.assert_allclose(localize.best_point(similarity), [[0.75, -0.75], [-0.25, 0.25]])


def test_a_flat_map_answers_the_centre():
    np.testing.assert_allclose(localize.best_point(np.ones((3, 5, 7))), 0.0, atol=1e-12)


def test_half_width_of_a_utm_tile():
    """96 x 48 pixels of 10 m on the central meridian: a window of 32 is 160 m to either side."""
    bounds = np.array([499_520.0, 5_500_000.0, 500_480.0, 5_499_520.0])
    half = localize.half_width_m(bounds, 'EPSG:32633', (48, 96), (32, 32))
    # The scale factor is 0.9996, and the sphere's metre is up to 0.5 % off the ellipsoid's.
    np.testing.assert_allclose(half, 160.0, rtol=6e-3)


def test_half_width_of_a_tile_in_degrees():
    bounds = np.array([10.0, 60.01, 10.02, 59.99])
    half = localize.half_width_m(bounds, 'EPSG:4326', (100, 100), (50, 50))
    north = EARTH_RADIUS_M * np.radians(0.02) / 4
    np.testing.assert_allclose(half, [north * 0.5, north], rtol=1e-4)


def test_errors_are_pythagoras_in_metres():
    xy, half = np.array([[0.5, -0.5]]), np.array([[30.0, 40.0]])
    np.testing.assert_allclose(localize.errors_m(xy + [[0.1, -0.1]], xy, half), [5.0])


@pytest.mark.parametrize('sizes', [[8] * 20, [1, 2, 3, 4], [5, 1, 1, 1, 2]])
def test_permuted_photos_come_from_another_tile(sizes):
    tile = np.repeat(np.arange(len(sizes)) * 7 + 3, sizes)
    other = localize.permuted_among_tiles(tile, seed=1)
    assert sorted(other) == list(range(len(tile)))
    assert (tile[other] != tile).all()


def test_no_other_tile_is_said():
    assert localize.permuted_among_tiles(np.array([4, 4, 4, 9]), seed=0) is None
