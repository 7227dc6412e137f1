"""Where tiles lie."""

import numpy as np
import pytest
import rasterio

from gair_jax.serve.doctor import georeferences
from tests.builders.scenes import write_tile
from tests.serve.doctor.made import fine, only, pixels

SIDE = 9e-5  # degrees, 10 m of latitude


def tile(folder, **options):
    return write_tile(folder / 'tile.tif', pixels(), step=SIDE, **options)


def move(path, transform, crs='EPSG:4326'):
    """The same tile under another transform."""
    with rasterio.open(path, 'r+') as file:
        file.transform, file.crs = rasterio.Affine(*transform), crs
    return path


def test_no_georeference(tmp_path):
    only(tile(tmp_path, crs=''), 'suspicious', 'no CRS', 'left, top, right, bottom')


def test_turned_and_mirrored(tmp_path):
    path = tile(tmp_path)
    only(move(path, (SIDE, SIDE / 9, 9, SIDE / 9, -SIDE, 48)), 'unusable', 'turned')
    only(move(path, (SIDE, 0, 9, 0, SIDE, 48)), 'unusable', 'bottom < top', 'top 48')
    only(move(path, (-SIDE, 0, 9, 0, -SIDE, 48)), 'unusable', 'left < right')


def test_a_box_that_is_nowhere(tmp_path):
    path = tile(tmp_path)
    only(move(path, (10, 0, 5e5, 0, -10, 5.3e6)), 'unusable', 'no place on earth')
    only(move(path, (SIDE, 0, 35.6, 0, -SIDE, 139.7)), 'unusable', 'swapped')


def test_axes_swapped_inside_the_range(tmp_path):
    """Stuttgart, cut with pixels square on the ground, written latitude first."""
    lon, lat = 9.18, 48.77
    across = SIDE / np.cos(np.radians(lat))
    path = tile(tmp_path)
    assert fine(move(path, (across, 0, lon, 0, -SIDE, lat)))
    only(move(path, (SIDE, 0, lat, 0, -across, lon)), 'suspicious', 'swapped')


@pytest.mark.parametrize('lonlat', [(9, 48), (48, 9), (-70, 40), (0.5, 0.5), (60, 60), (139, 35)])
def test_pixels_alike_in_degrees_are_no_sign(tmp_path, lonlat):
    x, y = lonlat
    assert not georeferences._looks_swapped(x, y, SIDE, SIDE)
    assert not georeferences._looks_swapped(x, y, SIDE / np.cos(np.radians(y)), SIDE)


def test_pixels_of_another_size(tmp_path):
    path = tile(tmp_path)
    only(move(path, (30, 0, 5e5, 0, -30, 5.3e6), 'EPSG:32632'), 'suspicious', '30 m', '-tr')
    only(move(path, (0.001, 0, 9, 0, -0.001, 48)), 'suspicious')
    assert fine(move(path, (12, 0, 5e5, 0, -12, 5.3e6), 'EPSG:32632'))


def test_the_size_of_a_pixel():
    """Closed forms on WGS84: the length of a degree of latitude, and the radius of a parallel."""
    lat = np.radians(48)
    metres = 111_132.954 - 559.822 * np.cos(2 * lat) + 1.175 * np.cos(4 * lat)
    across = SIDE / np.cos(lat)
    n = 6_378_137 / np.sqrt(1 - 0.00669438 * np.sin(lat) ** 2)
    expected = np.sqrt(SIDE * metres * np.radians(across) * n * np.cos(lat))
    box = np.array([9, 48, 9 + 2 * across, 48 - 2 * SIDE]) + [0, SIDE, 0, SIDE]
    found = georeferences.pixel_size(box, 'EPSG:4326', (2, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
