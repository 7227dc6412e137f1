"""Places drawn from a raster of settlements: which, how many of each kind, where and how apart."""

import collections
import re

import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio

from gair_jax.builders.streetscapes import choose, plan, plan_files, settlements, tables
from gair_jax.builders.streetscapes.settings import PlacesConfig, StreetscapesConfig
from gair_jax.config import InputError
from gair_jax.geo import sphere
from tests.builders.streetscapes import settlement_rasters as rasters

FRANCE = rasters.corner(2.0, 47.0)
URBAN, RURAL = (21, 22, 23, 30), (11, 12, 13)


@pytest.fixture(scope='module')
def country(tmp_path_factory):
    path = tmp_path_factory.mktemp('country') / 'smod.tif'
    return rasters.write(path, rasters.country(), *FRANCE)


def places(raster, **fields):
    return PlacesConfig(**{'raster': str(raster), 'count': 400, 'blocks': 6, **fields})


def distances(rows):
    """Metres between all pairs, [n (n - 1) / 2]."""
    lonlat = rows[['lon', 'lat']].to_numpy()
    first, second = np.triu_indices(len(lonlat), 1)
    return sphere.great_circle_m(lonlat[first], lonlat[second])


def cells_of(raster, rows):
    """(column, row) with fractions of each place, by its degrees alone."""
    with rasterio.open(raster) as source:
        to = pyproj.Transformer.from_crs(4326, source.crs, always_xy=True)
        x, y = to.transform(rows['lon'].to_numpy(), rows['lat'].to_numpy())
        left, top, side = source.transform.c, source.transform.f, source.transform.a
    return np.stack([(x - left) / side, (top - y) / side], axis=-1)


def test_half_are_urban_each_in_a_cell_of_its_kind_and_no_cell_twice(country):
    drawn = settlements.draw(places(country))
    assert drawn['settlement'].value_counts().to_dict() == {'urban': 200, 'rural': 200}
    inside = cells_of(country, drawn)
    column, row = np.floor(inside).astype(int).T
    names = [f'{c}_{r}' for c, r in zip(column, row, strict=True)]
    assert names == drawn['orig_id'].tolist() and len(set(names)) == 400
    codes = rasters.country()[row, column]
    urban = (drawn['settlement'] == 'urban').to_numpy()
    assert np.isin(codes[urban], URBAN).all() and np.isin(codes[~urban], RURAL).all()
    # Anywhere in the cell: a mean of 1/2 and a variance of 1/12 either way, within 4 errors of 400.
    within = inside - np.floor(inside)
    np.testing.assert_allclose(within.mean(axis=0), 0.5, atol=4 * np.sqrt(1 / 12 / 400))
    np.testing.assert_allclose(within.var(axis=0), 1 / 12, atol=4 * np.sqrt(1 / 180 / 400))
    assert abs(np.corrcoef(within.T)[0, 1]) < 0.2


def test_no_two_are_within_960_m(country):
    drawn = settlements.draw(places(country, count=1000))
    assert distances(drawn).min() > 960
    # Towns are dense enough for the rule to act: of 784 urban cells not all can be had.
    assert distances(drawn[drawn['settlement'] == 'urban']).min() < 1100


def test_what_is_near_goes_unless_what_it_is_near_to_went():
    metre = 1 / (sphere.EARTH_RADIUS_M * np.pi / 180)  # degrees of latitude
    chain = np.array([[0, 0], [0, 900 * metre], [0, 1800 * metre], [0, 2759 * metre]])
    assert settlements.apart(chain).tolist() == [True, False, True, False]
    assert settlements.apart(chain[[1, 0, 2, 3]]).tolist() == [True, False, False, True]
    # Over the antimeridian, and where a degree of longitude is short.
    east = np.array([[179.9999, 0.0], [-179.9999, 0.0], [-179.98, 0.0]])
    assert settlements.apart(east).tolist() == [True, False, True]
    north = np.array([[10.0, 83.0], [10.07, 83.0], [10.0711, 83.0]])  # 949 and 964 m
    assert settlements.apart(north).tolist() == [True, False, True]


def test_blocks_are_as_many_as_wanted_and_share_evenly(country):
    drawn = settlements.draw(places(country, count=200, blocks=4))
    by = drawn.groupby(['settlement', 'block']).size()
    assert drawn['block'].nunique() == 4
    # Of 4 blocks 2 at least have towns, and so have 4 of all 9.
    assert 2 <= len(by['urban']) <= 4
    assert by['rural'].tolist() == [25] * 4
    assert by['urban'].max() - by['urban'].min() <= 1
    column, row = drawn['orig_id'].str.split('_', expand=True).astype(int).to_numpy().T
    named = [f'{r // 100}_{c // 100}' for c, r in zip(column, row, strict=True)]
    assert named == drawn['block'].tolist()


def test_all_blocks_are_taken_where_there_are_no_more(country):
    drawn = settlements.draw(places(country, blocks=100))
    assert drawn['block'].nunique() == 9


def test_half_of_the_blocks_have_towns_where_those_are_rare(tmp_path):
    codes = np.full((100, 4000), 11, np.int16)
    codes[40:44, 1050:1054] = codes[40:44, 2050:2054] = 30
    raster = rasters.write(tmp_path / 'r.tif', codes, *rasters.corner(-20.0, 10.0))
    for seed in range(3):
        drawn = settlements.draw(places(raster, count=8, blocks=4, seed=seed))
        urban = drawn[drawn['settlement'] == 'urban']
        assert sorted(set(urban['block'])) == ['0_10', '0_20'] and len(urban) == 4
        assert len(set(drawn['block'])) == 4


def strata(path, split, **form):
    """Codes 1 west of a meridian and 2 east of it, 3 in one part; none in the far north."""
    codes = np.where(2.0 + 0.05 * np.arange(80) < split, 1, 2)[None].repeat(80, axis=0)
    codes[28:42, :15] = 3
    codes[:12] = 0
    return rasters.write(
        path, codes.astype(np.uint8), 2.0, 47.0, crs='EPSG:4326', side=0.05, nodata=0, **form
    )


def test_rural_places_are_spread_evenly_over_strata(country, tmp_path):
    path = strata(tmp_path / 'zones.tif', 4.0)
    drawn = settlements.draw(places(country, count=400, blocks=9, strata=(str(path),)))
    rural = drawn[drawn['settlement'] == 'rural']
    column = np.floor((rural['lon'] - 2.0) / 0.05).astype(int)
    row = np.floor((47.0 - rural['lat']) / 0.05).astype(int)
    codes = rasterio.open(path).read(1)
    with_codes = np.where((row >= 0) & (column >= 0), codes[row, column], 0)
    counts = collections.Counter(with_codes.tolist())
    # 200 over four strata, of which nothing is known of one.
    assert counts == {0: 50, 1: 50, 2: 50, 3: 50}
    plain = settlements.draw(places(country, count=400, blocks=9))
    pd.testing.assert_frame_equal(
        *(one[one['settlement'] == 'urban'].reset_index(drop=True) for one in (drawn, plain))
    )


def test_two_rasters_make_strata_of_their_pairs(country, tmp_path):
    paths = tuple(str(strata(tmp_path / f'{split}.tif', split)) for split in (3.0, 4.0))
    wanted = places(country, count=400, blocks=9, strata=paths)
    offered = settlements._offered(wanted)
    names = set(offered.loc[offered['settlement'] == 'rural', 'stratum'])
    assert names == {'1/1', '2/1', '2/2', '3/3', settlements.ELSEWHERE}
    assert set(offered.loc[offered['settlement'] == 'urban', 'stratum']) == {''}


def test_the_same_raster_gives_the_same_places_and_another_seed_others(country, tmp_path):
    # A copy that does not declare its -200 as no data, cut in other blocks.
    tiled = {
        'nodata': None,
        'tiled': True,
        'blockxsize': 64,
        'blockysize': 64,
        'compress': 'deflate',
    }
    other = rasters.write(tmp_path / 'b.tif', rasters.country().astype(np.int32), *FRANCE, **tiled)
    first = settlements.draw(places(country))
    pd.testing.assert_frame_equal(first, settlements.draw(places(other)))
    seeded = settlements.draw(places(country, seed=1))
    assert len(set(first['orig_id']) & set(seeded['orig_id'])) < 200
    # They come in the order of taking, that of every plan.
    keys = ['place:' + name for name in first['orig_id']]
    assert choose.ordered(pd.DataFrame({'key': keys}), 0)['key'].tolist() == keys


def test_places_keep_away_from_the_poles(tmp_path):
    codes = np.full((60, 100), 11, np.int16)
    codes[::2, 50:] = 30
    raster = rasters.write(tmp_path / 'n.tif', codes, *rasters.corner(0.5, 84.2))
    everywhere = cells_latitudes(raster)
    assert everywhere.max() > 84.1 and everywhere.min() < 83.9
    drawn = settlements.draw(places(raster, count=800, blocks=1))
    assert drawn['lat'].max() < 84 and len(drawn) > 100


def cells_latitudes(raster):
    with rasterio.open(raster) as source:
        back = pyproj.Transformer.from_crs(source.crs, 4326, always_xy=True)
        rows = np.arange(source.height) + 0.5
        x, y = source.transform.c, source.transform.f - rows * 1000
        return np.array(back.transform(np.full(len(rows), x), y)[1])


def town(path, **form):
    """A country of 30 urban and 870 rural cells."""
    codes = np.full((30, 30), 11, np.int16)
    codes[4:9, 4:10] = 23
    return rasters.write(path, codes, *FRANCE, **form)


def test_what_is_lacking_is_said(tmp_path):
    settings = StreetscapesConfig()
    settings.places = places(town(tmp_path / 'r.tif'), count=100, blocks=1)
    counts = plan.plan(settings, tmp_path / 'out')
    assert counts['rural'] == 50 and counts['rural lacking'] == 0
    assert 10 <= counts['urban'] < 30 and counts['urban'] + counts['urban lacking'] == 50
    assert counts['rows'] == counts['planned'] == counts['urban'] + 50 and counts['dropped'] == 0
    assert counts['cities'] == counts['reserve'] == 0


def test_a_plan_has_places_as_rows_without_photos(country, tmp_path):
    settings = StreetscapesConfig(places=places(country))
    plan.plan(settings, tmp_path)
    rows, tiles = plan_files.photos(tmp_path), plan_files.tiles(tmp_path)
    assert set(rows['source']) == {'place'} and (rows['key'] == 'place:' + rows['orig_id']).all()
    assert (rows[['city', 'city_id', 'datetime', 'sequence']] == '').all(axis=None)
    assert rows['heading'].isna().all() and not rows['panorama'].any()
    assert set(rows['settlement']) == {'urban', 'rural'}
    # Places on one tile have one block, though it may lie on the border of two.
    assert (rows.groupby('tile')['block'].nunique() == 1).all()
    for row in rows.itertuples():
        size = np.array([tiles[row.tile].width, tiles[row.tile].height])
        xy = tiles[row.tile].pixel_xy(np.array([[row.lon, row.lat]]))[0]
        assert (xy >= 95).all() and (size - xy >= 95).all()
        assert size.max() <= 257 + 2 * 95 + 2
    drawn = settlements.draw(settings.places).set_index('orig_id')
    np.testing.assert_array_equal(rows[['lon', 'lat']], drawn.loc[rows['orig_id'], ['lon', 'lat']])


def test_a_tile_on_the_border_of_blocks_goes_with_one():
    rows = pd.DataFrame({'outcome': 'planned', 'lon': [9.0, 9.005], 'lat': 48.0, 'city_id': ''})
    rows['block'] = ['3_4', '3_3']
    laid, layout = plan._laid(rows, StreetscapesConfig().tiles)
    assert len(layout.tiles) == 1 and laid['block'].tolist() == ['3_3', '3_3']


def test_a_plan_of_another_raster_is_refused_and_a_moved_one_is_not(country, tmp_path):
    zones = strata(tmp_path / 'zones.tif', 4.0)
    settings = StreetscapesConfig(places=places(country, strata=(str(zones),)))
    counts = plan.plan(settings, tmp_path / 'out')
    moved = tmp_path / 'moved.tif'
    moved.write_bytes(country.read_bytes())
    settings.places.raster = str(moved)
    assert plan.plan(settings, tmp_path / 'out') == counts
    strata(zones, 3.0)
    with pytest.raises(InputError, match='planned with places.strata'):
        plan.plan(settings, tmp_path / 'out')
    strata(zones, 4.0)
    rasters.write(moved, rasters.country(seed=1), *FRANCE)
    with pytest.raises(InputError, match='planned with places.raster of digest .* into another'):
        plan.plan(settings, tmp_path / 'out')


def test_the_plan_of_a_table_knows_nothing_of_rasters(tmp_path):
    (tmp_path / 't.csv').write_text('id,source,lon,lat\na,folder,9,48\n')
    stamp = plan_files.stamp(StreetscapesConfig(places=PlacesConfig(table=str(tmp_path / 't.csv'))))
    assert not {'places.raster', 'places.count', 'places.blocks', 'places.strata'} & set(stamp)


def cover(path):
    return rasters.write(path, np.full((20, 20), 40, np.uint8), *FRANCE, nodata=0)


def changed(**form):
    return lambda path: town(path, **form)


def only(code):
    return lambda path: rasters.write(path, np.full((9, 9), code, np.int16), *FRANCE)


def of_type(kind):
    return lambda path: rasters.write(path, np.full((9, 9), 11, kind), *FRANCE)


def two_bands(path):
    return rasters.write(path, np.full((2, 9, 9), 11, np.int16), *FRANCE)


BAD_RASTERS = {
    'bands': (two_bands, r'expected one band and a CRS \(places.raster\), found 2'),
    'no CRS': (changed(crs=None), 'expected one band and a CRS .*, found 1 and None'),
    'degrees': (
        changed(crs='EPSG:4326', side=0.01), 'expected cells of equal area .*EPSG:4326'
    ),
    'coarse': (changed(side=5000.0), 'expected cells of about 1 km .*, found 5000 m'),
    'fine': (changed(side=100.0), 'expected cells of about 1 km .*, found 100 m'),
    'land cover': (cover, r'row 0, column 0: expected a code of GHS-SMOD .*, found 40'),
    'fractions': (of_type(np.float32), 'expected whole numbers .*, found float32'),
    'other nodata': (changed(nodata=11), 'expected rural cells .*11, 12, 13'),
    'a low code': (only(-3), 'row 0, column 0: .*, found -3'),
    'a code that wraps': (only(256 + 11), 'row 0, column 0: .*, found 267'),
    'all rural': (only(12), r'expected urban cells .*codes 21, 22, 23, 30\) below 84'),
    'all urban': (only(30), 'expected rural cells'),
    'water': (only(10), 'expected urban cells'),
    'no picture': (lambda path: path.write_text('x'), 'cannot be read as a GeoTIFF'),
    'missing': (lambda path: None, 'cannot be read as a GeoTIFF'),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD_RASTERS)
def test_a_raster_that_cannot_be_used_is_named(tmp_path, name):
    make, words = BAD_RASTERS[name]
    make(tmp_path / 'smod.tif')
    with pytest.raises(InputError, match='smod.tif: ' + words):
        settlements.draw(places(tmp_path / 'smod.tif', count=4))


def test_a_raster_that_breaks_off_is_named(tmp_path):
    path = rasters.write(tmp_path / 'r.tif', rasters.country(), *FRANCE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match='r.tif: cannot be read'):
        settlements.draw(places(path))


BAD_SETTINGS = {
    'count': ({'count': 0}, 'places.count: expected 2 or more, found 0'),
    'blocks': ({'blocks': 0}, 'places.blocks: expected 1 or more, found 0'),
    'box': ({'box': (0.0, 0.0, 1.0, 1.0)}, 'places.box: expected .* beside places.raster'),
    'quality': ({'quality': True}, 'places.quality: expected False beside places.raster'),
    'city': ({'per_city': 9}, 'places.per_city: expected 0 beside places.raster'),
    'strata': ({'strata': ('nowhere.tif',)}, 'nowhere.tif: no such file'),
    'both': ({'table': 't.csv'}, 'places.raster: expected it or places.table, found both'),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD_SETTINGS)
def test_settings_that_cannot_be_are_refused(country, tmp_path, name):
    fields, words = BAD_SETTINGS[name]
    settings = StreetscapesConfig(places=places(country, **fields))
    with pytest.raises(InputError, match=words):
        plan.plan(settings, tmp_path)
    assert not (tmp_path / 'plan').exists()


def test_a_build_needs_a_table_or_a_raster(tmp_path):
    with pytest.raises(InputError, match='places.table: .*; places.raster is not set either'):
        plan.plan(StreetscapesConfig(), tmp_path)


def test_strata_that_lie_elsewhere_are_refused(country, tmp_path):
    zones = rasters.write(
        tmp_path / 'zones.tif', np.ones((9, 9), np.uint8), 100.0, 0.0, crs='EPSG:4326', side=1.0,
        nodata=0,
    )  # fmt: skip
    with pytest.raises(InputError, match='zones.tif: expected values where rural places are'):
        settlements.draw(places(country, strata=(str(zones),)))


def test_a_table_gives_rows_of_the_same_columns(country, tmp_path):
    (tmp_path / 't.csv').write_text('id,source,lon,lat\na,folder,9,48\n')
    table = tables.read(PlacesConfig(table=str(tmp_path / 't.csv')))
    drawn = tables.read(places(country))
    assert set(table.columns) == set(drawn.columns)
    assert table[['settlement', 'block']].iloc[0].tolist() == ['', '']
    assert drawn['row'].tolist() == list(range(1, 401))
    assert all(re.fullmatch(r'place:\d+_\d+', key) for key in drawn['key'])
