"""The layout of the published release end to end: zoom-14 tiles in degrees, nearest from UTM."""

import json
import math

import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
from PIL import Image

from gair_jax import sensors
from gair_jax.builders.streetscapes import pack, pair, plan, plan_files, scenes_cog, scenes_fetch
from gair_jax.config import Config
from gair_jax.input.examples import Examples
from gair_jax.input.store import Store
from tests.builders.streetscapes.test_pack import config, fetched, truth
from tests.builders.streetscapes.test_scenes_fetch import entries
from tests.standins import catalogue

pytestmark = pytest.mark.slow
# In zones 32 and 56, one on each side of the equator.
CITIES = {
    'oslo': ((10.7522, 59.9139), 'EPSG:32632'),
    'sydney': ((151.2093, -33.8688), 'EPSG:32756'),
}
DATES = ('2020-05-10', '2020-06-10')
# Of the equator's circle 10 m: 360 degrees are 2 pi 6,378,137 m.
STEP = 3600 / (2 * math.pi * 6378137)
OUT = 'oslo9'


def box_of(lon, lat):
    """West, north, east, south of a place's zoom-14 tile in whole steps, by the definition."""
    count = 2**14
    column = math.floor((lon + 180) / 360 * count)
    line = math.floor((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * count)
    west, east = (c / count * 360 - 180 for c in (column, column + 1))
    north, south = (
        math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * r / count)))) for r in (line, line + 1)
    )
    sides = (math.floor(west / STEP), math.ceil(north / STEP))
    return (*sides, math.ceil(east / STEP), math.floor(south / STEP))


def table(folder, each=9):
    """Photos anywhere on the tiles of their cities, one beyond its own."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for city, (centre, _) in CITIES.items():
        west, north, east, south = (side * STEP for side in box_of(*centre))
        for number in range(each):
            place = {'lon': rng.uniform(west, east), 'lat': rng.uniform(south, north)}
            rows.append({'id': f'{city}{number}', 'city_id': city, **place})
        rows[-each]['lon'] = west + 1e-7  # where a row of pixels begins
        if f'{city}{each}' == OUT:
            rows.append({'id': OUT, 'city_id': city, 'lon': east + 1e-4, 'lat': centre[1]})
    for row in rows:
        (lon, lat), _ = CITIES[row['city_id']]
        row.update(source='folder', city_lon=lon, city_lat=lat)
        Image.new('RGB', (130, 130)).save(folder / f'{row["id"]}.jpg')
    pd.DataFrame(rows).to_csv(folder / 'photos.csv', index=False)
    return pd.DataFrame(rows).set_index('id')


def build_of(folder):
    """A table, its build in the release layout and the folder of the prepared set."""
    rows = table(folder / 'photos')
    scenes = [catalogue.scene_around(*at, d, side=600) for at, _ in CITIES.values() for d in DATES]
    with catalogue.serve(scenes) as served:
        made = config(folder / 'photos', served.url, layout='release')
        fetched(made, folder / 'out', served)
    pair.pair(made, folder / 'out')
    pack.pack(made, folder / 'out', data_dir=folder / 'prepared')
    return rows, folder / 'out', folder / 'prepared'


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    return build_of(tmp_path_factory.mktemp('release'))


def settings(prepared):
    made = Config()
    made.data.dir, made.data.name, made.data.variant = str(prepared), 'streetscapes', 'default'
    made.input.rs.placement = 'whole'
    return made


def check_tile(chip, city):
    """The whole tile of the city's centre, each pixel the closed form where its centre lies."""
    centre, zone = CITIES[city]
    west, north, east, south = box_of(*centre)
    assert chip.crs == 'EPSG:4326' and chip.bands.shape == (north - south, east - west, 10)
    box = [side * STEP for side in (west, north, east, south)]
    np.testing.assert_allclose(chip.bounds, box, rtol=0, atol=1e-9)
    lon = (np.arange(west, east) + 0.5) * STEP
    lat = (np.arange(north, south, -1) - 0.5) * STEP
    to_utm = pyproj.Transformer.from_crs('EPSG:4326', zone, always_xy=True)
    x, y = to_utm.transform(*np.meshgrid(lon, lat))
    np.testing.assert_array_equal(chip.bands, truth(chip.band_names, x, y, chip.date))


def test_every_pixel_is_the_one_that_its_centre_lies_in(build):
    _, _, prepared = build
    tiles = Store(settings(prepared).data).tiles
    assert len(tiles) == len(CITIES) * len(DATES)
    for photo in Store(settings(prepared).data).photos('train'):
        assert [tiles[at].date for at in photo.acquisitions] == list(DATES)
    groups = {p.group: p.acquisitions for p in Store(settings(prepared).data).photos('train')}
    for city, rows in groups.items():
        for at in rows:
            check_tile(tiles[at], city)


def test_a_city_has_one_tile_that_all_its_photos_share(build):
    rows, _, prepared = build
    store = Store(settings(prepared).data)
    photos = list(store.photos('train'))
    assert {photo.id for photo in photos} == {f'folder:{name}' for name in rows.index} - {
        f'folder:{OUT}'
    }
    for kind in ('tile', 'acquisitions'):
        shared = {(photo.group, str(getattr(photo, kind))) for photo in photos}
        assert len(shared) == len(CITIES) == len({what for _, what in shared})
    assert store.metadata['tiles'] == {'layout': 'release', 'square': False}


def test_positions_follow_from_lon_and_lat_alone(build):
    rows, _, prepared = build
    made = settings(prepared)
    store = Store(made.data)
    examples = Examples(made, store, 'train')
    for index, photo in enumerate(store.photos('train')):
        row = rows.loc[photo.id.partition(':')[2]]
        west, north, east, south = (s * STEP for s in box_of(row['city_lon'], row['city_lat']))
        x = 2 * (row['lon'] - west) / (east - west) - 1
        y = 2 * (north - row['lat']) / (north - south) - 1
        info = examples.window_info(index)
        np.testing.assert_allclose(info.xy, [x, y], rtol=0, atol=1e-9)
        np.testing.assert_allclose(info.tile_xy, [x, y], rtol=0, atol=1e-9)
        sides = [round((north - south) / STEP), round((east - west) / STEP)]
        assert list(info.size) == list(info.tile_shape) == sides


def test_pixels_that_were_moved_are_said_to_be(build):
    _, out, _ = build
    found = list(entries(out).values())
    assert len(found) == 4 and all(entry.record['exact'] is False for entry in found)
    for entry in found:
        with rasterio.open(out / entry.record['file']) as raster:
            assert json.loads(raster.tags()['exact']) is False


def test_a_photo_beyond_its_tile_is_dropped(build):
    _, out, _ = build
    dropped = plan_files.dropped(out)
    assert dropped[['key', 'reason']].to_numpy().tolist() == [[f'folder:{OUT}', plan.OUTSIDE]]


def corner(raster, where):
    """Half a pixel north-west: the corner of each pixel, in the place of its centre."""
    a, b, c, d, e, f = where.transform
    return _positions(raster, where._replace(transform=(a, b, c - a / 2, d, e, f - e / 2)))


def flipped(raster, where):
    """Rows from the south."""
    rows, columns, exact = _positions(raster, where)
    return rows[::-1], columns, exact


_positions = scenes_cog._positions


@pytest.mark.parametrize('spoilt', [corner, flipped])
def test_the_truth_test_can_fail(build, tmp_path, monkeypatch, spoilt):
    _, out, _ = build
    (where,) = [tile for tile in plan_files.tiles(out).values() if tile.city == 'oslo']
    scene = catalogue.scene_around(*CITIES['oslo'][0], DATES[0], side=600)
    monkeypatch.setattr(scenes_cog, '_positions', spoilt)
    with catalogue.serve([scene]) as served:
        made = config(out.parent / 'photos', served.url, layout='release')
        made.places.box = (10.0, 59.0, 11.0, 60.0)
        fetched(made, tmp_path / 'out', served)
    (entry,) = entries(tmp_path / 'out').values()
    with rasterio.open(tmp_path / 'out' / entry.record['file']) as raster:
        pixels = raster.read()
    assert scenes_fetch.digest(pixels) == entry.sha256
    chip = Held(np.moveaxis(pixels, 0, -1), where)
    with pytest.raises(AssertionError, match='Arrays are not equal'):
        check_tile(chip, 'oslo')


class Held:
    """A file as `check_tile` looks at acquisitions."""

    def __init__(self, bands, tile):
        self.bands, self.bounds, self.crs, self.date = bands, tile.bounds, tile.crs, DATES[0]
        self.band_names = sensors.contract('sentinel2_10').bands
