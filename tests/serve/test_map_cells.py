"""Where the cells of a map lie, and the blocks they are computed from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.input.raster_files import RasterArray, georeference
from gair_jax.serve import blocks
from gair_jax.serve.cells import Chunk, Spacing, cell_grid, metres_per_pixel
from gair_jax.serve.windows import share, window_grid

PLACE = georeference((500_000, 5_300_000, 500_520, 5_299_400), 'EPSG:32632', (60, 52))
SHAPE = (60, 52)


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0.3, 30))
def test_a_cell_exists_where_its_centre_lies_in_the_raster(height, width, spacing):
    place = georeference((0, height, width, 0), 'EPSG:32632', (height, width))
    expected = [sum((i + 0.5) * spacing < n for i in range(700)) for n in (height, width)]
    if 0 in expected:
        with pytest.raises(InputError, match='spacing-px'):
            cell_grid((height, width), place, Spacing(spacing))
    else:
        assert list(cell_grid((height, width), place, Spacing(spacing)).shape) == expected


def test_they_are_anchored_at_the_upper_left_corner():
    cells = cell_grid(SHAPE, PLACE, Spacing(7.5))
    np.testing.assert_allclose(cells.transform, [75, 0, 500_000, 0, -75, 5_300_000])
    points = cells.points(Chunk(1, 2, 1, 1))[0, 0]
    np.testing.assert_allclose(points, [2.5 * 7.5, 1.5 * 7.5])  # x first


def test_chunks_are_every_cell_once():
    cells = cell_grid(SHAPE, PLACE, Spacing(3))
    seen = np.zeros(cells.shape, int)
    for chunk in cells.chunks(7):
        seen[chunk.row : chunk.row + chunk.rows, chunk.col : chunk.col + chunk.cols] += 1
        assert max(chunk.rows, chunk.cols) <= 7
    assert (seen == 1).all()


def test_metres_of_a_true_projection_are_its_own():
    assert metres_per_pixel(SHAPE, PLACE) == (10, 10)
    assert cell_grid(SHAPE, PLACE, Spacing(80, 'm')).spacing == (8, 8)


def test_metres_of_a_stretched_projection_are_those_on_the_ground():
    """Web Mercator is stretched by 1 / cos(lat); at 60 degrees north by 2, on the ellipsoid too."""
    left, top = 1_000_000, 8_399_737.9  # 60 degrees north
    place = georeference((left, top + 50, left + 100, top - 50), 'EPSG:3857', (10, 10))
    np.testing.assert_allclose(metres_per_pixel((10, 10), place), 5, rtol=6e-3)


def test_degrees_are_measured_too():
    """One degree of a meridian at the equator is 110 574 m, of the equator 111 320 m (WGS84)."""
    place = georeference((9, 0.05, 9.1, -0.05), 'EPSG:4326', (100, 100))
    np.testing.assert_allclose(metres_per_pixel((100, 100), place), [110.574, 111.320], rtol=1e-4)


@pytest.mark.parametrize('size', [0, -3, float('nan'), float('inf')])
def test_a_spacing_is_above_zero(size):
    with pytest.raises(InputError, match='spacing-m: expected a number above 0'):
        cell_grid(SHAPE, PLACE, Spacing(size, 'm'))


@given(st.integers(1, 9), st.floats(0.7, 9), st.sampled_from([0, 0.25, 0.6]))
def test_a_block_holds_every_window_of_its_chunk(side, spacing, overlap):
    raster = RasterArray(np.ones((*SHAPE, 10), np.uint16), sensors.contract('sentinel2_10'), PLACE)
    cells = cell_grid(SHAPE, PLACE, Spacing(spacing))
    grid = window_grid(SHAPE, (16, 12), overlap)
    for chunk in cells.chunks(side)[:3] + cells.chunks(side)[-1:]:
        block = blocks.read(raster, grid, cells, chunk)
        windows = np.unique(share(grid, cells.points(chunk).reshape(-1, 2)).window)
        assert len(windows) <= blocks.windows_of(grid, cells, chunk)
        for row, col in (grid.offset(int(window)) for window in windows):
            assert 0 <= row - block.row <= block.pixels.shape[0] - grid.size[0]
            assert 0 <= col - block.col <= block.pixels.shape[1] - grid.size[1]


def test_the_most_cells_of_a_window_are_counted():
    cells, grid = cell_grid(SHAPE, PLACE, Spacing(3)), window_grid(SHAPE, (16, 12), 0.25)
    shares = share(grid, cells.points(Chunk(0, 0, *cells.shape)).reshape(-1, 2))
    assert blocks.most_in_a_window(grid, cells) == np.bincount(shares.window).max()


@pytest.mark.parametrize('scaling', ['two_sigma_uint8', 'image_two_sigma_uint8'])
@pytest.mark.parametrize('window', [32, 16])  # 16 is resized to what the network takes
def test_windows_of_a_block_are_those_of_the_raster(tiny, scaling, window):
    sensor = sensors.contract('sentinel2_10')
    if scaling != sensor.scaling:
        plain = {**sensor.to_dict(), 'scaling': scaling, 'mean': [], 'std': []}
        sensor = sensors.SensorContract.from_dict(plain)
    values = np.random.default_rng(0).integers(1, 4000, (*SHAPE, 10)).astype(np.uint16)
    raster = RasterArray(values, sensor, PLACE)
    cells, grid = cell_grid(SHAPE, PLACE, Spacing(4)), window_grid(SHAPE, (window, window), 0.25)
    block = blocks.read(raster, grid, cells, Chunk(5, 4, 3, 3))
    index = int(share(grid, cells.points(Chunk(5, 4, 1, 1)).reshape(-1, 2)).window[-1])
    row, col = grid.offset(index)
    expected = tiny.rs_input(values[row : row + window, col : col + window], sensor)
    np.testing.assert_array_equal(block.window_input(tiny, raster, grid, index), expected)


def test_a_block_is_put_together_from_strips(monkeypatch):
    sensor = sensors.contract('sentinel2_10')
    values = np.random.default_rng(0).integers(0, 2, (*SHAPE, 10)).astype(np.uint16)
    values[20:23, 10:20] = 0
    raster = RasterArray(values, sensor, PLACE)
    cells, grid = cell_grid(SHAPE, PLACE, Spacing(4)), window_grid(SHAPE, (16, 16), 0.25)
    monkeypatch.setattr(blocks, 'STRIP', 13)  # the last strip has one row
    block = blocks.read(raster, grid, cells, Chunk(3, 2, 5, 4))
    at = (
        slice(block.row, block.row + block.pixels.shape[0]),
        slice(block.col, block.col + block.pixels.shape[1]),
    )
    assert block.pixels.shape[0] % 13 == 1
    np.testing.assert_array_equal(block.pixels, sensor.normalize(values[at]))
    np.testing.assert_array_equal(block.missing, sensor.missing(values[at]))


def test_pixels_without_data_are_found_under_points():
    values = np.ones((700, 30, 10), np.uint16)
    values[600:610, 5:9] = 0
    raster = RasterArray(values, sensors.contract('sentinel2_10'))
    points = np.array([[5, 600], [8.99, 609.99], [9, 605], [4.99, 605], [30, 700], [6, 611]])
    found = blocks.missing_at(raster, points)
    np.testing.assert_array_equal(found, [True, True, False, False, False, False])
