import itertools

import numpy as np
import pytest

from gair_jax.input.synthetic import noise


def test_uniform_is_uniform_and_uncorrelated_between_neighbours():
    draws = noise.uniform(3, np.arange(300)[:, None], np.arange(-150, 150))
    counts, _ = np.histogram(draws, 10, (0, 1))
    # 90 000 draws: a bin's count has a standard deviation of 90.
    assert np.abs(counts - 9000).max() < 5 * 90
    for a, b in ((draws[1:], draws[:-1]), (draws[:, 1:], draws[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_hash_depends_on_seed_and_every_key():
    seen = {
        int(noise.hash32(*keys)) for keys in itertools.product(range(8), range(-4, 4), range(8))
    }
    assert len(seen) == 512


def _noise_by_hand(seed, x, y, scale):
    """Bilinear in the eased fractions of the four hashed corners."""
    x, y = x / scale, y / scale
    i, j = int(np.floor(x)), int(np.floor(y))
    ease = [t * t * (3 - 2 * t) for t in (x - i, y - j)]
    corners = [[noise.uniform(seed, j + b, i + a).item() for a in (0, 1)] for b in (0, 1)]
    low, high = (a + (b - a) * ease[0] for a, b in corners)
    return low + (high - low) * ease[1]


def test_value_noise_is_the_eased_mean_of_its_corners():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-500, 500, 20), rng.uniform(5e6, 5e6 + 900, 20)
    got = noise.value_noise(5, x, y, 120.0)
    expected = [_noise_by_hand(5, *point, 120.0) for point in zip(x, y, strict=True)]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_value_noise_belongs_to_the_place_not_to_the_query():
    x, y = np.meshgrid(np.arange(0.0, 400, 7), np.arange(9e6, 9e6 + 400, 7))
    whole = noise.value_noise(1, x, y, 60.0)
    part = noise.value_noise(1, x[5:9, 40:50], y[5:9, 40:50], 60.0)
    np.testing.assert_array_equal(whole[5:9, 40:50], part)


def test_sphere_noise_is_smooth_also_across_the_date_line():
    lonlat = np.array([[179.9999, 20.0], [-179.9999, 20.0], [0.0, 20.0]])
    east, west, far = noise.sphere_noise(2, lonlat, 10.0)
    assert east == pytest.approx(west, abs=1e-3)
    assert far != pytest.approx(east, abs=1e-3)


def test_noise_of_no_point_is_refused():
    with pytest.raises(ValueError):
        noise.value_noise(0, np.empty(0), np.empty(0), 1.0)
