import json
import math
import os
import shutil

import hypothesis
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import strategies

from gair_jax.builders.streetscapes import choose, layouts, plan, plan_files
from gair_jax.builders.streetscapes.settings import PlacesConfig, StreetscapesConfig, TilesConfig
from gair_jax.config import InputError
from tests.shared import shared

SAMPLE = 'data/global-streetscapes-sample/tables'
FILES = ['dropped.parquet', 'photos.parquet', 'plan.json', 'tiles.parquet']
PARIS, OSLO = (2.3522, 48.8566), (10.7522, 59.9139)


def table_of(path, *rows):
    """A table of photos in a folder, with `id`, place and whatever else the rows say."""
    known = {'source': 'folder', 'city_id': '', 'sequence': 's', 'quality': '', 'width': 2048}
    pd.DataFrame([{**known, 'id': f'p{i}', **row} for i, row in enumerate(rows)]).to_csv(
        path, index=False
    )
    return path


def at(place, east=0.0, north=0.0, **cells):
    return {'lon': place[0] + east, 'lat': place[1] + north, **cells}


def settings(table, layout='native', **places):
    return StreetscapesConfig(
        places=PlacesConfig(table=str(table), **places), tiles=TilesConfig(layout=layout)
    )


@pytest.fixture
def towns(tmp_path):
    """30 photos of Paris, 10 of Oslo, and 2 without a city."""
    rows = [at(PARIS, 1e-4 * i, city_id='paris') for i in range(30)]
    rows += [at(OSLO, 0, 1e-4 * i, city_id='oslo', quality='very poor') for i in range(10)]
    rows += [at(PARIS, 1e-3), at(OSLO, 1e-3)]
    return table_of(tmp_path / 'photos.csv', *rows)


def check_whole(out, counts):
    """Every row is in exactly one place, the counts add up and tiles hold their photos."""
    photos, dropped, tiles = plan_files.photos(out), plan_files.dropped(out), plan_files.tiles(out)
    rows = sorted([*photos['row'], *dropped['row']])
    assert rows == list(range(1, counts['rows'] + 1))
    assert counts['planned'] + counts['reserve'] + counts['dropped'] == counts['rows']
    assert counts['planned'] == (~photos['reserve']).sum() and counts['dropped'] == len(dropped)
    assert counts['reserve'] == photos['reserve'].sum() and counts['tiles'] == len(tiles)
    assert (dropped['reason'] != '').all()
    assert set(photos.loc[~photos['reserve'], 'tile']) == set(tiles) >= set(photos['tile'])
    for key, group in photos.groupby('tile'):
        xy = tiles[key].pixel_xy(group[['lon', 'lat']].to_numpy())
        assert (xy >= 0).all() and (xy <= [tiles[key].width, tiles[key].height]).all()
    return photos, dropped


def test_every_row_is_planned_in_reserve_or_dropped(towns, tmp_path):
    out = tmp_path / 'build'
    counts = plan.plan(settings(towns, per_city=8, quality=True), out)
    # Oslo is left with none, so Paris alone counts: 8, and 8 in reserve.
    assert counts == {
        **{'rows': 42, 'planned': 8, 'reserve': 8, 'dropped': 26, 'tiles': 1, 'cities': 1}
    }
    _, dropped = check_whole(out, counts)
    assert dropped['reason'].value_counts().to_dict() == {
        **{'over the quota': 14, 'quality very poor': 10, 'no city': 2}
    }
    assert sorted(os.listdir(out / 'plan')) == FILES


def test_a_plan_has_the_columns_that_later_stages_read(towns, tmp_path):
    plan.plan(settings(towns, per_city=8), tmp_path)
    photos = plan_files.photos(tmp_path)
    assert photos.columns.tolist() == plan_files.PHOTOS.names
    assert photos['order'].dtype == np.uint64 and photos['reserve'].dtype == bool
    assert photos['city_id'].is_monotonic_increasing
    assert photos.groupby('city_id')['order'].is_monotonic_increasing.all()
    first = photos.iloc[0]
    assert first['key'] == f'folder:{first["orig_id"]}' and first['city_id'] == 'oslo'
    # Of a city, those of the reserve come after those planned.
    assert photos.groupby('city_id')['reserve'].is_monotonic_increasing.all()
    assert math.isnan(first['heading']) and first['datetime'] == ''


def test_tiles_are_read_back_as_they_were_cut(towns, tmp_path):
    plan.plan(settings(towns), tmp_path)
    photos = plan_files.photos(tmp_path)
    cut = layouts.native(photos[['lon', 'lat']].to_numpy(), photos['city_id'], 95)
    assert list(plan_files.tiles(tmp_path).values()) == cut.tiles
    assert photos['tile'].tolist() == [cut.tiles[i].key for i in cut.of]


def test_the_release_layout_drops_what_is_outside_the_tile_of_the_city(tmp_path):
    centre = {'city_id': 'p', 'city_lon': PARIS[0], 'city_lat': PARIS[1]}
    rows = [at(PARIS, **centre), at(PARIS, 0.05, **centre), at(PARIS, 1e-4, **centre)]
    table = table_of(tmp_path / 't.csv', *rows)
    counts = plan.plan(settings(table, 'release', per_city=5), tmp_path)
    photos, dropped = check_whole(tmp_path, counts)
    assert sorted(photos['row']) == [1, 3] and photos['tile'].unique().tolist() == ['z14_8299_5636']
    assert dropped['reason'].tolist() == [plan.OUTSIDE]


def test_the_reserve_is_on_tiles_that_are_read_anyway(tmp_path):
    """Photos 4.4 km apart are on tiles of their own; one is planned, and one would stand by."""
    rows = [at(PARIS, 0.06 * i, city_id='p') for i in range(2)]
    counts = plan.plan(settings(table_of(tmp_path / 't.csv', *rows), per_city=1), tmp_path)
    _, dropped = check_whole(tmp_path, counts)
    assert counts['planned'] == counts['tiles'] == 1 and counts['reserve'] == 0
    assert dropped['reason'].tolist() == [plan.ALONE]


ROW = strategies.fixed_dictionaries(
    {
        'lon': strategies.sampled_from([2.35, 2.3501, 2.41, 179.9999, -179.9999]),
        'lat': strategies.sampled_from([48.85, 48.851, -17.0, 84.0, -0.04, 0.01, 60.4]),
        'city_id': strategies.sampled_from(['', 'a', 'b', 'ü c']),
        'sequence': strategies.sampled_from(['', 's', 't']),
        'quality': strategies.sampled_from(['', 'good', 'very poor']),
        'width': strategies.sampled_from([320, 2048]),
    }
)
# Places alone in the Gulf of Guinea are refused as radians.
ON_LAND = ROW.filter(lambda row: not (row['lon'] < 3 and -18 < row['lat'] < 1))


@hypothesis.given(
    rows=strategies.lists(ON_LAND, min_size=1, max_size=30),
    per_city=strategies.integers(0, 6),
    spread=strategies.booleans(),
    thin_m=strategies.sampled_from([0.0, 100.0]),
    quality=strategies.booleans(),
    least_width=strategies.sampled_from([0, 640]),
    layout=strategies.sampled_from(['native', 'release']),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_the_counts_add_up_whatever_the_table(tmp_path_factory, rows, layout, **places):
    out = tmp_path_factory.mktemp('plan')
    wanted = settings(table_of(out / 't.csv', *rows), layout, **places)
    try:
        counts = plan.plan(wanted, out)
    except InputError as error:
        assert 'no photo is left' in str(error)
        return
    photos, _ = check_whole(out, counts)
    of = photos[~photos['reserve']].groupby('city_id').size()
    if places['per_city'] and not places['spread']:
        assert (of <= places['per_city']).all()
    shutil.rmtree(out)


def test_the_same_plan_again_reads_what_is_there(towns, tmp_path):
    wanted = settings(towns, per_city=8)
    counts = plan.plan(wanted, tmp_path)
    before = {name: (tmp_path / 'plan' / name).stat().st_mtime_ns for name in FILES}
    moved = tmp_path / 'elsewhere.csv'
    moved.write_bytes(towns.read_bytes())
    assert plan.plan(settings(moved, per_city=8), tmp_path) == counts
    assert before == {name: (tmp_path / 'plan' / name).stat().st_mtime_ns for name in FILES}


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'per_city': 9}, 'planned with places.per_city 8, and now it is 9: plan into another'),
        ({'seed': 1}, 'planned with places.seed 0, and now it is 1'),
        ({'box': (0.0, 0.0, 9.0, 60.0)}, r'places.box \[\], and now it is \[0.0, 0.0, 9.0, 60.0\]'),
        ({'layout': 'release'}, "tiles.layout 'native', and now it is 'release'"),
    ],
)
def test_another_plan_over_it_is_refused(towns, tmp_path, changed, message):
    plan.plan(settings(towns, per_city=8), tmp_path)
    with pytest.raises(InputError, match=message):
        plan.plan(settings(towns, **{'per_city': 8, **changed}), tmp_path)


def test_a_plan_of_another_table_is_refused(towns, tmp_path):
    plan.plan(settings(towns), tmp_path)
    towns.write_text(towns.read_text() + 'folder,,s,,2048,new,2.4,48.9\n')
    with pytest.raises(InputError, match='planned with places.table of digest .* into another'):
        plan.plan(settings(towns), tmp_path)


def test_two_plans_of_one_table_are_equal(towns, tmp_path):
    outs = [tmp_path / name for name in 'ab']
    for out in outs:
        plan.plan(settings(towns, per_city=8), out)
    for name in FILES:
        assert (outs[0] / 'plan' / name).read_bytes() == (outs[1] / 'plan' / name).read_bytes()


def test_the_order_of_rows_does_not_matter(towns, tmp_path):
    lines = towns.read_text().splitlines()
    turned = tmp_path / 'turned.csv'
    turned.write_text('\n'.join([lines[0], *lines[:0:-1]]) + '\n')
    for name, table in (('a', towns), ('b', turned)):
        plan.plan(settings(table, per_city=8), tmp_path / name)
    a, b = (plan_files.photos(tmp_path / name).drop(columns='row') for name in 'ab')
    pd.testing.assert_frame_equal(a, b)


def test_a_plan_that_was_broken_off_is_made_anew(towns, tmp_path, monkeypatch):
    real, done = os.replace, []

    def breaks(part, path):
        if len(done) == 2:
            raise OSError(28, 'No space left on device')
        done.append(path)
        real(part, path)

    monkeypatch.setattr(os, 'replace', breaks)
    with pytest.raises(InputError, match='plan: cannot be written: No space left on device'):
        plan.plan(settings(towns, per_city=8), tmp_path)
    with pytest.raises(InputError, match='expected a plan, found none'):
        plan_files.photos(tmp_path)
    monkeypatch.undo()
    # Other settings are fine: nothing was planned.
    check_whole(tmp_path, plan.plan(settings(towns, per_city=7), tmp_path))


def test_a_broken_record_of_a_plan_is_told(towns, tmp_path):
    plan.plan(settings(towns), tmp_path)
    (tmp_path / 'plan/plan.json').write_text('{"stamp": 3}')
    with pytest.raises(InputError, match='plan.json: cannot be read as a plan'):
        plan.plan(settings(towns), tmp_path)


@pytest.mark.parametrize(
    ('tiles', 'message'),
    [
        ({'layout': 'square'}, "tiles.layout: expected native or release, found 'square'"),
        ({'margin': -1}, 'tiles.margin: expected 0 or more, found -1'),
    ],
)
def test_settings_out_of_range_are_refused(towns, tmp_path, tiles, message):
    wanted = StreetscapesConfig(places=PlacesConfig(table=str(towns)), tiles=TilesConfig(**tiles))
    with pytest.raises(InputError, match=message):
        plan.plan(wanted, tmp_path)


def test_a_plan_without_photos_says_why(towns, tmp_path):
    wanted = settings(towns, box=(20.0, 0.0, 30.0, 10.0))
    with pytest.raises(InputError, match="42 of 42 rows are left out for 'outside the box'"):
        plan.plan(wanted, tmp_path)
    assert not (tmp_path / 'plan').exists()


@pytest.mark.parametrize(('layout', 'thin_m'), [('native', 0.0), ('release', 10.0)])
def test_the_published_sample_is_planned(tmp_path, layout, thin_m):
    """spec: 727 of 1,725 and 153 of 594 are left by thinning; all lie on their zoom-14 tiles."""
    wanted = settings(shared(SAMPLE), layout, thin_m=thin_m)
    photos, _ = check_whole(tmp_path, plan.plan(wanted, tmp_path))
    expected = (
        {'Stuttgart': 727, 'Singapore': 153} if thin_m else {'Stuttgart': 1725, 'Singapore': 594}
    )
    assert photos['city'].value_counts().to_dict() == expected
    sizes = sorted((tile.width, tile.height) for tile in plan_files.tiles(tmp_path).values())
    if layout == 'release':
        # 246 x 246 cos(latitude), within the pixel that growing adds.
        assert sizes[0] == (245, 245) and abs(sizes[1][1] - 246 * math.cos(0.8513)) < 1.5
    assert len(sizes) == 2 and max(map(max, sizes)) <= 436


def test_the_files_say_nothing_but_data(towns, tmp_path):
    """No metadata of pandas, and the record names no path of this machine."""
    plan.plan(settings(towns), tmp_path)
    for name in ('photos', 'tiles', 'dropped'):
        schema = pyarrow.parquet.read_schema(tmp_path / 'plan' / f'{name}.parquet')
        assert schema.metadata is None
    text = (tmp_path / 'plan/plan.json').read_text()
    assert str(tmp_path) not in text and json.loads(text)['counts']['rows'] == 42
    assert choose.PLANNED != choose.RESERVE
