import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.geo.windows import place_window, window_xy
from gair_jax.input.transforms import flip, flip_xy
from gair_jax.models.interpolation import bicubic, bilinear


def patch_means(window, patch):
    """A toy encoder that commutes with flips: the mean of each patch, [1, h, w, C]."""
    h, w, c = window.shape
    grid = window.reshape(h // patch, patch, w // patch, patch, c).mean(axis=(1, 3))
    return jnp.float32(grid[None])


@pytest.mark.parametrize('read', [bilinear, bicubic])
@pytest.mark.parametrize('padding', ['border', 'zeros'])
def test_flipping_image_and_xy_leaves_the_localized_embedding(read, padding):
    """Cut around a photo's place, flipped or not, encoded and read at xy."""
    rng = np.random.default_rng(0)
    tile = rng.normal(size=(80, 100, 4))
    for _ in range(10):
        tile_xy = rng.uniform(-1, 1, 2)
        row, col = place_window(tile_xy, (80, 100), (32, 48), 'random', rng)
        window = tile[row : row + 32, col : col + 48]
        xy = window_xy(tile_xy, (80, 100), row, col, (32, 48))
        straight, flipped, forgotten = (
            np.asarray(read(patch_means(image, 8), jnp.float32(at[None, None]), padding))
            for image, at in ((window, xy), (flip(window), flip_xy(xy)), (flip(window), xy))
        )
        np.testing.assert_allclose(flipped, straight, atol=1e-5)
        assert np.abs(forgotten - straight).max() > 1e-3
