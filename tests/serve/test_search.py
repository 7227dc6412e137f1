"""Places of photos in a tile and photos of a tile, against whole matrices and closed forms."""

import math

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.geo.sphere import EARTH_RADIUS_M, great_circle_m
from gair_jax.input.raster_files import georeference
from gair_jax.serve import search
from gair_jax.serve.gallery import unit64
from gair_jax.serve.search import Cells
from tests.serve import search_scene
from tests.serve.search_scene import embedder

DEGREE_M = math.radians(EARTH_RADIUS_M)
PHOTO = np.array([1.0, 0.0])


def cells_of(heat):
    """Cells 10 m wide on the equator whose cosines with `PHOTO` are `heat`."""
    heat = np.asarray(heat, np.float64)
    embedding = np.stack([heat, np.sqrt(1 - heat**2)], axis=-1).reshape(-1, 2)
    row, col = np.indices(heat.shape)
    lonlat = np.stack([col, -row], axis=-1).reshape(-1, 2) * 10 / DEGREE_M
    return Cells(heat.shape, lonlat, embedding, (10.0, 10.0))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_default_grid_has_24_cells_a_window_and_128_a_side_at_the_most():
    assert search.divisions((96, 96), (96, 96), 0) == (24, 24)
    assert search.divisions((192, 96), (96, 96), 0) == (48, 24)
    assert search.divisions((12_000, 6_000), (96, 96), 0) == (128, 64)
    assert search.divisions((100, 50), (32, 32), 10) == (10, 5)
    assert search.divisions((3, 3), (3, 3), 10) == (1, 1)


@pytest.mark.parametrize('spacing', [-1, math.nan, math.inf])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(InputError, match='spacing-px: expected a number above 0'):
        search.divisions((96, 96), (96, 96), spacing)


def test_too_many_cells_are_refused_with_the_spacing_that_would_do():
    with pytest.raises(InputError, match='at least 3.91 pixels'):
        search.divisions((1000, 1000), (96, 96), 1)
    rows, columns = search.divisions((1000, 1000), (96, 96), 3.91)
    assert rows * columns <= search.MOST_CELLS


def test_a_summit_is_named_once_and_its_flanks_are_not():
    cells = cells_of([[0.1, 0.8, 0.9, 0.8, 0.1, 0.2, 0.7, 0.1]])
    assert search.find_places(cells, PHOTO, 5, 15).cell.tolist() == [2, 6]
    assert search.find_places(cells, PHOTO, 1, 15).cell.tolist() == [2]
    # 40 m apart: the lower summit is in reach of the higher one.
    assert search.find_places(cells, PHOTO, 5, 41).cell.tolist() == [2]
    assert search.find_places(cells, PHOTO, 9, 0).cell.tolist() == [2, 1, 3, 6, 5, 0, 4, 7]


def test_of_equal_neighbours_the_first_is_named():
    assert search.find_places(cells_of(np.full((3, 3), 0.5)), PHOTO, 9, 11).cell.tolist() == [
        0, 2, 4, 6, 8,
    ]  # fmt: skip


def test_places_are_those_of_a_search_of_all_pairs(rng):
    heat = rng.random((9, 12))
    heat[2, 3] = heat[5, 5] = np.nan
    cells, apart = cells_of(heat), 26.0
    near = great_circle_m(cells.lonlat[:, None], cells.lonlat[None]) <= apart
    level = np.nan_to_num(heat.ravel(), nan=-1).astype(np.float32)
    summits = [i for i in range(heat.size) if level[i] >= level[near[i]].max()]
    expected = sorted(summits, key=lambda i: -level[i])
    found = search.find_places(cells, PHOTO, 100, apart)
    assert found.cell.tolist() == expected
    np.testing.assert_allclose(found.score, level[expected], rtol=1e-6)
    np.testing.assert_allclose(found.heat, heat, rtol=1e-6)


def test_photos_are_those_of_the_whole_matrix(rng):
    cells = Cells((3, 4), np.zeros((12, 2)), unit64(rng.standard_normal((12, 5))), (1.0, 1.0))
    cells.embedding[4] = np.nan
    photos = unit64(rng.standard_normal((40, 5)))
    score = cells.embedding @ photos.T
    batches = [(np.arange(i, i + 8), photos[i : i + 8]) for i in range(0, 40, 8)]
    found = search.find_photos(cells, batches, 6, 3)
    best = np.nanmax(score, axis=0)
    assert found.best.row[0].tolist() == np.argsort(-best)[:6].tolist()
    np.testing.assert_allclose(found.best.score[0], np.sort(best)[::-1][:6], rtol=1e-6)
    seen = np.arange(12) != 4
    assert np.array_equal(found.near.row[seen], np.argsort(-score[seen], axis=1)[:, :3])
    assert found.near.row[4].tolist() == [-1, -1, -1]
    at = search.find_photos(cells, batches, 6, 3, cells.embedding[[7]])
    assert at.best.row[0].tolist() == np.argsort(-score[7])[:6].tolist()
    assert search.pick(batches, [39, 2]).keys() == {2, 39}


def test_cells_are_what_a_query_says_at_their_centres(tmp_path):
    model, path = embedder(), search_scene.tile(tmp_path / 't.tif')
    with model.raster(path) as raster:
        cells = search.embed_cells(model, raster, model.grid(raster.shape), (5, 4))
        one = search.localize_place(model, raster, model.grid(raster.shape), cells.lonlat[7])
    asked = unit64(model.query(path, cells.lonlat))
    np.testing.assert_allclose(cells.embedding, asked, atol=2e-5)
    np.testing.assert_allclose(one, asked[[7]], atol=2e-5)
    # 48 pixels of 10 m, up to the scale of UTM (0.9996) and the ellipsoid.
    np.testing.assert_allclose(cells.metres, (480 / 5, 480 / 4), rtol=0.01)
    assert great_circle_m(cells.lonlat[0], cells.lonlat[4]) == pytest.approx(96, rel=0.01)


def test_cells_without_data_are_found_nowhere(tmp_path):
    model = embedder()
    # Windows begin at columns 0 and 16: no window sees data left of column 16 without column 40.
    with model.raster(search_scene.tile(tmp_path / 't.tif', 80, empty=40)) as raster:
        cells = search.embed_cells(model, raster, model.grid(raster.shape), (1, 8))
    assert np.isnan(cells.embedding[0]).all() and not np.isnan(cells.embedding[-1]).any()
    found = search.find_places(cells, cells.embedding[-1], 8, 0)
    assert 0 not in found.cell and found.cell[0] == 7
    with model.raster(search_scene.tile(tmp_path / 'e.tif', empty=48)) as raster:
        with pytest.raises(InputError, match=r'e\.tif: expected pixels with data, found none'):
            search.embed_cells(model, raster, model.grid(raster.shape), (2, 2))


def test_a_place_outside_the_tile_is_refused(tmp_path):
    model = embedder()
    with model.raster(search_scene.tile(tmp_path / 't.tif')) as raster:
        with pytest.raises(InputError, match=r't\.tif: lon 9\.5.* outside its tile'):
            search.localize_place(model, raster, model.grid(raster.shape), (9.5, 47.8))


def test_ground_size_is_that_of_a_sphere():
    place = georeference((10, 0.5, 11, -0.5), 'EPSG:4326', (10, 10))
    np.testing.assert_allclose(search.ground_size(place), (DEGREE_M, DEGREE_M))
    place = georeference((10, 60.5, 11, 59.5), 'EPSG:4326', (10, 10))
    height, width = search.ground_size(place)
    assert height == pytest.approx(DEGREE_M)
    assert width == pytest.approx(DEGREE_M / 2, rel=1e-4)  # cos 60 degrees
