"""A finished build as training reads it: each window's pixels are those of the ground around the
photo, from lon, lat and xy of the batch alone."""

import collections

import numpy as np
import pandas as pd
import pyproj
import pytest
import scipy.stats
from PIL import Image

from gair_jax import sensors
from gair_jax.builders.streetscapes import pack, pair
from gair_jax.config import Config
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from tests.builders.streetscapes.test_pack import config, fetched, truth
from tests.input.batches import many, still
from tests.standins import catalogue

# Fourteen cities of five zones, on both sides of the equator and of Greenwich.
CITIES = {
    f'city{i:02}': (lon, lat)
    for i, (lon, lat) in enumerate(
        [(-3.7 + 0.1 * i, 40.4) for i in range(4)]
        + [(2.35 + 0.1 * i, 48.85) for i in range(4)]
        + [(9.2, 45.4), (9.3, 45.4), (28.05, -26.2), (28.15, -26.2)]
        + [(-70.65, -33.45), (-70.55, -33.45)]
    )
}
DATES = ('2020-05-10', '2020-06-10')
WINDOW = 96
CONTRACT = sensors.contract('sentinel2_10')

pytestmark = pytest.mark.slow


def table(folder):
    """3, 4, ... 16 photos of each city, within 200 m of its centre."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    rows = []
    for count, (city, (lon, lat)) in enumerate(CITIES.items(), 3):
        for number in range(count):
            east, north = rng.uniform(-0.002, 0.002, 2)
            place = {'lon': lon + east, 'lat': lat + north, 'city_id': city}
            rows.append({'id': f'{city}-{number}', 'source': 'folder', **place})
            Image.new('RGB', (130, 130)).save(folder / f'{city}-{number}.jpg')
    pd.DataFrame(rows).to_csv(folder / 'photos.csv', index=False)
    return pd.DataFrame(rows).set_index('id')


def squares(lon, lat):
    """Zone and letter of the squares that a place lies among; which of them is of no matter."""
    return f'{epsg_of(lon, lat) % 100:02}{"N" if lat >= 0 else "M"}'


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """The table, and the folder of the prepared set, of which half the cities are in train."""
    folder = tmp_path_factory.mktemp('pipeline')
    rows = table(folder / 'photos')
    scenes = [
        catalogue.scene_around(*at, date, side=280, mgrs=f'{squares(*at)}A{chr(65 + i)}')
        for i, at in enumerate(CITIES.values())
        for date in DATES
    ]
    with catalogue.serve(scenes) as served:
        made = config(folder / 'photos', served.url)
        made.fractions = (0.5, 0.25, 0.25)
        fetched(made, folder / 'out', served)
    assert pair.pair(made, folder / 'out')['photos'] == len(rows)
    pack.pack(made, folder / 'out', data_dir=folder / 'prepared')
    return rows, folder / 'prepared'


def settings(prepared, placement='random'):
    """Windows of 96 at their own scale; nothing but their place and date is drawn."""
    made = still(Config(batch=50, seed=2))
    made.data.dir, made.data.name, made.data.variant = str(prepared), 'streetscapes', 'default'
    made.input.rs.placement = placement
    made.input.noise.kappa = 0.0
    made.model.dtype, made.model.sv.enabled = 'float32', False
    assert made.input.rs.window == made.input.rs.size == WINDOW
    return made


def epsg_of(lon, lat):
    """Of a place outside the exceptions of UTM."""
    return (32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1


def window_of(lonlat, xy):
    """Left and top, metres, and the zone, of the window in which this place is at xy."""
    epsg = epsg_of(*lonlat)
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(*lonlat)
    half = WINDOW * 5
    left, top = x - (xy[0] + 1) * half, y + (xy[1] + 1) * half
    # Windows begin at whole pixels; degrees of 32 bits are off by up to 0.4 m here.
    assert abs(left - round(left, -1)) < 1 and abs(top - round(top, -1)) < 1
    return round(left, -1), round(top, -1), epsg


def undone(pixels):
    """Least DN of each input in 0..255 of the contract, and the DN of a step."""
    mean, std = (np.array(values) for values in (CONTRACT.mean, CONTRACT.std))
    return np.round(pixels * 255.0) * std * 4 / 255 + mean - 2 * std, std * 4 / 255


def agrees(pixels, wanted):
    """Whether DN are what became these inputs: within a step, or beyond the ends of the range."""
    least, step = undone(pixels)
    above = (wanted >= least - 0.01) | (pixels == 0)
    below = (wanted <= least + step + 0.01) | (pixels == 1)
    return bool((above & below).all())


def dates_of(pixels, left, top):
    """The dates whose closed form the window has."""
    centres = np.arange(WINDOW) * 10 + 5
    x, y = np.meshgrid(left + centres, top - centres)
    return [date for date in DATES if agrees(pixels, truth(CONTRACT.bands, x, y, date))]


@pytest.mark.parametrize('placement', ['random', 'centre'])
def test_a_window_shows_the_ground_around_its_photo(build, placement):
    rows, prepared = build
    made = settings(prepared, placement)
    batch = many(made, 2)
    ids = Pipeline(made, 'train').ids(batch)
    seen = collections.Counter()
    for pixels, lonlat, xy, name in zip(
        batch['rs'], batch['lonlat'], batch['xy'], ids, strict=True
    ):
        left, top, epsg = window_of(lonlat.astype(float), xy.astype(float))
        (date,) = dates_of(pixels, left, top)
        seen[date] += 1
        # From the pixels' grid and xy back to the place in the table.
        half = WINDOW * 5
        x, y = left + (float(xy[0]) + 1) * half, top - (float(xy[1]) + 1) * half
        back = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
        row = rows.loc[name.partition(':')[2]]
        np.testing.assert_allclose(back, [row['lon'], row['lat']], rtol=0, atol=1e-8)
    assert len(ids) == 100 and scipy.stats.chisquare([seen[d] for d in DATES]).pvalue > 0.01
    pixel = (batch['xy'].astype(float) + 1) * WINDOW / 2
    if placement == 'centre':
        assert np.abs(pixel - WINDOW / 2).max() <= 0.5 + 1e-4
    else:
        # A chip holds any window with the photo at 16..80, and no other.
        assert (pixel >= 16 - 1e-4).all() and (pixel <= 80 + 1e-4).all() and np.ptp(pixel) > 50


def test_without_augmentation_the_first_date_and_the_middle(build):
    _, prepared = build
    made = settings(prepared)
    made.input.augment = False
    batch = many(made, 1)
    for pixels, lonlat, xy in zip(batch['rs'], batch['lonlat'], batch['xy'], strict=True):
        left, top, _ = window_of(lonlat.astype(float), xy.astype(float))
        assert dates_of(pixels, left, top) == [DATES[0]]
    assert np.abs(batch['xy']).max() <= 1 / WINDOW + 1e-6


def moved(batch):
    return batch | {'xy': batch['xy'] + np.float32(2 / WINDOW)}


def swapped(batch):
    return batch | {'rs': batch['rs'].swapaxes(1, 2)}


def mirrored(batch):
    return batch | {'rs': batch['rs'][:, :, ::-1]}


@pytest.mark.parametrize('spoil', [moved, swapped, mirrored])
def test_the_truth_test_can_fail(build, spoil):
    """A pixel of shift, exchanged axes, and a flip that xy does not follow show in every row."""
    _, prepared = build
    batch = spoil(many(settings(prepared), 1))
    for pixels, lonlat, xy in zip(batch['rs'], batch['lonlat'], batch['xy'], strict=True):
        left, top, _ = window_of(lonlat.astype(float), xy.astype(float))
        assert dates_of(pixels, left, top) == []


def test_a_flip_takes_the_position_with_it(build):
    _, prepared = build
    made = settings(prepared)
    made.input.rs.flip = 1.0
    batch = many(made, 1)
    back = batch['xy'] * np.array([-1, 1], np.float32)
    for pixels, lonlat, xy in zip(batch['rs'][:, :, ::-1], batch['lonlat'], back, strict=True):
        left, top, _ = window_of(lonlat.astype(float), xy.astype(float))
        assert len(dates_of(pixels, left, top)) == 1


def test_balanced_sampling_draws_each_city_alike(build):
    _, prepared = build
    made = settings(prepared)
    made.data.balance, made.model.rs.enabled = 'group', False
    made.batch = 1000
    photos = Store(made.data).photos('train')
    of = [photos[index].group for index in range(len(photos))]
    drawn = collections.Counter(of[index] for index in many(made, 1)['index'])
    held = collections.Counter(of)
    assert len(held) > 4 and max(held.values()) > 1.5 * min(held.values())
    assert scipy.stats.chisquare([drawn[city] for city in held]).pvalue > 0.01
    # As many of each city as it has photos is another law, and it is told apart.
    share = np.array(list(held.values())) / len(of) * 1000
    assert scipy.stats.chisquare([drawn[city] for city in held], share).pvalue < 1e-6


def test_no_city_and_no_ground_is_in_two_splits(build):
    rows, prepared = build
    store = Store(settings(prepared).data)
    groups, ground = {}, {}
    for split in ('train', 'val', 'test'):
        photos = list(store.photos(split))
        groups[split] = {photo.group for photo in photos}
        tiles = [store.tiles[at] for photo in photos for at in photo.acquisitions]
        ground[split] = {(tile.crs, *tile.bounds) for tile in tiles}
    every = [city for cities in groups.values() for city in cities]
    assert sorted(every) == sorted(CITIES) and min(map(len, groups.values())) >= 1
    assert sum(store.splits.values()) == len(rows)
    boxes = [(split, *box) for split, found in ground.items() for box in found]
    for split, crs, left, top, right, bottom in boxes:
        for other, other_crs, west, north, east, south in boxes:
            apart = right <= west or east <= left or top <= south or north <= bottom
            assert split == other or crs != other_crs or apart
