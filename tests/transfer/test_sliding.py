import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import sliding


def _pixelwise(params, windows):
    """A network whose answer for a pixel is the pixel, scaled."""
    return windows * params


@pytest.mark.parametrize('shape', [(40, 24), (24, 40), (16, 16), (17, 50)])
def test_an_answer_a_pixel_comes_back_whatever_the_shape(rng, shape):
    # The reference reads the wrong windows where rows and columns differ in number.
    rasters = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    found = sliding.sliding(_pixelwise, 16)(jnp.float32(2), rasters)
    np.testing.assert_allclose(found, 2 * rasters, atol=1e-6)


def test_starts_are_those_of_the_protocol():
    np.testing.assert_array_equal(sliding.starts(512, 96), [0, 83, 166, 250, 333, 416])
    np.testing.assert_array_equal(sliding.starts(96, 96), [0])
    np.testing.assert_array_equal(sliding.starts(40, 16), [0, 12, 24])


def test_overlaps_are_averaged():
    """Windows 0..15 and 8..23 of a 24-pixel row: a network that answers its window's mean."""
    rasters = np.zeros((1, 16, 24, 1), np.float32)
    rasters[..., 8:, :] = 1

    def mean(params, windows):
        return jnp.broadcast_to(windows.mean(axis=(1, 2), keepdims=True), windows.shape)

    found = sliding.sliding(mean, 16)(None, rasters)[0, 0, :, 0]
    np.testing.assert_allclose(found, [0.5] * 8 + [0.75] * 8 + [1.0] * 8, atol=1e-6)


def test_the_number_of_windows_a_forward_changes_nothing(rng):
    rasters = rng.normal(size=(1, 40, 24, 2)).astype(np.float32)
    one, many = (
        sliding.sliding(_pixelwise, 16, at_most=n)(jnp.float32(1), rasters) for n in (1, 7)
    )
    np.testing.assert_allclose(one, many, atol=1e-6)


def test_a_raster_smaller_than_a_window():
    with pytest.raises(InputError, match=r'window: expected 1\.\.12 pixels, .* found 16'):
        sliding.sliding(_pixelwise, 16)(jnp.float32(1), np.zeros((1, 12, 40, 1), np.float32))
