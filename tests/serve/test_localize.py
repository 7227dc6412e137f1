"""Localized embeddings: what each window says, blended."""

import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.input.raster_files import RasterArray
from gair_jax.serve.localize import localize
from gair_jax.serve.windows import window_grid
from tests.serve.test_windows import weight_by_hand

SHAPE = (40, 52)


@pytest.fixture(scope='module')
def raster():
    values = np.random.default_rng(0).integers(1, 4000, (*SHAPE, 10)).astype(np.uint16)
    return RasterArray(values, sensors.contract('sentinel2_10'))


def points(n=25):
    found = np.random.default_rng(1).random((n, 2)) * SHAPE[::-1]
    found[:6] = [
        [0, 0],
        [52, 40],
        [52, 0],
        [12, 12],
        [16, 7.5],
        [28, 24],
    ]  # corners, window borders
    return found


def of_one_window(engine, raster, row, col, at, size=16):
    """A window by itself, without any code of `serve`'s windows."""
    xy = jnp.asarray(2 * (at - [col, row]) / size - 1, jnp.float32)[None]
    rs = engine.rs_input(raster.window(row, col, size, size), raster.sensor)
    grid = engine.model.encode_rs(engine.params, jnp.asarray(rs)[None])['patch_grid']
    found = engine.model.query(engine.params, grid, xy, 'gather')[0]
    return np.asarray(engine.model.project(engine.params, 'rs', found))


@pytest.mark.slow
def test_it_is_the_weighted_mean_over_windows(tiny, raster):
    grid, at = window_grid(SHAPE, (16, 16), 0.25), points(12)
    total, weights = 0.0, 0.0
    for window in range(len(grid)):
        row, col = grid.offset(window)
        weight = np.array([weight_by_hand(y, row, 16) * weight_by_hand(x, col, 16) for x, y in at])[
            :, None
        ]
        if weight.any():
            total = total + weight * of_one_window(tiny, raster, row, col, at)
            weights = weights + weight
    np.testing.assert_allclose(localize(tiny, raster, grid, at), total / weights, atol=2e-5)


@pytest.mark.slow
def test_one_window_is_an_ordinary_query(tiny, raster):
    small = RasterArray(raster.window(3, 5, 16, 16), raster.sensor)
    at = np.random.default_rng(2).random((9, 2)) * 16
    found = localize(tiny, small, window_grid((16, 16), (16, 16), 0.25), at)
    np.testing.assert_allclose(found, of_one_window(tiny, small, 0, 0, at), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize('per_window', [0, 30])
def test_a_point_gets_the_same_whoever_asks_with_it(tiny, raster, per_window):
    grid, at = window_grid(SHAPE, (16, 16), 0.25), points()
    together = localize(tiny, raster, grid, at)
    apart = [localize(tiny, raster, grid, at[i::3], per_window=per_window) for i in range(3)]
    for i in range(3):
        np.testing.assert_allclose(apart[i], together[i::3], atol=1e-6)


def test_windows_without_data_say_nothing(tiny):
    values = np.random.default_rng(0).integers(1, 4000, (16, 40, 10)).astype(np.uint16)
    values[:, 12:] = 0  # the windows at columns 12 and 24 see nothing
    raster = RasterArray(values, sensors.contract('sentinel2_10'))
    at = np.array([[6.0, 8.0], [14.0, 8.0], [20.0, 8.0], [39.0, 8.0]])
    found = localize(tiny, raster, window_grid((16, 40), (16, 16), 0.25), at)
    np.testing.assert_array_equal(np.isnan(found).any(axis=1), [False, False, True, True])
    alone = of_one_window(tiny, raster, 0, 0, at[:2])
    np.testing.assert_allclose(found[:2], alone, atol=2e-5)


def test_it_tells_of_every_window(tiny, raster):
    told = []
    grid = window_grid(SHAPE, (16, 16), 0.25)
    localize(tiny, raster, grid, points(40), done=told.append)
    # 4 x 3 windows apart, and at this many points each of them has some.
    assert sum(told) == len(grid)


def test_no_points_are_no_embeddings(tiny, raster):
    found = localize(tiny, raster, window_grid(SHAPE, (16, 16), 0.25), np.zeros((0, 2)))
    assert found.shape == (0, 16)
