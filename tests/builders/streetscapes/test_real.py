"""The 2,319 real rows of Stuttgart and Singapore through the builder, from table to set."""

import collections
import math

import numpy as np
import pandas as pd
import pyproj
import pytest

from gair_jax.builders.streetscapes import (
    ledger,
    pack,
    pair,
    photos_fetch,
    photos_files,
    photos_requests,
    plan,
    plan_files,
    scenes_fetch,
    scenes_select,
)
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import DataConfig, InputError
from gair_jax.configs.data import my_city
from gair_jax.input.store import Store
from tests.builders.streetscapes import photo_plans
from tests.builders.streetscapes.test_pack import truth
from tests.builders.streetscapes.test_scenes_fetch import source_of
from tests.shared import shared
from tests.standins import catalogue, photo_api

SAMPLE = 'data/global-streetscapes-sample'
ZONES = {'Stuttgart': 'EPSG:32632', 'Singapore': 'EPSG:32648'}
CENTRES = {'Stuttgart': (9.1775, 48.7761), 'Singapore': (103.8, 1.3)}
DATES = ('2021-05-10', '2021-06-10')
NAMES = {'name': 'streetscapes', 'variant': 'default'}
# As the stand-ins of the two services say that there is no such photo.
GONE = {'mapillary': 'gone: status 400', 'kartaview': 'gone: no such photo'}


def published():
    """The rows as pandas joins them, with their place in UTM by pyproj alone and their key."""
    folder = shared(f'{SAMPLE}/tables')
    rows, cities = (
        pd.read_csv(folder / name, dtype={'orig_id': str})
        for name in ('02_metadata_common_attributes.csv', '01_simplemaps.csv')
    )
    rows = rows.merge(cities[['uuid', 'city']], on='uuid')
    for city, zone in ZONES.items():
        to_utm = pyproj.Transformer.from_crs('EPSG:4326', zone, always_xy=True)
        own = rows['city'] == city
        rows.loc[own, ['x', 'y']] = np.transpose(
            to_utm.transform(rows.loc[own, 'lon'], rows.loc[own, 'lat'])
        )
    return rows.assign(key=rows['source'].str.lower() + ':' + rows['orig_id'])


def cells(rows, side):
    """The cell of each photo on the grid of UTM that begins at its origin."""
    return rows.assign(cell_x=rows['x'] // side, cell_y=rows['y'] // side)


def judged(folder):
    """The published tables beside a table of judgements: of 50 rows the real ones, of every fourth
    of the others one that is made up, and of the rest none."""
    tables = shared(f'{SAMPLE}/tables')
    folder.mkdir()
    for path in tables.glob('0[12]_*.csv'):
        (folder / path.name).symlink_to(path)
    columns = ['uuid', 'quality', 'lighting_condition', 'platform']
    real = pd.read_csv(shared(f'{SAMPLE}/images.csv'))[columns]
    rows = published()
    rows = (
        rows[~rows['uuid'].isin(real['uuid'])]
        .iloc[::4]
        .assign(
            quality=lambda t: np.where(np.arange(len(t)) % 5 == 0, 'very poor', 'good'),
            lighting_condition=lambda t: np.where(np.arange(len(t)) % 7 == 0, 'night', 'day'),
            platform=lambda t: np.where(np.arange(len(t)) % 11 == 0, 'tunnel', 'driving surface'),
        )
    )
    found = pd.concat([real, rows[columns]])
    found.to_csv(folder / 'contextual.csv', index=False)
    return found


@pytest.mark.parametrize('layout', ['native', 'release'])
def test_clean_rows_are_those_that_a_plain_join_leaves(tmp_path, layout):
    """All lie on the zoom-14 tiles of their cities, so both layouts plan the same."""
    said = judged(tmp_path / 'tables')
    config = my_city.get_config('clean')
    config.places.table, config.tiles.layout = str(tmp_path / 'tables'), layout
    counts = plan.plan(config, tmp_path / 'out')
    bad = said[
        (said['quality'] == 'very poor')
        | (said['lighting_condition'] == 'night')
        | (said['platform'] == 'tunnel')
    ]
    rows = published()
    left = rows[~rows['uuid'].isin(bad['uuid'])]
    one = cells(left, 10).drop_duplicates(['sequence_id', 'cell_x', 'cell_y', 'city'])
    assert len(bad) > 100 and counts['planned'] == len(one) > 700
    photos, dropped = plan_files.photos(tmp_path / 'out'), plan_files.dropped(tmp_path / 'out')
    assert photos['city'].value_counts().to_dict() == one['city'].value_counts().to_dict()
    assert sorted([*photos['row'], *dropped['row']]) == list(range(1, 2320))
    reasons = dropped['reason'].value_counts()
    assert reasons[plan.THINNED] == len(left) - len(one)
    assert reasons.sum() - reasons[plan.THINNED] == len(bad)


def test_clean_says_which_table_is_lacking(tmp_path):
    """The sample came without `contextual`: a filter that could not act is refused."""
    config = my_city.get_config('clean')
    config.places.table = str(shared(f'{SAMPLE}/tables'))
    with pytest.raises(InputError, match='tables: expected a table contextual.csv in it, found no'):
        plan.plan(config, tmp_path)


def whole_settings(photos_url, scenes_url):
    made = StreetscapesConfig()
    made.places.table = str(shared(f'{SAMPLE}/tables'))
    made.scenes.source, made.scenes.url = 'stac', scenes_url
    made.photos.mapillary_url = made.photos.kartaview_url = photos_url
    made.photos.rate = 1e5
    return made


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """The whole sample: real rows, stand-in scenes and photos with the faults of `by_hash`."""
    out, rows = tmp_path_factory.mktemp('sample'), published()
    panoramas = set(rows['orig_id'][rows['projection_type'] == 'spherical'])
    api = photo_api.PhotoApi(
        token=photo_plans.TOKEN,
        camera=lambda name: 'spherical' if name in panoramas else 'perspective',
        picture=lambda name: photo_api.made(name, (512, 256) if name in panoramas else (180, 135)),
    )
    scenes = [
        catalogue.scene_around(*place, date, side=720)
        for place in CENTRES.values()
        for date in DATES
    ]
    with pytest.MonkeyPatch.context() as patch, photo_api.serve(api):
        patch.setattr(photos_requests, 'FIRST_WAIT', 0.001)
        patch.setenv('MAPILLARY_TOKEN', photo_plans.TOKEN)
        with catalogue.serve(scenes) as served:
            made = whole_settings(api.url, served.url)
            plan.plan(made, out)
            tiles = list(plan_files.tiles(out).values())
            for stage in (scenes_select.search, scenes_select.select, scenes_fetch.fetch):
                stage(made.scenes, tiles, out, source=source_of(served), shown=False)
        photos_fetch.fetch(made, plan_files.photos(out), out)
    pair.pair(made, out)
    pack.pack(made, out, data_dir=out / 'prepared')
    return rows, out, Store(DataConfig(dir=str(out / 'prepared'), **NAMES))


def ends(out, store):
    """What became of each key, as the files of the stages say: (key, end), packed views last."""
    dropped = plan_files.dropped(out)
    yield from zip(dropped['key'], dropped['reason'], strict=True)
    kept = set()
    for entry in ledger.merged(photos_files.ledgers(out)):
        if entry.state == 'kept':
            kept.add(entry.key)
        else:
            yield entry.key, f'{entry.state}: {entry.reason}'
    lost = pair.read(out, 'dropped')
    yield from zip(lost['key'], lost['reason'], strict=True)
    packed = {photo.id.partition('/')[0] for photo in store.photos('train')}
    assert packed <= kept
    yield from ((key, 'packed') for key in packed)


@pytest.mark.slow
def test_every_row_has_one_end(build):
    rows, out, store = build
    found = pd.DataFrame(ends(out, store), columns=['key', 'end'])
    assert sorted(found['key']) == sorted(rows['key'])
    gone = {k for k in rows['key'] if photo_api.by_hash(k.partition(':')[2]) == 'gone'}
    assert 20 < len(gone) < 80  # 2 %
    counts = found['end'].value_counts().to_dict()
    wanted = collections.Counter(GONE[key.partition(':')[0]] for key in gone)
    assert counts == {**wanted, 'packed': 2319 - len(gone)}
    assert gone == set(found['key'][found['end'] != 'packed'])
    assert store.metadata['failed'] == 0
    left = rows[~rows['key'].isin(gone)]
    views = np.where(left['projection_type'] == 'spherical', 4, 1)
    assert store.splits == {'train': views.sum()}
    of = pd.Series(views).groupby(left['source'].to_numpy()).sum()
    licences = {'CC BY-SA 4.0': of['Mapillary'], 'CC BY-SA': of['KartaView']}
    assert store.metadata['licences'] == licences


@pytest.mark.slow
def test_every_packed_photo_has_the_chips_of_its_own_place(build):
    rows, _, store = build
    rows, chips = rows.set_index('key'), {}
    for photo in store.photos('train'):
        row = rows.loc[photo.id.partition('/')[0]]
        assert photo.lonlat.tolist() == [row['lon'], row['lat']]
        view = photo.id.partition('/')[2]
        turned = (row['heading'] + 90 * int(view or 0)) % 360
        np.testing.assert_allclose(photo.heading, turned, rtol=0, atol=1e-9)
        assert len(photo.acquisitions) == len(DATES)
        for at, date in zip(photo.acquisitions, DATES, strict=True):
            chip = chips.setdefault(at, None) or store.tiles[at]
            chips[at] = chip
            assert (chip.crs, chip.date) == (ZONES[row['city']], date)
            column, line = (row['x'] - chip.bounds[0]) / 10, (chip.bounds[1] - row['y']) / 10
            assert 48 <= column < 80 and 48 <= line < 80
    assert len(chips) == len(store.tiles)
    for chip in chips.values():
        left, top = chip.bounds[:2]
        centres = np.arange(128) * 10 + 5
        where = np.meshgrid(left + centres, top - centres)
        np.testing.assert_array_equal(chip.bands, truth(chip.band_names, *where, chip.date))


@pytest.mark.slow
def test_as_many_chips_are_packed_as_photos_occupy_cells(build):
    """spec, section 2: 15 cells of 320 m in Stuttgart, 6 in Singapore, on UTM's own grid. Cells of
    a tile begin where the tile does, 480 m from its corner, so some more may be touched."""
    rows, _, store = build
    used = cells(rows, 320).drop_duplicates(['city', 'cell_x', 'cell_y'])
    assert used['city'].value_counts().to_dict() == {'Stuttgart': 15, 'Singapore': 6}
    for city, expected in (('Stuttgart', 15), ('Singapore', 6)):
        own = rows[rows['city'] == city]
        # Whole pixels of 20 m, 95 pixels around the photos; then 48 pixels to the first cell.
        left = math.floor((own['x'].min() // 10 - 95) / 2) * 2 + 48
        top = math.ceil((math.ceil(own['y'].max() / 10) + 95) / 2) * 2 - 48
        columns, lines = (own['x'] / 10 - left) // 32, (top - own['y'] / 10) // 32
        chips = {chip.id.rpartition('/')[0] for chip in store.tiles if chip.crs == ZONES[city]}
        assert len(chips) == len(set(zip(columns, lines, strict=True)))
        assert expected <= len(chips) <= expected + 2
