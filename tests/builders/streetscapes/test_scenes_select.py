"""Which passes are taken: clouds over the tile itself, months, squares, zones and repeats."""

import json

import numpy as np
import pytest

from gair_jax.builders.streetscapes import (
    keys,
    scenes_passes,
    scenes_run,
    scenes_select,
    scenes_stac,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Ledger
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError
from tests.standins import catalogue
from tests.standins.scene_files import Scene

LEFT, TOP = 499980.0, 5400000.0


def tile(key='t', left=LEFT + 1000, top=TOP - 1000, side=40, epsg=32632):
    return Tile(key, f'EPSG:{epsg}', (10.0, 0.0, left, 0.0, -10.0, top), side, side, '')


def scene(date, **fields):
    return Scene(date=date, **{'left': LEFT, 'top': TOP, 'side': 256, **fields})


def source_of(served):
    known = scenes_stac.Preset(url=served.url, collection='sentinel-2-l2a')
    return scenes_stac.StacSource(known, delay=0.002)


def settings(**fields):
    return ScenesConfig(source='stac', **fields)


def chosen(scenes, where=None, **fields):
    """`choose` over what a search gives."""
    where = where or tile()
    with catalogue.serve(scenes) as served:
        source = source_of(served)
        items = source.search(where.lonlat_box, '2017-01-01', '2024-12-31', 20.0)
        return scenes_select.choose(source, items, where, settings(**fields))


def taken(found):
    return [
        rank['date']
        for month in found['periods'].values()
        for rank in month['ranking'][: month['take']]
    ]


def clouds(share):
    """Cloud over the western share of `tile()`."""
    return (LEFT + 1000, LEFT + 1000 + 400 * share)


def test_the_clearest_over_the_tile_is_first_whatever_the_whole_scene_says():
    found = chosen(
        [
            scene('2020-05-01', cloud=1, clouded=clouds(0.5)),
            scene('2020-05-06', cloud=19, clouded=(LEFT, LEFT + 1000)),  # beside it
            scene('2020-05-11', cloud=2, clouded=clouds(0.25)),
            scene('2020-05-16', cloud=18),
        ]
    )
    ranking = found['periods']['2020-05']['ranking']
    assert [(r['date'][8:], r['cloud']) for r in ranking] == [
        ('16', 0.0),
        ('06', 0.0),
        ('11', 0.25),
        ('01', 0.5),
    ]
    assert taken(found) == ['2020-05-16']


def test_shadow_and_cirrus_are_cloud_and_defective_pixels_are_nothing():
    scl = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], np.uint8)
    assert scenes_select.shares(scl) == (4 / 12, 2 / 12)


def test_each_month_has_its_own_and_all_dates_may_be_few():
    days = ['2020-04-30', '2020-05-01', '2020-05-31', '2021-05-15']
    clear = [0.1, 0.3, 0.2, 0.0]
    scenes = [scene(d, clouded=clouds(c)) for d, c in zip(days, clear, strict=True)]
    assert taken(chosen(scenes)) == ['2020-04-30', '2020-05-31', '2021-05-15']
    assert taken(chosen(scenes, per_period=2)) == [days[0], days[2], days[1], days[3]]
    assert taken(chosen(scenes, most_dates=2)) == ['2020-04-30', '2021-05-15']
    assert taken(chosen(scenes, per_period=2, most_dates=3)) == [days[0], days[2], days[3]]


def test_each_season_has_its_own_and_december_is_in_the_next_winter():
    days = ['2019-12-01', '2020-02-28', '2020-03-01', '2020-05-31', '2020-12-15']
    clear = [0.1, 0.3, 0.2, 0.0, 0.4]
    scenes = [scene(d, clouded=clouds(c)) for d, c in zip(days, clear, strict=True)]
    found = chosen(scenes, period='season')
    assert {name: [r['date'] for r in p['ranking']] for name, p in found['periods'].items()} == {
        '2020-DJF': ['2019-12-01', '2020-02-28'],
        '2020-MAM': ['2020-05-31', '2020-03-01'],
        '2021-DJF': ['2020-12-15'],
    }
    assert taken(found) == ['2019-12-01', '2020-05-31', '2020-12-15']


def test_a_period_that_is_none_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(InputError, match='scenes.period: expected month or season'):
        scenes_select.search(settings(period='week'), [tile()], tmp_path, source=None)


def test_of_what_was_processed_anew_the_newest_is_kept():
    scenes = [scene('2020-05-01', baseline=b) for b in ('02.14', '05.00', '04.00')]
    found = chosen(scenes)
    (rank,) = found['periods']['2020-05']['ranking']
    assert rank['items'] == [scenes[1].id]
    assert found['dropped'] == {s.id: 'older baseline' for s in (scenes[0], scenes[2])}


def test_a_scene_that_lacks_a_part_is_filled_by_the_next_square_of_the_pass():
    middle = LEFT + 1200
    west = scene('2020-05-01', seen=(0, middle), mgrs='32UMV')
    east = scene('2020-05-01', left=LEFT + 1000, mgrs='32UNV', time='10:36:35', seen=(middle, 1e7))
    found = chosen([west, east])
    (rank,) = found['periods']['2020-05']['ranking']
    assert set(rank['items']) == {west.id, east.id} and rank['nodata'] == 0
    # Of another satellite, or hours apart, it is another pass.
    for other in ({'platform': 'sentinel-2b'}, {'time': '12:16:35'}):
        alone = chosen([west, scene('2020-05-01', mgrs='32UNV', seen=(middle, 1e7), **{**other})])
        assert not alone['periods']
        assert {reason.partition(':')[0] for reason in alone['dropped'].values()} == {'nodata'}


def test_the_square_with_most_around_the_tile_is_read_alone():
    wide = scene('2020-05-01', mgrs='32UNV')  # by name it would be second
    narrow = scene('2020-05-01', left=LEFT + 980, mgrs='32UMV')
    (rank,) = chosen([narrow, wide])['periods']['2020-05']['ranking']
    assert rank['items'] == [wide.id]


def test_nodata_has_a_limit():
    # 40 pixels wide: 1 column of 10 m is 2.5 %, and the classification has columns of 20 m.
    part = scene('2020-05-01', seen=(LEFT + 1020, 1e7))
    found = chosen([part])
    assert not found['periods'] and found['dropped'] == {part.id: 'nodata: 5.0% of the tile'}
    assert taken(chosen([part], most_nodata=0.05)) == ['2020-05-01']


def test_a_broken_classification_drops_the_pass():
    broken, good = scene('2020-05-01', absent=('SCL',)), scene('2020-05-20', clouded=clouds(1))
    found = chosen([broken, good])
    assert taken(found) == ['2020-05-20']
    assert found['dropped'][broken.id].startswith('unreadable: no such file')


def test_a_date_is_taken_once():
    scenes = [
        scene('2020-06-20', time='08:00:00', clouded=clouds(0.5)),
        scene('2020-06-20', time='09:40:00'),
    ]
    found = chosen(scenes, per_period=2)
    assert taken(found) == ['2020-06-20'] and found['dropped'] == {scenes[0].id: 'same date'}


def test_the_grid_of_the_tile_is_preferred_and_one_pass_has_one():
    where = catalogue.scene_around(12.0 - 1e-3, 48.0, '2020-05-01', side=512)
    own = catalogue.scene_around(11.9, 48.0, '2020-05-01', side=2048, mgrs='32TQU')
    # The same ground in the zone to the east.
    other = Scene(
        date='2020-05-01', left=266000.0, top=5331000.0, side=1600, epsg=32633, mgrs='33TTP'
    )
    place = tile(left=where.left + 2400, top=where.top - 2400)
    found = chosen([own, other], place)
    assert found['periods']['2020-05']['ranking'][0]['items'] == [own.id]
    assert found['dropped'] == {other.id: 'other zone'}
    assert chosen([other], place)['periods']['2020-05']['ranking'][0]['items'] == [other.id]


@pytest.mark.parametrize(('mgrs', 'crs'), [('32TQU', 'EPSG:32632'), ('01MAA', 'EPSG:32701')])
def test_a_zone_is_read_from_the_name_of_a_square(mgrs, crs):
    item = scenes_passes.Item('a', '', '', '', '', 1.0, '', 'no', mgrs, {}, {})
    assert scenes_passes.crs_of(item) == crs
    assert scenes_passes.crs_of(item._replace(extra={'crs': 'EPSG:1'})) == 'EPSG:1'
    assert scenes_passes.crs_of(item._replace(mgrs='')) == ''


class TestStages:
    def run(self, out, scenes, tiles, stage=scenes_select.search, **fields):
        with catalogue.serve(scenes) as served:
            return stage(settings(), tiles, out, source=source_of(served), shown=False, **fields)

    def test_a_tile_without_scenes_is_dropped_with_the_reason(self, tmp_path):
        far = tile('far', left=LEFT - 90000)
        ran = self.run(tmp_path, [scene('2020-05-01')], [tile(), far])
        assert ran.counts['kept'] == ran.counts['dropped'] == 1
        with Ledger(tmp_path / 'ledgers' / 'search-0.sqlite') as ledger:
            assert ledger.get('far').reason == 'no scene in the catalogue'
        assert [p.name for p in (tmp_path / 'search').iterdir()] == ['t.json']

    def test_a_tile_without_usable_scenes_is_dropped_with_the_reasons(self, tmp_path):
        scenes = [scene('2020-05-01', seen=(0, 1)), scene('2020-06-01', absent=('SCL',))]
        with catalogue.serve(scenes) as served:
            fields = {'source': source_of(served), 'shown': False}
            scenes_select.search(settings(), [tile()], tmp_path, **fields)
            ran = scenes_select.select(settings(), [tile()], tmp_path, **fields)
        assert ran.counts['dropped'] == 1
        with Ledger(tmp_path / 'ledgers' / 'select-0.sqlite') as ledger:
            assert ledger.get('t').reason == 'no usable scene: nodata, unreadable'

    def test_what_failed_is_asked_again_and_what_was_kept_is_not(self, tmp_path):
        where = [tile(), tile('u')]
        with catalogue.serve([scene('2020-05-01')]) as served:
            source = source_of(served)
            source.search(tile().lonlat_box, '2020-01-01', '2020-12-31', 20.0)
            served.outage = 7  # one search and its tries
            ran = scenes_select.search(settings(), where, tmp_path, source=source, shown=False)
            assert (ran.counts['failed'], ran.counts['kept']) == (1, 1)
            served.forget()
            ran = scenes_select.search(settings(), where, tmp_path, source=source, shown=False)
            assert ran.counts['kept'] == 2 and ran.stopped == ''
            assert sum(method == 'POST' for method, *_ in served.log) == 1

    def test_a_store_that_is_out_fails_the_tile_for_now(self, tmp_path):
        with catalogue.serve([scene('2020-05-01')]) as served:
            source = source_of(served)
            fields = {'source': source, 'shown': False}
            scenes_select.search(settings(), [tile()], tmp_path, **fields)
            served.fail_every = 1
            ran = scenes_select.select(settings(), [tile()], tmp_path, **fields)
            assert ran.counts['failed'] == 1
            served.fail_every = 0
            ran = scenes_select.select(settings(), [tile()], tmp_path, **fields)
            assert ran.counts['kept'] == 1
        found = json.loads(scenes_select.select_path(tmp_path, 't').read_text())
        assert taken(found) == ['2020-05-01']

    @pytest.mark.parametrize('workers', [2, 4])
    def test_workers_share_the_tiles(self, tmp_path, workers):
        tiles = [tile(f'tile{i}') for i in range(9)]
        with catalogue.serve([scene('2020-05-01')]) as served:
            for worker in range(workers):
                for stage in (scenes_select.search, scenes_select.select):
                    stage(
                        settings(),
                        tiles,
                        tmp_path,
                        source=source_of(served),
                        worker=worker,
                        workers=workers,
                        shown=False,
                    )
        for worker in range(workers):
            with Ledger(scenes_run.ledger_path(tmp_path, 'select', worker)) as ledger:
                assert {e.key for e in ledger.entries()} == {
                    t.key for t in tiles if keys.worker_of(t.key, workers) == worker
                }
        assert len(list((tmp_path / 'select').iterdir())) == 9
