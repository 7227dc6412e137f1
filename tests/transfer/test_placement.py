import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.geo.windows import place_window
from gair_jax.transfer import placement


def _windows(positions, tile, size, seed=0):
    """Windows as the pipeline places them, and where the photos fall in them."""
    rng = np.random.default_rng(seed)
    offsets = np.array(
        [place_window(p[::-1] / tile * 2 - 1, (tile, tile), size, 'random', rng) for p in positions]
    )
    xy = (positions - offsets)[:, ::-1] / size * 2 - 1
    return offsets, xy


def _keep(positions, offsets, tile, size):
    full = np.full_like(offsets, tile)
    return placement.keep_uniform(positions, offsets, full, np.full_like(offsets, size), seed=0)


def test_photos_away_from_the_border_are_all_kept(rng):
    positions = rng.uniform(31, 65, size=(400, 2))
    offsets, xy = _windows(positions, 96, 32)
    assert _keep(positions, offsets, 96, 32).all()
    assert placement.require_uniform(xy) > 0.001


@pytest.mark.parametrize('size', [64, 96])
def test_windows_that_crowd_the_border_are_thinned(size, rng):
    positions = rng.uniform(0, 128, size=(6000, 2))
    offsets, xy = _windows(positions, 128, size)
    with pytest.raises(InputError, match='Kolmogorov'):
        placement.require_uniform(xy)
    keep = _keep(positions, offsets, 128, size)
    assert 0.3 < keep.mean() < 0.7
    assert placement.require_uniform(xy[keep]) > 0.001


def test_a_window_as_large_as_the_tile_has_no_uniform_choice(rng):
    positions = rng.uniform(40, 60, size=(50, 2))
    offsets, _ = _windows(positions, 96, 96)
    assert _keep(positions, offsets, 96, 96) is None


def test_uniform_p_is_that_of_the_worse_axis(rng):
    xy = rng.uniform(-1, 1, size=(500, 2))
    assert placement.uniform_p(xy) > 1e-3
    assert placement.uniform_p(xy * [1, 0.5]) < 1e-6
    assert placement.uniform_p(xy * [0.5, 1]) < 1e-6
