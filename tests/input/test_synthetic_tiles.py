import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from gair_jax.geo import tiles as geometry
from gair_jax.input.synthetic import globe, labels, materials, tiles
from gair_jax.input.synthetic.world import NO_CROP, make_world

SIZE = tiles.Size(48, 16, 4, 1, 2, 3, (32, 48))


@pytest.fixture(scope='module')
def made():
    return [tiles.make_tile(0, SIZE, index) for index in range(SIZE.tiles)]


def _same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        if isinstance(a[name], dict):
            _same(a[name], b[name])
        else:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_tile_is_the_same_bytes_whoever_makes_it(made):
    again = tiles.make_tile(0, SIZE, 5)  # after another tile than before
    for a, b in zip(
        made[5].photos + made[5].acquisitions, again.photos + again.acquisitions, strict=True
    ):
        _same(a, b)
    other = tiles.make_tile(1, SIZE, 5)
    assert other.photos[0]['photo'] != again.photos[0]['photo']


def test_more_test_tiles_do_not_change_the_train_tiles(made):
    larger = dataclasses.replace(SIZE, test=9)
    _same(tiles.make_tile(0, larger, 2).photos[3], made[2].photos[3])


def test_photos_keep_the_margin_and_stand_apart(made):
    for tile in made:
        view = tile.acquisitions[0]
        xy = np.array(
            [
                geometry.lonlat_to_tile_xy(p['lonlat'], view['bounds'], view['crs'])
                for p in tile.photos
            ]
        )
        pixels = (xy + 1) / 2 * SIZE.side
        assert pixels.min() >= SIZE.margin and pixels.max() <= SIZE.side - SIZE.margin
        # Each in a cell of its own of a 3 x 3 grid.
        cells = np.floor((pixels - SIZE.margin) / ((SIZE.side - 2 * SIZE.margin) / 3) - 1e-9)
        assert len({tuple(cell) for cell in cells}) == tiles.PHOTOS


def test_tiles_of_a_city_do_not_overlap():
    size = dataclasses.replace(SIZE, train=100)
    boxes = np.array([tiles.place(0, size, i)[1].box for i in range(0, size.tiles, size.cities)])
    west, south, east, north = boxes.T
    apart = (west[:, None] >= east) | (east[:, None] <= west) | (south[:, None] >= north)
    apart |= north[:, None] <= south
    assert np.all(apart | np.eye(len(boxes), dtype=bool))


def test_splits_follow_tiles_and_every_city_is_trained_on(made):
    splits = [{photo['split'] for photo in tile.photos} for tile in made]
    assert splits == [{'train'}] * 4 + [{'val'}] + [{'test'}] * 2
    for size in tiles.SIZES.values():
        assert size.train >= size.cities
        assert size.side >= 3 * size.margin


def test_sizes_are_those_of_the_quickstart_and_of_the_ablations():
    assert tiles.SIZES['tiny'].test * tiles.PHOTOS >= 512
    small = tiles.SIZES['small']
    assert small.tiles * tiles.PHOTOS == 20_000 and small.side == 128


def test_a_photo_is_a_jpeg_of_its_size_with_finite_labels(made):
    for photo in made[0].photos:
        image = Image.open(io.BytesIO(photo['photo']))
        assert image.format == 'JPEG' and image.size == SIZE.photo[::-1]
        assert all(np.all(np.isfinite(value)) for value in photo['labels'].values())
        assert 0 <= photo['heading'] < 360


def test_dates_are_four_seasons_in_order_and_photos_are_of_summer(made):
    for tile in made:
        dates = [view['date'] for view in tile.acquisitions]
        assert dates == sorted(dates) and len(set(dates)) == 4
        north = tile.photos[0]['lonlat'][1] >= 0
        assert int(dates[materials.SUMMER][5:7]) in ((7,) if north else (1,))
        assert {photo['date'] for photo in tile.photos} == {dates[materials.SUMMER]}


def test_all_views_of_a_tile_show_one_ground(made):
    for tile in made:
        crops = [view['labels']['crop_type'] for view in tile.acquisitions]
        assert all(np.array_equal(crops[0], other) for other in crops)
        shapes = {view['bands'].shape for view in tile.acquisitions}
        assert shapes == {(SIZE.side, SIZE.side, 10)}


@pytest.mark.parametrize(
    'lonlat, crs',
    [((139.7, 35.7), 'EPSG:32654'), ((-58.4, -34.6), 'EPSG:32721'), ((179.9, -1), 'EPSG:32760')],
)
def test_utm_zone(lonlat, crs):
    assert tiles.utm_crs(np.array(lonlat)) == crs


@pytest.mark.parametrize(
    'heading, road, side',
    [(10, 0, 0), (190, 0, 0), (80, 0, 1), (359, 178, 0), (100, 10, 1), (44, 0, 0)],
)
def test_direction_knows_no_forward_end(heading, road, side):
    assert labels.direction(heading, road) == side


def test_indicators_are_the_shares_of_the_disc():
    land = make_world(4, 6).near('EPSG:32633', (412_000.0, 5_300_000.0, 412_800.0, 5_300_800.0))
    points = np.array([[412_400.0, 5_300_400.0], [412_300.0, 5_300_250.0]])
    east, north = np.meshgrid(np.arange(-50, 50, 0.5) + 0.25, np.arange(-50, 50, 0.5) + 0.25)
    inside = np.hypot(east, north) < labels.RADIUS
    for point, disc in zip(points, labels.around(land, points), strict=True):
        dense = land.cover(point[0] + east[inside], point[1] + north[inside])
        shares = labels.indicators(disc)
        assert shares[labels.INDICATORS.index('built')] == pytest.approx(
            dense.built.mean(), abs=0.05
        )
        field = np.mean(dense.crop != NO_CROP)
        assert shares[labels.INDICATORS.index('field')] == pytest.approx(field, abs=0.05)
        water = np.mean(dense.code == materials.CODE['water'])
        assert shares[labels.INDICATORS.index('water')] == pytest.approx(water, abs=0.05)


def test_place_labels_are_those_of_the_globe(made):
    photo = made[1].photos[2]
    cities = make_world(0, SIZE.cities).cities
    expected = globe.place_regressions(0, cities, photo['lonlat'][None])[0]
    np.testing.assert_allclose(photo['labels']['place_regression'], expected, rtol=1e-5)
    assert photo['labels']['place_class'] == globe.place_class(0, photo['lonlat'][None])[0]


def test_a_light_green_place_and_a_town_differ_in_perception():
    """More walls, livelier and less beautiful: signs of the rule, far above noise."""
    green, town = [], []
    for index in range(12):
        for photo in tiles.make_tile(0, dataclasses.replace(SIZE, train=40), index).photos:
            built, plants = photo['labels']['indicators'][[0, 1]]
            if built > 0.35:
                town.append(photo['labels']['perception'])
            elif plants > 0.7:
                green.append(photo['labels']['perception'])
    assert len(green) > 3 and len(town) > 3
    lively, beautiful = (labels.PERCEPTION.index(name) for name in ('lively', 'beautiful'))
    gap = np.mean(town, 0) - np.mean(green, 0)
    assert gap[lively] > 0.5 and gap[beautiful] < -0.5
