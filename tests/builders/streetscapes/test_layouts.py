import csv
import math

import hypothesis
import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import strategies

from gair_jax.builders.streetscapes import layouts, utm
from gair_jax.config import InputError
from gair_jax.geo import tiles as geo
from tests.shared import shared

NOWHERE = (math.nan, math.nan)
STUTTGART, SINGAPORE = (9.1775, 48.7761), (103.8, 1.3)


def released(*places, centres=(), cities=()):
    centres = list(centres) or [NOWHERE] * len(places)
    cities = list(cities) or [''] * len(places)
    return layouts.release(np.array(places), np.array(centres), pd.Series(cities, dtype=str))


def natives(*places, cities=(), margin=95):
    cities = list(cities) or [''] * len(places)
    return layouts.native(np.array(places), pd.Series(cities, dtype=str), margin)


# A place in Detroit, Sacramento and Tokyo; size of its tile; left, top, right, bottom.
EXAMPLES = [
    (
        (-83.265, 42.48),
        (246, 181),
        (-83.2764319522036, 42.4883366452283, -83.25433339621425, 42.47207713858574),
    ),
    (
        (-121.476, 38.574),
        (246, 192),
        (-121.48690138292632, 38.58255162140504, -121.46480282693697, 38.565303967949944),
    ),
    (
        (139.757, 35.666),
        (245, 199),
        (139.7460578479397, 35.675154204352204, 139.76806657240064, 35.657277730198224),
    ),
]


@pytest.mark.parametrize(('place', 'size', 'box'), EXAMPLES)
def test_the_release_tile_is_the_zoom_14_tile_in_whole_pixels(place, size, box):
    (tile,) = released(place).tiles
    assert (tile.width, tile.height) == size and tile.crs == 'EPSG:4326'
    np.testing.assert_allclose(tile.bounds, box, rtol=0, atol=1e-9)


def test_the_release_tiles_are_those_of_the_published_files():
    folder = shared('data/gair_examples')
    with (folder / 'examples.csv').open() as file:
        rows = list(csv.DictReader(file))
    layout = released(*[(float(row['lon']), float(row['lat'])) for row in rows])
    for row, index in zip(rows, layout.of, strict=True):
        tile = layout.tiles[index]
        with rasterio.open(folder / f'{row["id"]}_rs.tif') as raster:
            assert (raster.width, raster.height) == (tile.width, tile.height)
            np.testing.assert_allclose(
                tile.transform, tuple(raster.transform)[:6], rtol=0, atol=1e-9
            )


def test_photos_of_a_city_lie_on_the_tile_of_its_centre():
    east = (STUTTGART[0] + 0.05, STUTTGART[1])  # two zoom-14 tiles away
    layout = released(STUTTGART, east, centres=[STUTTGART] * 2, cities=['1', '1'])
    assert [tile.city for tile in layout.tiles] == ['1'] and list(layout.of) == [0, 0]
    inside = layouts.in_release_tile(np.array([STUTTGART, east]), np.array([STUTTGART] * 2))
    assert inside.tolist() == [True, False]


def test_cities_on_one_tile_share_it_under_the_first_id():
    layout = released(STUTTGART, STUTTGART, SINGAPORE, cities=['b', 'a', 'c'])
    assert sorted(tile.city for tile in layout.tiles) == ['a', 'c']
    assert layout.of[0] == layout.of[1] != layout.of[2]


@pytest.mark.parametrize('lon', [180.0, -180.0, 179.99999, -179.99999, 0.0])
def test_a_release_tile_at_the_antimeridian_holds_its_photo(lon):
    places = np.array([(lon, 10.0)])
    (tile,) = released(places[0]).tiles
    assert layouts.in_release_tile(places, np.array([NOWHERE])).all()
    assert (abs(tile.pixel_xy(places) - 122) <= 123).all()
    west, _, east, _ = tile.lonlat_box
    assert -180 <= west <= 180 and -180 <= east <= 180 and (east - west) % 360 < 0.03


def test_the_antimeridian_is_one_place():
    assert len(released((180.0, 10.0), (-180.0, 10.0)).tiles) == 1


def test_tiles_are_in_order_of_key_and_photos_know_theirs():
    """Columns 999 and 1000 of zoom 14, whose names sort the other way round."""
    places = [((column + 0.5) / 2**14 * 360 - 180, 21.0) for column in (999, 1000)]
    layout = released(*places)
    assert [tile.key.split('_')[1] for tile in layout.tiles] == ['1000', '999']
    assert layout.of.tolist() == [1, 0]


# Zones by NGA.STND.0037 (MGRS): plain ones, Bergen and Oslo, Svalbard, the equator, the seam.
ZONES = [
    (STUTTGART, 32632),
    (SINGAPORE, 32648),
    ((-58.4, -34.6), 32721),
    ((2.99, 60.4), 32631),
    ((5.32, 60.39), 32632),
    ((10.75, 59.91), 32632),
    ((5.32, 64.0), 32631),
    ((5.32, 55.99), 32631),
    ((11.93, 78.92), 32633),
    ((22.0, 78.0), 32635),
    ((8.9, 72.0), 32631),
    ((33.0, 80.0), 32637),
    ((42.0, 80.0), 32638),
    ((-51.07, -0.03), 32622),
    ((-51.07, -0.06), 32722),
    ((180.0, 10.0), 32601),
    ((-180.0, 10.0), 32601),
    ((179.999, 10.0), 32660),
]


@pytest.mark.parametrize(('place', 'code'), ZONES)
def test_places_go_to_the_zone_of_their_granules(place, code):
    assert utm.codes(np.array([place])).tolist() == [code]


def test_the_central_meridian_is_at_500_km():
    """UTM's definition: false easting 500 km, and 0.9996 of the meridian's length from 0."""
    (easting, northing), (_, second) = utm.xy(np.array([[9.0, 45.0], [9.0, 45.001]]), [32632] * 2)
    assert easting == pytest.approx(500_000, abs=1e-6)
    # A degree at 45 north: 111,131.8 m on the ellipsoid (111132.954 - 559.822 cos 2 lat + ...).
    assert (second - northing) * 1000 == pytest.approx(0.9996 * 111_131.8, rel=2e-5)


def test_a_city_is_one_tile_around_its_photos():
    places = [(9.1700, 48.7700), (9.1850, 48.7800), (9.1760, 48.7750)]
    (tile,) = natives(*places, cities=['7'] * 3).tiles
    assert tile.key == '7_32632' and tile.city == '7' and tile.crs == 'EPSG:32632'
    left, top, right, bottom = tile.bounds
    assert all(side % 20 == 0 for side in tile.bounds)
    assert right - left == 10 * tile.width and top - bottom == 10 * tile.height
    # 1.1 km by 1.1 km of photos, 95 pixels around them, at most 3 pixels of rounding.
    xy = utm.xy(np.array(places), np.array([32632] * 3))
    span = np.ptp(xy, axis=0) / 10 + 190
    assert (np.array([tile.width, tile.height]) - span <= 5).all()


@hypothesis.given(
    west=strategies.floats(-180, 179),
    south=strategies.floats(-70, 70),
    moves=strategies.lists(
        strategies.tuples(strategies.floats(0, 0.04), strategies.floats(0, 0.04)), min_size=1
    ),
    city=strategies.sampled_from(['', '7']),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_any_window_of_96_that_holds_a_photo_fits_into_its_tile(west, south, moves, city):
    places = np.array([(west + x, south + y) for x, y in moves])
    layout = natives(*places, cities=[city] * len(moves))
    for index, tile in enumerate(layout.tiles):
        assert max(tile.width, tile.height) <= 257 + 190 + 2
        pixel = np.floor(tile.pixel_xy(places[layout.of == index]))
        assert len(pixel) and (pixel >= 95).all()
        assert (pixel <= np.array([tile.width, tile.height]) - 96).all()


def test_margins_count_from_whole_pixels():
    """A photo exactly on a corner of the grid belongs to the pixel south-east of it."""
    (lon, lat) = geo.tile_xy_to_lonlat(
        np.array([0.0, 0.0]),
        np.array([500_000.0, 5_400_040.0, 500_080.0, 5_399_960.0]),
        'EPSG:32632',
    )
    (tile,) = natives((lon, lat), margin=0).tiles
    assert 2 <= tile.width <= 4 and (tile.pixel_xy(np.array([(lon, lat)])) < tile.width).all()


def test_a_city_too_large_is_cut_into_cells():
    places = [(9.16, 48.77), (9.20, 48.77), (9.1601, 48.77)]  # 2.9 km, and two 7 m apart
    layout = natives(*places, cities=['7'] * 3)
    assert [tile.city for tile in layout.tiles] == ['7', '7']
    assert layout.of[0] == layout.of[2] != layout.of[1]
    assert all(len(tile.key.split('_')) == 4 for tile in layout.tiles)


def test_scattered_photos_are_grouped_by_cell():
    layout = natives(STUTTGART, (9.1776, 48.7761), SINGAPORE)
    assert layout.of[0] == layout.of[1] != layout.of[2]
    easting, northing = utm.xy(np.array([STUTTGART]), np.array([32632]))[0]
    assert layout.tiles[layout.of[0]].key == f'32632_{easting // 2560:.0f}_{northing // 2560:.0f}'


def test_tiles_do_not_depend_on_the_order_of_photos():
    places = [(9.0 + 0.01 * i, 48.7 + 0.003 * i) for i in range(12)]
    layout, turned = natives(*places), natives(*places[::-1])
    assert turned.tiles == layout.tiles and turned.of[::-1].tolist() == layout.of.tolist()
    assert [tile.key for tile in layout.tiles] == sorted(tile.key for tile in layout.tiles)


def test_a_city_over_the_antimeridian_is_two_tiles_with_boxes_over_it():
    layout = natives((179.9999, -17.0), (-179.9999, -17.0), cities=['fiji'] * 2)
    assert [tile.key for tile in layout.tiles] == ['fiji_32701', 'fiji_32760']
    for tile in layout.tiles:
        west, south, east, north = tile.lonlat_box
        assert 179.98 < west < 180 and -180 < east < -179.98 and south < -17 < north


@pytest.mark.parametrize('place', [STUTTGART, (-51.07, 0.01), (24.9, 70.0), (14.99, -33.0)])
def test_the_box_covers_the_tile_and_little_more(place):
    (tile,) = natives(place, margin=128).tiles
    side = np.linspace(-1, 1, 501)
    edge = np.ones_like(side)
    rim = np.concatenate(
        [np.stack(s, -1) for s in [(side, edge), (side, -edge), (edge, side), (-edge, side)]]
    )
    lonlat = geo.tile_xy_to_lonlat(rim, np.array(tile.bounds), tile.crs)
    west, south, east, north = tile.lonlat_box
    low, high = lonlat.min(axis=0), lonlat.max(axis=0)
    assert west <= low[0] and south <= low[1] and high[0] <= east and high[1] <= north
    np.testing.assert_allclose([west, south, east, north], [*low, *high], rtol=0, atol=1e-5)


def test_pixels_are_counted_from_the_stored_transform():
    (tile,) = natives(STUTTGART).tiles
    a, _, c, _, e, f = tile.transform
    easting, northing = utm.xy(np.array([STUTTGART]), np.array([32632]))[0]
    expected = [(easting - c) / a, (northing - f) / e]
    np.testing.assert_allclose(tile.pixel_xy(np.array([STUTTGART]))[0], expected, atol=1e-8)


@pytest.mark.parametrize('cut', [natives, released])
@pytest.mark.parametrize('lat', [84.0, -84.0, 89.9])
def test_places_near_a_pole_are_refused(cut, lat):
    with pytest.raises(InputError, match=f'between -84 and 84, .* found {lat}'):
        cut(STUTTGART, (9.0, lat))


@pytest.mark.parametrize('cut', [natives, released])
def test_what_is_no_place_is_refused(cut):
    with pytest.raises(InputError, match='they look swapped'):
        cut((48.8, 181.0 - 80.0))


@pytest.mark.parametrize(
    ('text', 'name'),
    [('1276171358', '1276171358'), ('São Paulo', 'S-o-Paulo-'), ('../a', 'a-'), ('東京', '')],
)
def test_names_of_files_are_safe_and_their_own(text, name):
    found = layouts.file_name(text)
    assert found.startswith(name) and all(c.isascii() and (c.isalnum() or c in '.-') for c in found)
    assert found == layouts.file_name(text) and found != layouts.file_name(text + ' ')
