import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.geo.windows import (
    cell_centres,
    centred_window,
    place_window,
    tile_xy_from_window,
    window_bounds,
    window_xy,
)

unit = st.floats(-1, 1)


@given(
    x=unit,
    y=unit,
    rows=st.integers(8, 300),
    cols=st.integers(8, 300),
    share=st.floats(0.05, 1),
    placement=st.sampled_from(['random', 'centre']),
)
def test_the_window_is_inside_and_holds_the_point(x, y, rows, cols, share, placement):
    tile_xy, shape = np.array([x, y]), (rows, cols)
    size = (max(1, int(rows * share)), max(1, int(cols * share)))
    row, col = place_window(tile_xy, shape, size, placement, np.random.default_rng(0))
    assert 0 <= row <= rows - size[0] and 0 <= col <= cols - size[1]
    xy = window_xy(tile_xy, shape, row, col, size)
    assert (np.abs(xy) <= 1 + 1e-9).all()
    back = tile_xy_from_window(xy, shape, row, col, size)
    np.testing.assert_allclose(back, tile_xy, atol=1e-12)


def test_a_window_anywhere_need_not_hold_the_point():
    rng, corner = np.random.default_rng(0), np.array([-1.0, -1.0])
    found = {place_window(corner, (4, 5), 3, 'anywhere', rng) for _ in range(100)}
    assert found == {(row, col) for row in range(2) for col in range(3)}


def test_pixels_keep_their_place():
    """The centre of tile pixel (40, 70) is that of pixel (10, 20) in the window from (30, 50)."""
    tile_xy = cell_centres(100, 200)[40, 70]
    expected = cell_centres(32, 32)[10, 20]
    np.testing.assert_allclose(window_xy(tile_xy, (100, 200), 30, 50, 32), expected, atol=1e-12)


def test_random_windows_are_uniform_over_valid_offsets():
    """A point in pixel 5 of 20, window 8: offsets 0..5, each drawn a sixth of the time."""
    rng = np.random.default_rng(0)
    tile_xy = np.array([5.5, 10.5]) / 10 - 1
    offsets = np.array([place_window(tile_xy, (20, 20), 8, 'random', rng) for _ in range(6000)])
    assert sorted(set(offsets[:, 1])) == list(range(6))
    assert sorted(set(offsets[:, 0])) == list(range(3, 11))
    counts = np.bincount(offsets[:, 1])
    # Chi-squared with 5 degrees of freedom: 20.5 is passed once in a thousand.
    assert np.sum((counts - 1000) ** 2 / 1000) < 20.5


def test_the_photo_is_anywhere_in_a_random_window():
    """Away from the edges xy is uniform, so its mean is 0 and its variance 1/3."""
    rng = np.random.default_rng(1)
    tile_xy = rng.uniform(-0.2, 0.2, (4000, 2))
    xy = np.array(
        [
            window_xy(p, (256, 256), *place_window(p, (256, 256), 96, 'random', rng), 96)
            for p in tile_xy
        ]
    )
    assert np.abs(xy.mean(axis=0)).max() < 0.05
    assert np.abs(xy.var(axis=0) - 1 / 3).max() < 0.02


def test_centred_windows_hold_the_point_in_the_middle_or_are_shifted_inwards():
    rng = np.random.default_rng(0)
    assert place_window(np.array([0.0, 0.0]), (100, 100), 20, 'centre', rng) == (40, 40)
    assert place_window(np.array([-1.0, 1.0]), (100, 100), 20, 'centre', rng) == (80, 0)


def test_refusals():
    rng, middle = np.random.default_rng(0), np.zeros(2)
    with pytest.raises(InputError, match='at most the tile, 64 x 64 pixels, found 96 x 96'):
        place_window(middle, (64, 64), 96, 'random', rng)
    with pytest.raises(
        InputError, match="placement: expected random, centre or anywhere, found 'middle'"
    ):
        place_window(middle, (64, 64), 32, 'middle', rng)


def test_cell_centres():
    centres = cell_centres(2, 4)
    np.testing.assert_allclose(centres[0, :, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(centres[:, 0, 1], [-0.5, 0.5])


@pytest.mark.parametrize(
    ('at', 'size', 'expected'),
    [
        ((50.9, 60.0), 10, (45, 55, False)),  # around the pixel, not the place in it
        ((50.9, 60.0), 11, (45, 55, False)),
        ((4.9, 60.0), 10, (0, 55, True)),
        ((99.9, 79.9), 10, (90, 70, True)),
        ((50.0, 60.0), 90, (5, 0, True)),  # 80 columns: it starts at the first, goes on beyond
    ],
)
def test_the_centred_window_of_the_release(at, size, expected):
    assert centred_window(at, (100, 80), size) == expected


@pytest.mark.parametrize('at', [(-0.1, 3.0), (100.0, 3.0), (3.0, 80.5), (float('nan'), 3.0)])
def test_a_point_outside_the_raster_has_no_window(at):
    with pytest.raises(InputError, match='expected a place in the raster of 100 x 80 pixels'):
        centred_window(at, (100, 80), 10)


def test_the_box_of_a_window_keeps_its_nominal_size():
    transform = np.array([2.0, 0, 500, 0, -3.0, 900])
    np.testing.assert_array_equal(window_bounds(transform, 4, 5, 10), [510, 888, 530, 858])
    np.testing.assert_array_equal(window_bounds(transform, 0, 0, (1, 2)), [500, 900, 504, 897])
