import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.geo.tiles import (
    check_lonlat,
    explain_outside,
    lonlat_to_tile_xy,
    place_in_tile,
    relative_position,
    require_inside,
    tile_xy_to_lonlat,
)

unit = st.floats(-1, 1)
DEGREES = np.array([139.7, 35.7, 139.72, 35.68])  # left, top, right, bottom


@given(x=unit, y=unit, lon=st.floats(-180, 180), lat=st.floats(-80, 80))
def test_degrees_there_and_back(x, y, lon, lat):
    bounds = np.array([lon, lat + 0.01, lon + 0.02, lat - 0.01])
    place = tile_xy_to_lonlat(np.array([x, y]), bounds, 'EPSG:4326')
    check_lonlat(place, 'test')
    again = tile_xy_to_lonlat(lonlat_to_tile_xy(place, bounds, 'EPSG:4326'), bounds, 'EPSG:4326')
    assert np.abs(again - place).max() < 1e-9


@settings(deadline=None)
@given(x=unit, y=unit, zone=st.integers(1, 60), north=st.booleans(), mid=st.floats(1e5, 9e6))
def test_utm_there_and_back(x, y, zone, north, mid):
    crs = f'EPSG:{326 if north else 327}{zone:02d}'
    bounds = np.array([5e5, mid + 1280, 5e5 + 2560, mid - 1280])
    place = tile_xy_to_lonlat(np.array([x, y]), bounds, crs)
    tile_xy = lonlat_to_tile_xy(place, bounds, crs)
    assert np.abs(tile_xy - [x, y]).max() < 1e-9
    assert np.abs(tile_xy_to_lonlat(tile_xy, bounds, crs) - place).max() < 1e-9


def test_x_is_east_and_y_is_south():
    corners = np.array([[139.7, 35.7], [139.72, 35.7], [139.7, 35.68], [139.71, 35.69]])
    expected = [[-1, -1], [1, -1], [-1, 1], [0, 0]]
    xy = lonlat_to_tile_xy(corners, DEGREES, 'EPSG:4326')
    np.testing.assert_allclose(xy, expected, atol=1e-9)
    at = pyproj.Transformer.from_crs(4326, 32654, always_xy=True).transform(139.71, 35.69)
    utm = np.array([at[0] - 100, at[1] + 100, at[0] + 100, at[1] - 100])
    places = np.array([[139.71, 35.69], [139.7105, 35.69], [139.71, 35.6895]])
    middle, east, south = lonlat_to_tile_xy(places, utm, 'EPSG:32654')
    np.testing.assert_allclose(middle, [0, 0], atol=1e-6)
    # 45.2 m east and 55.5 m south of 100 m, less the grid's convergence.
    assert abs(east[0] - 0.452) < 0.01 and abs(south[1] - 0.555) < 0.01


def test_wkt_and_any_geographic_crs_are_understood():
    place = np.array([139.71, 35.69])
    by_code = lonlat_to_tile_xy(place, DEGREES, 'EPSG:4326')
    wkt = pyproj.CRS('EPSG:4326').to_wkt()
    np.testing.assert_array_equal(lonlat_to_tile_xy(place, DEGREES, wkt), by_code)
    # ETRS89 differs from WGS84 by less than a metre.
    assert np.abs(lonlat_to_tile_xy(place, DEGREES, 'EPSG:4258') - by_code).max() < 1e-3


@pytest.mark.parametrize('lon', [179.99, -179.99])
def test_a_tile_may_lie_across_the_antimeridian(lon):
    bounds = np.array([179.9, 1.0, 180.1, 0.0])
    place = np.array([lon, 0.5])
    tile_xy = place_in_tile(place, bounds, 'EPSG:4326', 'photo')
    np.testing.assert_allclose(tile_xy, [np.sign(-lon) * 0.1, 0], atol=1e-9)
    back = tile_xy_to_lonlat(tile_xy, bounds, 'EPSG:4326')
    np.testing.assert_allclose(back, place, atol=1e-9)


def test_relative_position_keeps_its_type():
    point, box = np.array([0.25, 1.0]), np.array([0.0, 2.0, 1.0, -2.0])
    for kind in (np.float32, np.float64):
        at = relative_position(point.astype(kind), box.astype(kind))
        assert at.dtype == kind
        np.testing.assert_array_equal(at, [0.25, 0.25])


def test_a_place_outside_is_refused_by_name_and_distance():
    with pytest.raises(
        InputError, match=r'photo 17: .*outside its tile, 2 tile widths to the east'
    ):
        place_in_tile(np.array([139.76, 35.69]), DEGREES, 'EPSG:4326', 'photo 17')
    both = np.array([[139.71, 35.69], [139.69, 35.73]])
    with pytest.raises(
        InputError, match=r'0.5 tile widths to the west and 1.5 tile heights to the n'
    ):
        place_in_tile(both, DEGREES, 'EPSG:4326', 'photo 17')


def test_swapped_coordinates_are_said_to_be_swapped():
    box = np.array([9.0, 48.1, 9.1, 48.0])
    text = explain_outside(np.array([48.05, 9.05]), box, 'EPSG:4326', 'photo a.jpg')
    assert text.startswith('photo a.jpg: lon 48.050000, lat 9.050000 is outside')
    assert text.endswith('with lon and lat swapped it would be inside.')
    assert 'swapped' not in explain_outside(np.array([47.0, 9.05]), box, 'EPSG:4326', 'a')
    with pytest.raises(InputError, match=r'row 3: .*lon 35.6, lat 139.7; they look swapped'):
        check_lonlat(np.array([35.6, 139.7]), 'row 3')


@pytest.mark.parametrize('bad', [[181.0, 0.0], [0.0, 90.5], [np.nan, 0.0], [0.0, np.inf]])
def test_what_is_no_place_is_refused(bad):
    with pytest.raises(InputError, match='expected lon in'):
        check_lonlat(np.array([[0.0, 0.0], bad]), 'table.csv')


def test_edges_are_inside_and_nothing_is_clamped():
    require_inside(np.array([[-1.0, 1.0], [1.0, -1.0]]), 'photo')
    with pytest.raises(InputError, match='0.05 tile heights to the south'):
        require_inside(np.array([0.0, 1.1]), 'photo')
    with pytest.raises(InputError, match='its CRS has no coordinates'):
        require_inside(np.array([np.inf, 0.0]), 'photo')


@pytest.mark.parametrize('bounds', [[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 0], [0, np.nan, 1, 0]])
def test_a_box_turned_over_is_refused(bounds):
    with pytest.raises(InputError, match='tile bounds: expected left < right and bottom < top'):
        lonlat_to_tile_xy(np.zeros(2), np.array(bounds, float), 'EPSG:4326')


def test_an_unknown_crs_is_refused():
    with pytest.raises(InputError, match="crs: expected .* found 'EPSG:1'"):
        lonlat_to_tile_xy(np.zeros(2), DEGREES, 'EPSG:1')
