import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.geo.projection import SCALE, equal_earth


def test_corners_of_the_map():
    """Closed form: the scale was chosen so that the antimeridian on the equator is at x = 1."""
    places = np.array([[0.0, 0.0], [180.0, 0.0], [-180.0, 0.0], [0.0, 90.0], [0.0, -90.0]])
    xy = equal_earth(places)
    np.testing.assert_allclose(xy[:3], [[0, 0], [1, 0], [-1, 0]], atol=1e-7)
    t = np.pi / 3  # theta at the pole
    top = (1.340264 * t - 0.081106 * t**3 + 0.000893 * t**7 + 0.003796 * t**9) * SCALE
    np.testing.assert_allclose(xy[3:], [[0, top], [0, -top]], atol=1e-12)


def test_areas_are_equal():
    """What the projection is for: the Jacobian over cos(lat) is the same everywhere."""
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-179, 179, 200), rng.uniform(-85, 85, 200)], axis=-1)
    h = 1e-4
    east = (equal_earth(places + [h, 0]) - equal_earth(places - [h, 0])) / (2 * h)
    north = (equal_earth(places + [0, h]) - equal_earth(places - [0, h])) / (2 * h)
    area = east[:, 0] * north[:, 1] - east[:, 1] * north[:, 0]
    density = area / np.cos(np.deg2rad(places[:, 1]))
    np.testing.assert_allclose(density, density[0], rtol=1e-6)


@pytest.mark.parametrize('xp', [np, jnp])
def test_float32_is_close_to_float64(xp):
    rng = np.random.default_rng(1)
    places = np.stack([rng.uniform(-180, 180, 500), rng.uniform(-90, 90, 500)], axis=-1)
    places = places.astype(np.float32)
    single = equal_earth(xp.asarray(places), xp)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, equal_earth(places.astype(np.float64)), atol=3e-7, rtol=0)
