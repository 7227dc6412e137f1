"""Files of dates: the truth in every pixel, whatever fails, stops or lies on the way."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import rasterio

from gair_jax import sensors
from gair_jax.builders.streetscapes import (
    scenes_fetch,
    scenes_run,
    scenes_select,
    scenes_source,
    scenes_stac,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Ledger, merged
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.builders.streetscapes.settings import ScenesConfig
from tests.shared import shared
from tests.standins import catalogue, scene_files
from tests.standins.scene_files import Scene

LEFT, TOP = 499980.0, 5400000.0
ROOT = pathlib.Path(__file__).resolve().parents[3]


def tile(key='t', left=LEFT + 1000, top=TOP - 1000, side=40):
    return Tile(key, 'EPSG:32632', (10.0, 0.0, left, 0.0, -10.0, top), side, side, '')


def scene(date, **fields):
    return Scene(date=date, **{'left': LEFT, 'top': TOP, 'side': 256, **fields})


def source_of(served):
    known = scenes_stac.Preset(url=served.url, collection='sentinel-2-l2a')
    return scenes_stac.StacSource(known, delay=0.002)


def truth(where, date, bright=0):
    x, y = np.meshgrid(np.arange(where.width) + 0.5, np.arange(where.height) + 0.5)
    x, y = where.transform[2] + 10 * x, where.transform[5] - 10 * y
    return np.stack([scene_files.reflectance(x, y, band, date, bright) for band in BANDS])


def built(served, out, tiles, workers=1, **fields):
    """All three stages by all workers; the last run's counts of the last worker."""
    options = ScenesConfig(source='stac', **fields)
    for worker in range(workers):
        for stage in (scenes_select.search, scenes_select.select, scenes_fetch.fetch):
            share = {'worker': worker, 'workers': workers, 'shown': False}
            ran = stage(options, tiles, out, source=source_of(served), **share)
    return ran


def entries(out):
    return {e.key: e for e in merged((out / 'ledgers').glob('fetch-scenes-*.sqlite'))}


def pixels(path):
    with rasterio.open(path) as raster:
        return raster.read()


def files(out):
    found = {str(p.relative_to(out)): pixels(p) for p in sorted((out / 'scenes').rglob('*.tif'))}
    assert not list((out / 'scenes').rglob('*.part'))
    return found


def digests(out):
    return {key: (e.sha256, e.size, e.record['file']) for key, e in entries(out).items()}


FIVE = [scene(f'2020-0{m}-10', baseline=b, carries=b >= '04', flag='') for m, b in
        enumerate(['02.14', '05.00', '03.01', '04.00', '02.12'], 1)]  # fmt: skip
TILES = [tile(f'tile{i}', left=LEFT + 300 * i + 200) for i in range(5)]


def test_a_file_holds_the_ten_bands_in_order_and_says_where_they_come_from(tmp_path):
    one = scene('2020-05-01', baseline='05.00', carries=True, flag='no')
    with catalogue.serve([one]) as served:
        ran = built(served, tmp_path, [tile()])
        url = served.url
    assert ran.counts['kept'] == 1
    (entry,) = entries(tmp_path).values()
    path = tmp_path / entry.record['file']
    assert entry.key == 't/2020-05.0' and entry.record['file'] == 'scenes/t/2020-05-01.tif'
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(), truth(tile(), '2020-05-01'))
        assert raster.descriptions == sensors.contract('sentinel2_10').bands
        assert (raster.crs, raster.nodata) == ('EPSG:32632', 0)
        assert raster.transform[:6] == tile().transform
        assert raster.profile['tiled'] or raster.shape < (256, 256)
        tags = {k: json.loads(v) for k, v in raster.tags().items() if k != 'AREA_OR_POINT'}
    assert tags == {k: v for k, v in entry.record.items() if k not in ('file', 'passed_over')}
    assert tags['offset_removed'] == [1000] and tags['offset_conflict'] == ['']
    (item,) = tags['items']
    assert (item['id'], item['catalog'], item['baseline']) == (one.id, url, '05.00')
    assert (item['offset_applied'], item['datetime'][:10]) == ('no', '2020-05-01')
    assert (tags['exact'], tags['nodata'], tags['cloud'], tags['date']) == (
        True, 0.0, 0.0, '2020-05-01',
    )  # fmt: skip
    assert entry.size == path.stat().st_size
    assert entry.sha256 == scenes_fetch.digest(pixels(path))


def test_offsets_of_all_kinds_end_on_one_scale(tmp_path):
    """Every file equals the closed form without offset, whoever carries it and whoever lies."""
    # Of 2020, in turn: old; new and true; new and removed; flagged as there but removed; bright.
    scenes = [
        scene('2020-01-10', baseline='02.14'),
        scene('2020-02-10', baseline='04.00', carries=True),
        scene('2020-03-10', baseline='05.09', flag='yes'),
        scene('2020-04-10', baseline='05.09', flag='no'),
        scene('2020-05-10', baseline='05.09', flag='yes', carries=True),
    ]
    with catalogue.serve(scenes) as served:
        built(served, tmp_path, [tile()])
    found = [entries(tmp_path)[f't/2020-0{m}.0'].record for m in range(1, 6)]
    assert [r['offset_removed'] for r in found] == [[0], [1000], [0], [0], [1000]]
    assert [bool(r['offset_conflict'][0]) for r in found] == [False, False, False, True, True]
    for s in scenes:
        held = pixels(tmp_path / f'scenes/t/{s.date}.tif')
        np.testing.assert_array_equal(held, truth(tile(), s.date))
        # The wrong decision would show.
        assert (held + 1000 != truth(tile(), s.date)).all()


def test_granules_of_a_pass_make_one_window(tmp_path):
    middle = LEFT + 1200
    west = scene('2020-05-01', seen=(0, middle), baseline='04.00', carries=True)
    east = scene('2020-05-01', mgrs='32UNV', time='10:36:35', seen=(middle, 1e7), baseline='02.14')
    with catalogue.serve([west, east]) as served:
        built(served, tmp_path, [tile()])
    (entry,) = entries(tmp_path).values()
    found = pixels(tmp_path / entry.record['file'])
    np.testing.assert_array_equal(found, truth(tile(), '2020-05-01'))
    assert sorted(entry.record['offset_removed']) == [0, 1000]
    assert {item['id'] for item in entry.record['items']} == {west.id, east.id}


@pytest.mark.parametrize('fault', [{'absent': ('B11',)}, {'broken': ('B03',)}])
def test_an_unreadable_scene_gives_way_to_the_next_of_the_month(tmp_path, fault):
    cloudy = (LEFT + 1000, LEFT + 1100)
    scenes = [
        scene('2020-05-01', **fault),
        scene('2020-05-11', clouded=cloudy),
        scene('2020-05-21', clouded=(LEFT, LEFT + 1300)),
        scene('2020-06-01', **fault),
    ]
    with catalogue.serve(scenes) as served:
        built(served, tmp_path, [tile()], per_period=2)
    assert sorted(files(tmp_path)) == ['scenes/t/2020-05-11.tif', 'scenes/t/2020-05-21.tif']
    found = entries(tmp_path)
    assert list(found['t/2020-05.0'].record['passed_over']) == ['2020-05-01']
    assert found['t/2020-05.0'].record['date'] == '2020-05-11'
    assert found['t/2020-05.1'].record['date'] == '2020-05-21'
    assert found['t/2020-06.0'].state == 'dropped'
    assert found['t/2020-06.0'].reason.startswith('no readable scene of the period: 2020-06-01')


def test_a_scene_that_nobody_says_anything_of_gives_way(tmp_path):
    scenes = [scene('2020-05-01', baseline=''), scene('2020-05-11', cloud=9)]
    with catalogue.serve(scenes) as served:
        built(served, tmp_path, [tile()])
    (entry,) = entries(tmp_path).values()
    assert entry.record['date'] == '2020-05-11'
    assert entry.record['passed_over']['2020-05-01'].startswith('no baseline')


def test_every_third_request_fails_and_the_files_are_the_same(tmp_path):
    for name, every in (('calm', 0), ('stormy', 3)):
        with catalogue.serve(FIVE[:3], fail_every=every) as served:
            built(served, tmp_path / name, TILES[:2])
    calm, stormy = files(tmp_path / 'calm'), files(tmp_path / 'stormy')
    assert list(calm) == list(stormy) and len(calm) == 6
    for name, held in calm.items():
        np.testing.assert_array_equal(held, stormy[name])


def test_what_failed_for_now_is_fetched_by_the_next_run(tmp_path):
    with catalogue.serve(FIVE) as served:
        fields = {'source': source_of(served), 'shown': False}
        options = ScenesConfig(source='stac')
        for stage in (scenes_select.search, scenes_select.select):
            stage(options, [tile()], tmp_path / 'late', **fields)
        served.fail_every = 1
        ran = scenes_fetch.fetch(options, [tile()], tmp_path / 'late', **fields)
        assert ran.counts['failed'] == 5
        reasons = {e.key[-3]: e.reason for e in entries(tmp_path / 'late').values()}
        # Those that may carry the offset wait for those that cannot.
        assert reasons['1'].startswith('scene: ') and reasons['2'].startswith(
            'waits: for t/2020-01'
        )
        served.fail_every = 0
        scenes_fetch.fetch(options, [tile()], tmp_path / 'late', **fields)
    with catalogue.serve(FIVE) as served:
        built(served, tmp_path / 'calm', [tile()])
    late, calm = ({k: v[::2] for k, v in digests(tmp_path / n).items()} for n in ('late', 'calm'))
    assert late == calm and len(late) == 5


@pytest.mark.parametrize('workers', [2, 4])
def test_any_number_of_workers_gives_the_same_set(tmp_path, workers):
    with catalogue.serve(FIVE[:2]) as served:
        built(served, tmp_path / 'one', TILES)
        built(served, tmp_path / 'many', TILES, workers=workers)
    assert digests(tmp_path / 'one') == digests(tmp_path / 'many')
    assert len(files(tmp_path / 'many')) == 10


def test_bytes_grow_with_tiles_and_a_finished_stage_asks_for_nothing(tmp_path):
    sizes = []
    for count in (1, 2, 4):
        with catalogue.serve(FIVE[:1]) as served:
            built(served, tmp_path / str(count), TILES[:1] * 1 + TILES[1:count])
            sizes.append(served.bytes)
            served.forget()
            built(served, tmp_path / str(count), TILES[:count])
            # Opening the client is one request a stage that searches; none was read again.
            assert not [path for _, path, _, _ in served.log if path.startswith('/cog')]
    assert sizes[0] < sizes[1] < sizes[2] < 4.2 * sizes[0]


WORKER = textwrap.dedent(
    """
    import pathlib, sys
    from tests.builders.streetscapes import test_scenes_fetch as t
    from gair_jax.builders.streetscapes import scenes_fetch
    url, out = sys.argv[1:]
    known = t.scenes_stac.Preset(url=url, collection='sentinel-2-l2a')
    source = t.scenes_stac.StacSource(known, delay=0.002)
    options = t.ScenesConfig(source='stac')
    print('begun', flush=True)
    ran = scenes_fetch.fetch(options, t.TILES, pathlib.Path(out), source=source, shown=False)
    print('stopped', ran.stopped or 'by itself', flush=True)
    """
)


def started(served, out):
    command = [sys.executable, '-c', WORKER, served.url, str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'begun\n'
    return process


def wait_for(out, count):
    until = time.monotonic() + 60
    while len(list((out / 'scenes').rglob('*.tif'))) < count and time.monotonic() < until:
        time.sleep(0.005)


@pytest.mark.slow
def test_a_stage_that_is_killed_or_stopped_goes_on_to_the_same_files(tmp_path):
    with catalogue.serve(FIVE) as served:
        built(served, tmp_path / 'whole', TILES)
        for stage in (scenes_select.search, scenes_select.select):
            stage(
                ScenesConfig(source='stac'), TILES, tmp_path / 'cut',
                source=source_of(served), shown=False,
            )  # fmt: skip
        for count in (2, 9, 15):
            with started(served, tmp_path / 'cut') as process:
                wait_for(tmp_path / 'cut', count)
                process.send_signal(signal.SIGKILL)
        with started(served, tmp_path / 'cut') as process:
            wait_for(tmp_path / 'cut', 17)
            process.send_signal(signal.SIGTERM)
            assert process.communicate()[0] == 'stopped SIGTERM\n'
        held = entries(tmp_path / 'cut')
        done = [e for e in held.values() if e.state == 'kept']
        # The one in hand was finished: each file has its row.
        assert len(done) == len(list((tmp_path / 'cut' / 'scenes').rglob('*.tif'))) < 25
        served.forget()
        with started(served, tmp_path / 'cut') as process:
            assert process.communicate()[0] == 'stopped by itself\n'
        assert served.requests <= (25 - len(done)) * 45
    assert digests(tmp_path / 'whole') == digests(tmp_path / 'cut')
    assert len(files(tmp_path / 'cut')) == 25


def test_a_signal_lets_the_key_in_hand_end(tmp_path):
    def work(key):
        os.kill(os.getpid(), signal.SIGTERM)
        return scenes_run.kept({})

    before = signal.getsignal(signal.SIGTERM)
    with Ledger(tmp_path / 'l.sqlite') as ledger:
        ledger.add('abc')
        ran = scenes_run.run(ledger, ledger.todo(), work, title='t', shown=False)
    assert ran.stopped == 'SIGTERM' and (ran.counts['kept'], ran.counts['todo']) == (1, 2)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'scenes').write_text('a file')
    with (
        catalogue.serve(FIVE[:1]) as served,
        pytest.raises(scenes_source.InputError, match='scenes/t/2020-01-10.tif: cannot be written'),
    ):
        built(served, tmp_path, [tile()])


@pytest.mark.slow
def test_real_tiles_come_out_as_they_went_in(tmp_path):
    """The 16 tiles served as COGs: bit for bit, less 1000 where index.csv infers an offset."""
    folder = shared('data/sentinel2-tiles')
    rows = list(csv.DictReader((folder / 'index.csv').read_text().splitlines()))
    order = [*range(1, 9), 10, 11]  # of 12 bands, without B01 and B09
    for row in rows:
        raw = pixels(folder / 'tiles' / row['file'])[order].astype(np.uint16)
        guess = int(row['add_offset_guess'])

        def held(one, band, raw=raw):
            if band == scenes_source.SCL:
                return np.full((128, 128), 4, np.uint8)
            values = raw[BANDS.index(band)]
            return values if band in scene_files.TEN_M else values[::2, ::2]

        corner = {'left': float(row['left']), 'top': float(row['top'])}
        epsg = int(row['crs'].removeprefix('EPSG:'))
        mgrs = f'{epsg % 100:02d}{"N" if epsg < 32700 else "M"}AA'
        one = scene(
            '2021-05-01', **corner, epsg=epsg, mgrs=mgrs, pixels=held,
            baseline='05.00' if guess else '03.00',
        )  # fmt: skip
        where = Tile(
            row['file'][:-4], row['crs'], (10.0, 0.0, corner['left'], 0.0, -10.0, corner['top']),
            256, 256, '',
        )  # fmt: skip
        out = tmp_path / row['file']
        with catalogue.serve([one], block=512) as served:
            built(served, out, [where])
        (entry,) = entries(out).values()
        assert entry.state == 'kept', row['file']
        assert entry.record['offset_removed'] == [guess], row['file']
        expected = np.stack(
            [
                band if name in scene_files.TEN_M else band[::2, ::2].repeat(2, 0).repeat(2, 1)
                for name, band in zip(BANDS, raw, strict=True)
            ]
        ).astype(np.int64)
        expected = np.where(expected > 0, np.maximum(expected - guess, 1), 0)
        np.testing.assert_array_equal(pixels(out / entry.record['file']), expected)
