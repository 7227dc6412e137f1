import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import colour


def test_true_colour_is_found_by_name():
    assert colour.true_colour('sentinel2_10').tolist() == [2, 1, 0]
    assert colour.true_colour('sentinel2_rgb').tolist() == [0, 1, 2]
    with pytest.raises(InputError, match='street_view_rgb'):
        colour.true_colour('street_view_rgb')


def test_statistics_of_a_ramp():
    """Columns 0..9 in the first band: mean, spread and percentiles of the digits; step 1 across."""
    images = np.zeros((2, 10, 10, 3), np.float32)
    images[..., 0] = np.arange(10)
    found = colour.statistics(images)
    assert found.shape == (2, 21)
    np.testing.assert_allclose(
        found[0, ::3], [4.5, np.arange(10).std(), 0.9, 4.5, 8.1, 0, 1], atol=1e-6
    )
    assert (found[:, 1::3] == 0).all()


def test_nearest_colour_finds_a_planted_patch(rng):
    """Photos in another unit than the window, each of the colour of one pixel of it."""
    rgb = rng.random((60, 8, 8, 3)).astype(np.float32)
    at = rng.integers(8, size=(60, 2))
    ground = rgb[np.arange(60), at[:, 0], at[:, 1]]
    # Standardisation is exact only where ground colours are spread as the pixels are.
    scaled = (ground - ground.mean(0)) / ground.std(0) * rgb.reshape(-1, 3).std(0)
    rgb[np.arange(60), at[:, 0], at[:, 1]] = scaled + rgb.reshape(-1, 3).mean(0)
    photo = np.zeros((60, 4, 4, 3), np.float32)
    photo[:, 2:] = 50 + 10 * ground[:, None, None]
    found = colour.nearest_colour(photo, rgb)
    expected = (2 * at[:, ::-1] + 1) / 8 - 1
    assert np.mean(np.abs(found - expected).max(axis=1) < 1e-6) > 0.8
