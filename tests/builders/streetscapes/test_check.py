"""The stage `check` of a build in which photos are gone, and what it says when something is off."""

import collections
import json
import pathlib
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import rasterio

from gair_jax import cli
from gair_jax.builders.streetscapes import check, costs, outcomes, pair, plan_files, tally
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from tests.builders.streetscapes import whole
from tests.standins import catalogue, photo_api

FAR = {'source': 'mapillary', 'lon': 2.35, 'lat': 85.5, 'city_id': 'paris'}


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """A finished build: its folder, the photo API that was asked, the bytes the catalogue gave."""
    folder = tmp_path_factory.mktemp('checked')
    rows = whole.table(folder / 'photos.csv')
    far = pd.DataFrame([FAR], index=pd.Index([str(whole.FIRST_ID - 1)], name='id'))
    pd.concat([rows, far]).to_csv(folder / 'photos.csv')
    with catalogue.serve(whole.scenes()) as scenes, photo_api.serve() as photos:
        asked = whole.command(folder, scenes.url, photos.url)
        with pytest.MonkeyPatch.context() as patch:
            assert whole.here(patch, asked) == 0
        return folder, photos, scenes, asked


def settings(build):
    made = StreetscapesConfig()
    made.scenes.most_dates = 24
    return made


def checked(build, folder=None):
    made = settings(build)
    return check.check(made, (folder or build[0]) / 'out', (folder or build[0]) / 'prepared')


@pytest.fixture
def copied(build, tmp_path):
    """A copy of the build that a test may spoil."""
    shutil.copytree(build[0], tmp_path / 'copy')
    return tmp_path / 'copy'


def test_every_row_of_the_table_ends_once(build):
    folder, _, _, _ = build
    found = checked(build)
    assert not found.faults
    rows = pd.read_parquet(found.card / 'outcomes.parquet')
    table = pd.read_csv(folder / 'photos.csv', dtype=str)
    assert rows['row'].tolist() == list(range(1, len(table) + 1))
    assert rows['key'].tolist() == ('mapillary:' + table['id']).tolist()
    ends = dict(zip(rows['key'], zip(rows['outcome'], rows['reason'], strict=True), strict=True))
    # 24 photos of three cities, six wanted of each; the first id is gone at its service.
    gone = f'mapillary:{whole.ids(1)[0]}'
    planned = plan_files.photos(folder / 'out').set_index('key')
    assert ends[gone][0] == ('gone' if not planned.loc[gone, 'reserve'] else 'dropped')
    counts = collections.Counter(outcome for outcome, _ in ends.values())
    assert counts['kept'] == 18 and sum(counts.values()) == 25 == sum(found.counts.values())
    far = f'mapillary:{whole.FIRST_ID - 1}'
    assert ends[far] == ('dropped', 'at 84 degrees or nearer to a pole')
    assert {reason for end, reason in ends.values() if end == 'kept'} == {''}
    assert (outcomes.STANDS_BY in {reason for _, reason in ends.values()}) == (counts['gone'] < 6)


def test_the_attribution_of_each_record_is_its_own(build):
    folder, photos, _, _ = build
    card = checked(build).card
    rows = pd.read_parquet(card / 'attribution.parquet')
    assert len(rows) == 18 and rows['id'].is_unique
    pages = zip(rows['page'], rows['orig_id'], strict=True)
    assert all(page.endswith(name) for page, name in pages) and (rows['creator'] != '').all()
    assert set(rows['licence']) == {'CC BY-SA 4.0'} and (rows['split'] == 'train').all()
    assert rows['fetched_at'].str.match(r'20\d\d-\d\d-\d\dT').all()
    transform = json.loads(rows['transform'].iloc[0])
    assert transform['exif'] == 'removed' and transform['side'] == 336
    facts = json.loads((card / 'card.json').read_text())
    assert facts['records'] == 18 and facts['cities'] == 3 and facts['tile_dates'] > 9
    assert facts['offset_removed'] == 3  # one date of each city carries the +1000
    assert facts['notice'] == 'Contains modified Copernicus Sentinel data 2020-2022.'
    # Nothing of this machine, and no address of a picture.
    assert str(folder) not in json.dumps(facts['settings'])
    assert 'exp=' not in (card / 'attribution.parquet').read_bytes().decode('latin1')


def test_what_was_spent_is_what_was_served(build):
    folder, photos, scenes, _ = build
    found = {row.item: spent for row, spent in costs.beside(settings(build), folder / 'out',
             folder / 'prepared')}  # fmt: skip
    assert found['photos'].requests == len(photos.log)
    posts = sum(method == 'POST' for method, *_ in scenes.log)
    landing = sum(method == 'GET' and '/cog/' not in path for method, path, *_ in scenes.log)
    assert found['search'].requests == posts + landing
    parts = sum(size for method, path, _, size in scenes.log if '/cog/' in path)
    # GDAL reads 32 KB at the head of a file, in which there may be blocks already.
    files = len({path for _, path, *_ in scenes.log if '/cog/' in path})
    assert parts - files * 32768 <= found['scenes'].fetched <= parts
    classes = sum(size for _, path, _, size in scenes.log if path.endswith('/SCL.tif'))
    assert 0 < tally.of(folder / 'out', 'select').spent['fetched'] <= classes
    stored = sum(path.stat().st_size for path in (folder / 'out/photos').rglob('*.jpg'))
    assert found['photos'].disk == stored


def test_the_card_is_drawn_and_status_tells_of_all_stages(build, capsys):
    folder, _, _, asked = build
    assert cli.main([*asked, '--stages=check']) == 0
    said = capsys.readouterr().out
    assert 'check: 18 kept' in said
    page = pathlib.Path(said.split('card: ')[1].strip())
    assert page.read_text().startswith('<!doctype html>')
    assert cli.main(['data', 'status', str(folder / 'out')]) == 0
    said = capsys.readouterr().out
    assert 'fetch-scenes  9 of 9 settled: 9 kept' in said and 'MB fetched' in said
    assert '1 at 84 degrees or nearer to a pole' in said and 'a second' in said


def spoil_photo(folder):
    table = pair.read(folder / 'out', 'photos')
    table.loc[0, 'sha256'] = '0' * 64
    table.to_parquet(folder / 'out/pair/photos.parquet')


def spoil_place(folder):
    table = pair.read(folder / 'out', 'photos')
    table.loc[0, 'lat'] += 1e-9
    table.to_parquet(folder / 'out/pair/photos.parquet')


def spoil_pixels(folder):
    for path in (folder / 'out/scenes').rglob('*.tif'):
        with rasterio.open(path, 'r+') as raster:
            raster.write(raster.read() + np.uint16(1))


def spoil_dates(folder):
    table = pair.read(folder / 'out', 'scenes').iloc[1:]
    table.to_parquet(folder / 'out/pair/scenes.parquet')


def spoil_rows(folder):
    table = plan_files.dropped(folder / 'out').iloc[:0]
    table.to_parquet(folder / 'out/plan/dropped.parquet')


def spoil_pairs(folder):
    table = pair.read(folder / 'out', 'photos').iloc[1:]
    table.to_parquet(folder / 'out/pair/photos.parquet')


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (spoil_photo, 'holds another photo than was fetched'),
        (spoil_place, 'stands elsewhere than was planned'),
        (spoil_pixels, r'holds other pixels than its file \(\d+ of them\)'),
        (spoil_dates, 'is of a date that was not fetched'),
        (spoil_rows, '25 rows were read; 24 ends are known'),
        (spoil_pairs, 'is packed and was never paired'),
    ],
)
def test_what_is_wrong_is_said(build, copied, spoil, words):
    spoil(copied)
    found = checked(build, copied)
    assert [fault for fault in found.faults if re.search(words, fault)], found.faults


def test_an_acquisition_of_another_plan_is_told(build, copied):
    path = copied / 'out/plan/tiles.parquet'
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    data = DataConfig(dir=str(copied / 'prepared'), name='streetscapes', variant='default')
    faults = check._tiles(store.Store(data), settings(build), copied / 'out')
    assert len(faults) == 1 and 'is of a tile that was not planned' in faults[0]


def test_a_scene_that_is_not_there_any_more_is_one_sentence(build, copied):
    for path in (copied / 'out/scenes').rglob('*.tif'):
        path.unlink()
    with pytest.raises(InputError, match=r'scenes/.*tif: cannot be read: .*; fetch it again'):
        checked(build, copied)


def test_a_fault_is_exit_code_1_and_stands_on_the_card(build, copied, capsys):
    spoil_photo(copied)
    swapped = [part.replace(str(build[0]), str(copied)) for part in build[3]]
    assert cli.main([*swapped, '--stages=check']) == 1
    said = capsys.readouterr()
    assert 'gair: mapillary:' in said.err and 'holds another photo' in said.err
    card = check.folder_of(StreetscapesConfig(), copied / 'prepared')
    assert 'holds another photo than was fetched' in (card / 'card.md').read_text()


def test_check_needs_a_packed_set(tmp_path):
    with pytest.raises(InputError, match='no data set streetscapes'):
        check.check(StreetscapesConfig(), tmp_path, tmp_path)


def test_a_tally_takes_each_key_once_and_what_is_settled(tmp_path):
    from gair_jax.builders.streetscapes.ledger import Ledger

    for worker, keys in enumerate((('a', 'b', 'c'), ('c', 'd'))):
        with Ledger(tmp_path / f'ledgers/x-{worker}.sqlite') as book:
            book.add(keys)
            book.spend(seconds=2.0, fetched=10.0)
            book.spend(seconds=2.0)
    with Ledger(tmp_path / 'ledgers/x-0.sqlite') as book:
        book.settle('a', 'kept', size=5)
        book.settle('b', 'dropped', reason='far: 3 km')
        book.settle('c', 'failed', reason='status 500')
    with Ledger(tmp_path / 'ledgers/x-1.sqlite') as book:
        book.settle('c', 'gone', reason='status 404')
    found = tally.of(tmp_path, 'x')
    assert found.states == {'todo': 1, 'kept': 1, 'dropped': 1, 'gone': 1, 'failed': 0}
    assert found.reasons == {('dropped', 'far'): 1, ('gone', 'status 404'): 1}
    assert (found.size, found.settled) == (5, 3)
    assert found.spent == {'seconds': 8.0, 'fetched': 20.0}
    # Two of worker 0 in four seconds, one of worker 1; its second key takes four seconds more.
    assert found.rate == 0.75 and found.left == 4.0
    assert [tally.time_text(s) for s in (40, 720, 12600, 181440)] == [
        '40 s', '12 min', '3.5 h', '2.1 days',
    ]  # fmt: skip
    assert [tally.size_text(n) for n in (0, 640, 12.5e6, 1.2e12)] == [
        '0 B', '640 B', '12.5 MB', '1.2 TB',
    ]  # fmt: skip
