import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.geo.sphere import EARTH_RADIUS_M, great_circle_m, vmf_noise


def places(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), rng.uniform(-89, 89, count)], axis=-1)


def vectors(lonlat):
    lon, lat = np.deg2rad(lonlat).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def test_known_distances():
    """A degree of the equator, a quarter and a half of the globe, over the antimeridian."""
    degree = np.pi / 180 * EARTH_RADIUS_M
    a = np.array([[0.0, 0.0], [0.0, 0.0], [30.0, 40.0], [179.5, 0.0]])
    b = np.array([[1.0, 0.0], [77.0, 90.0], [-150.0, -40.0], [-179.5, 0.0]])
    # At antipodes the haversine is flat: half of float64's digits are left.
    np.testing.assert_allclose(great_circle_m(a, b) / degree, [1, 90, 180, 1], rtol=1e-8)


def test_agrees_with_the_angle_between_vectors():
    a, b = places(200, 1), places(200, 2)
    angle = np.arctan2(
        np.linalg.norm(np.cross(vectors(a), vectors(b)), axis=-1),
        np.sum(vectors(a) * vectors(b), axis=-1),
    )
    np.testing.assert_allclose(great_circle_m(a, b), angle * EARTH_RADIUS_M, rtol=1e-12)


def test_on_the_device_to_two_metres():
    """float32 longitudes near 140 degrees are 1.5e-5 degrees apart, 1.7 m on the equator."""
    a = np.array([139.7, 35.6]) + places(50) / 1e3
    device = great_circle_m(jnp.float32(a[:, None]), jnp.float32(a[None]), xp=jnp)
    assert device.shape == (50, 50)
    np.testing.assert_allclose(device, great_circle_m(a[:, None], a[None]), atol=3, rtol=1e-4)


@pytest.mark.parametrize('kappa', [0.01, 1.0, 100.0, 300.0])
def test_vmf_noise_moves_by_the_closed_form(kappa):
    """The mean cosine of the angle moved is coth(kappa) - 1/kappa; 5 standard errors."""
    start = places(40_000)
    moved = vmf_noise(start, kappa, np.random.default_rng(0))
    # 1 - cosine from the chord, which keeps its digits at small angles.
    drop = np.sum((vectors(start) - vectors(moved)) ** 2, axis=-1) / 2
    expected = 1 - (1 / np.tanh(kappa) - 1 / kappa)
    assert abs(drop.mean() - expected) < 5 * drop.std() / np.sqrt(len(drop))


def test_vmf_noise_has_no_preferred_direction():
    start = np.tile([[139.7, 60.0]], (40_000, 1))
    moved = vectors(vmf_noise(start, 50.0, np.random.default_rng(3)))
    up = vectors(start)[0]
    sideways = moved - (moved @ up)[:, None] * up
    error = sideways.std(axis=0).max() / np.sqrt(len(start))
    assert np.abs(sideways.mean(axis=0)).max() < 5 * error
    # Equal spread north and east.
    east = sideways @ np.array([-np.sin(np.deg2rad(139.7)), np.cos(np.deg2rad(139.7)), 0])
    north = np.sum(sideways**2, axis=-1) - east**2
    assert abs(np.mean(east**2) / np.mean(north) - 1) < 0.05


def test_kappa_300_moves_a_point_about_460_km():
    """Mean of a Rayleigh angle of scale 1/sqrt(kappa): sqrt(pi / 600) of the radius, 461 km."""
    start = places(40_000)
    moved = great_circle_m(start, vmf_noise(start, 300.0, np.random.default_rng(0)))
    assert abs(moved.mean() - np.sqrt(np.pi / 600) * EARTH_RADIUS_M) < 5e3


def test_vmf_noise_repeats_and_stays_on_the_globe():
    start = np.array([[180.0, 0.0], [0.0, 90.0], [10.0, -90.0]])
    once, again = (vmf_noise(start, 5.0, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert (np.abs(once) <= [180, 90]).all()
    assert np.isfinite(vmf_noise(start, 1e9, np.random.default_rng(0))).all()
