"""How windows cover a raster and share its points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.serve.windows import LEAST_WEIGHT, share, window_grid

SIDES = st.integers(8, 60)


def weight_by_hand(at, offset, size):
    """A triangle over the window, zero outside of it."""
    if not offset <= at <= offset + size:
        return 0.0
    return max(min(at - offset, offset + size - at) / size, LEAST_WEIGHT)


@st.composite
def grids(draw):
    size = draw(st.integers(4, 8)), draw(st.integers(4, 8))
    return window_grid((draw(SIDES), draw(SIDES)), size, draw(st.sampled_from([0, 0.25, 0.5, 0.8])))


@given(grids(), st.integers(0, 2**31))
def test_shares_are_those_of_a_loop_over_all_windows(grid, seed):
    height, width = (offsets[-1] + size for offsets, size in zip(grid[1:], grid.size, strict=True))
    points = np.random.default_rng(seed).random((7, 2)) * (width, height)
    # Half of them on whole pixels, so also on the borders of windows.
    points[::2] = np.round(points[::2])
    expected = np.zeros((len(grid), len(points)))
    for window in range(len(grid)):
        row, col = grid.offset(window)
        for i, (x, y) in enumerate(points):
            down, across = (
                weight_by_hand(y, row, grid.size[0]),
                weight_by_hand(x, col, grid.size[1]),
            )
            expected[window, i] = down * across
    expected /= expected.sum(axis=0)
    shares, found = share(grid, points), np.zeros_like(expected)
    found[shares.window, shares.point] = shares.weight
    np.testing.assert_allclose(found, expected, atol=1e-12)
    order = np.lexsort((shares.point, shares.window))
    np.testing.assert_array_equal(order, np.arange(len(order)))


@given(grids())
def test_every_corner_of_the_raster_is_seen(grid):
    """Weights are no less than tiny there, and add up to 1."""
    height, width = (offsets[-1] + size for offsets, size in zip(grid[1:], grid.size, strict=True))
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    shares = share(grid, corners)
    total = np.bincount(shares.point, shares.weight, minlength=4)
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_windows_lie_a_stride_apart_and_the_last_ends_at_the_edge():
    grid = window_grid((100, 64), (32, 32), 0.25)
    np.testing.assert_array_equal(grid.rows, [0, 24, 48, 68])
    np.testing.assert_array_equal(grid.cols, [0, 24, 32])
    assert len(grid) == 12 and grid.offset(7) == (48, 24)


def test_a_point_fades_out_of_a_window_before_it_leaves_it():
    grid = window_grid((32, 56), (32, 32), 0.25)  # windows at columns 0 and 24
    x = np.linspace(24, 32, 33)
    shares = share(grid, np.stack([x, np.full(33, 16.0)], axis=-1))
    left = np.zeros(33)
    left[shares.point[shares.window == 0]] = shares.weight[shares.window == 0]
    assert left[0] > 0.99 and left[-1] < 0.01 and np.abs(np.diff(left)).max() < 0.04


@pytest.mark.parametrize('overlap', [-0.1, 1, float('nan')])
def test_overlap_is_a_share(overlap):
    with pytest.raises(InputError, match='overlap'):
        window_grid((32, 32), (8, 8), overlap)


def test_a_raster_smaller_than_a_window_is_refused():
    with pytest.raises(InputError, match='at least 32 x 32 pixels.*found 20 x 40'):
        window_grid((20, 40), (32, 32), 0.25)
