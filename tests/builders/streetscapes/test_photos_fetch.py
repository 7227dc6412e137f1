import io
import logging
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gair_jax.builders.streetscapes import (
    keys,
    ledger,
    photos_fetch,
    photos_files,
    photos_make,
    photos_requests,
    photos_source,
)
from gair_jax.config import InputError
from tests.builders.streetscapes import photo_plans
from tests.shared import shared
from tests.standins import photo_api

SAMPLE = 'data/global-streetscapes-sample'


@pytest.fixture(autouse=True)
def quick_and_with_a_token(monkeypatch):
    monkeypatch.setattr(photos_requests, 'FIRST_WAIT', 0.001)
    monkeypatch.setenv('MAPILLARY_TOKEN', photo_plans.TOKEN)


@pytest.fixture
def api():
    with photo_api.serve(photo_api.PhotoApi(token=photo_plans.TOKEN)) as server:
        yield server


def fetch(api, table, out, worker=0, workers=1, **photos):
    return photos_fetch.fetch(photo_plans.settings(api.url, **photos), table, out, worker, workers)


def lost(key):
    return photo_api.by_hash(key.partition(':')[2]) == 'gone'


def panorama(name, size=(512, 256)):
    return photo_api.made(name, size)


def test_a_plan_with_the_faults_of_the_specification(tmp_path, api):
    """2 % gone, 3 % one 500, 2 % expired once, 2 % cut once: nothing is lost but what is gone."""
    table = photo_plans.plan(240, need=50)
    report = fetch(api, table, tmp_path)
    kept = photo_plans.expected(table, lost)
    assert photo_plans.kept(tmp_path) == kept and len(kept) == 200
    assert photo_plans.agree(tmp_path)
    assert report.counts['kept'] == 200 and report.counts['failed'] == report.counts['todo'] == 0
    gone = {key for key, entry in photo_plans.entries(tmp_path).items() if entry.state == 'gone'}
    assert report.reasons == {'status 400': len(gone)} and all(map(lost, gone)) and gone
    # Once for each photo, and once more where a fault was met.
    faults = [photo_api.by_hash(key.partition(':')[2]) for key in kept]
    pictures, facts = api.asked('picture').total(), api.asked('facts').total()
    assert pictures == 200 + sum(fault in ('expired once', 'cut once') for fault in faults)
    more = sum(fault in ('error once', 'expired once') for fault in faults)
    assert facts == 200 + more + len(gone)
    assert not api.leaks


def test_a_second_run_asks_for_nothing(tmp_path, api):
    table = photo_plans.plan(40, need=8)
    first = fetch(api, table, tmp_path)
    asked = len(api.log)
    assert fetch(api, table, tmp_path) == first and len(api.log) == asked


@pytest.mark.parametrize('workers', [1, 2, 4])
def test_workers_keep_the_same_set(tmp_path, api, workers):
    table = photo_plans.plan(160, cities=12, need=9)
    for worker in reversed(range(workers)):
        fetch(api, table.sample(frac=1, random_state=worker), tmp_path, worker, workers)
    assert photo_plans.kept(tmp_path) == photo_plans.expected(table, lost)
    assert photo_plans.agree(tmp_path)
    assert max(api.asked('picture').values()) <= 2  # two only where a fault was met


def test_another_number_of_workers_goes_on_with_the_same_work(tmp_path, api):
    table = photo_plans.plan(120, cities=12, need=8)
    fetch(api, table, tmp_path, 0, 2)
    asked = api.asked('facts')
    for worker in range(3):
        fetch(api, table, tmp_path, worker, 3)
    again = {name for name, count in (api.asked('facts') - asked).items() if count and asked[name]}
    assert not again
    assert photo_plans.kept(tmp_path) == photo_plans.expected(table, lost)


def test_what_failed_is_tried_again_and_not_replaced(tmp_path):
    table = photo_plans.plan(12, cities=1, need=6)
    bad = table['orig_id'].iloc[2]
    fault = {'now': 'error'}
    api = photo_api.PhotoApi(
        fault=lambda name: fault['now'] if name == bad else '', token=photo_plans.TOKEN
    )
    with photo_api.serve(api):
        report = fetch(api, table, tmp_path, tries=2)
        assert report.counts['failed'] == 1 and report.counts['kept'] == 5
        assert report.reasons == {'status 500': 1}
        fault['now'] = ''
        assert fetch(api, table, tmp_path).counts['kept'] == 6
    assert photo_plans.kept(tmp_path) == set(table['key'][:6])


def test_the_record_says_where_a_photo_comes_from(tmp_path, api):
    table = photo_plans.plan(1, heading=12.0)
    fetch(api, table, tmp_path, side=100, quality=80)
    (entry,) = photo_plans.entries(tmp_path).values()
    assert entry.record.pop('fetched_at').endswith('+00:00')
    (file,) = entry.record.pop('files')
    assert entry.record == {
        'source': 'mapillary',
        'orig_id': '7000',
        'page': 'https://www.mapillary.com/app/?pKey=7000',
        'creator': 'somebody',
        'captured_at': '2024-07-09T01:24:18.913+00:00',
        'licence': 'CC BY-SA 4.0',
        'camera': 'perspective',
        'transform': {'side': 100, 'quality': 80, 'exif': 'removed'},
        'fetched_from': 'mapillary',
    }
    place = keys.order(0, 'mapillary:7000') >> 56
    assert file.pop('sha256') == entry.sha256
    assert file == {
        'file': f'photos/{place:02x}/mapillary-7000.jpg',
        'width': 150,
        'height': 100,
        'yaw': 0.0,
        'heading': 12.0,
    }
    assert (tmp_path / photos_files.path_of('mapillary:7000', -1)).stat().st_size == entry.size


def test_the_heading_is_the_plans_or_the_sources(tmp_path, api):
    fetch(api, photo_plans.plan(1, heading=math.nan), tmp_path)
    (entry,) = photo_plans.entries(tmp_path).values()
    assert entry.record['files'][0]['heading'] == 31.25


@pytest.mark.parametrize(
    ('camera', 'planned', 'views'),
    [('spherical', False, 4), ('perspective', True, 1), ('fisheye', True, 1)],
)
def test_the_service_knows_better_than_the_plan_what_is_a_panorama(
    tmp_path, camera, planned, views
):
    api = photo_api.PhotoApi(picture=panorama, camera=lambda name: camera, fault=lambda name: '')
    with photo_api.serve(api):
        fetch(api, photo_plans.plan(1, heading=300.0, panorama=planned), tmp_path)
    (entry,) = photo_plans.entries(tmp_path).values()
    files = entry.record['files']
    assert len(files) == views
    if views == 4:
        assert [file['yaw'] for file in files] == [0.0, 90.0, 180.0, 270.0]
        assert [file['heading'] for file in files] == [300.0, 30.0, 120.0, 210.0]
        assert {(file['width'], file['height']) for file in files} == {(64, 64)}
        assert entry.record['transform']['field_of_view'] == 90.0
    assert photo_plans.agree(tmp_path)


def shot(photo, camera, size, **how):
    how = {'width': 1024, 'side': 64, 'quality': 90, 'views': 4, 'field_of_view': 90.0, **how}
    image = Image.new('RGB', size)
    return photos_make.shots(image, photo, camera, photos_make.How(seed=3, **how))


def test_one_view_looks_where_the_key_says():
    yaws = []
    for number in range(200):
        photo = photos_make.Planned(f'mapillary:{number}', 'mapillary', str(number), 0.0, True)
        (only,) = shot(photo, '', (256, 128), views=1, side=8)
        assert only.yaw == shot(photo, '', (256, 128), views=1, side=8)[0].yaw
        yaws.append(only.yaw)
    # 200 draws from a uniform distribution: each quarter has 50 +- 4 standard deviations of 6.1.
    counts, _ = np.histogram(yaws, 4, (0, 360))
    assert np.abs(counts - 50).max() < 25


def test_a_view_is_never_enlarged():
    """Of 512 columns a view of 90 degrees has 128."""
    photo = photos_make.Planned('folder:a', 'folder', 'a', 0.0, True)
    for side, kept in ((64, 64), (336, 128)):
        how = photos_make.How(
            width=1024, side=side, quality=90, views=1, field_of_view=90.0, seed=0
        )
        (shot,) = photos_make.shots(Image.new('RGB', (512, 256)), photo, 'spherical', how)
        assert (shot.picture.width, shot.picture.height) == (kept, kept)


def test_a_view_without_side_keeps_the_panoramas_scale():
    photo = photos_make.Planned('mapillary:1', 'mapillary', '1', 0.0, True)
    assert [only.picture.width for only in shot(photo, '', (512, 256), side=0)] == [128] * 4


def test_unknown_headings_of_views_stay_unknown():
    facts = photos_source.Facts('', '', '', '', '', math.nan, '')
    photo = photos_make.Planned('folder:1', 'folder', '1', math.nan, True)
    how = photos_make.How(width=1024, side=8, quality=90, views=4, field_of_view=90.0, seed=0)
    record = photos_make.record(photo, facts, shot(photo, '', (256, 128)), how)
    assert [file['heading'] for file in record['files']] == [None] * 4


@pytest.mark.parametrize(
    ('size', 'planned', 'reason'),
    [((200, 100), False, 'too small'), ((600, 256), True, 'panorama not 2:1')],
)
def test_photos_that_will_not_do_are_dropped_and_replaced(tmp_path, size, planned, reason):
    table = photo_plans.plan(4, cities=1, need=2, panorama=planned)
    first = table['orig_id'].iloc[0]
    api = photo_api.PhotoApi(
        picture=lambda name: photo_api.made(name, size if name == first else (512, 256)),
        camera=lambda name: 'spherical' if planned else 'perspective',
        fault=lambda name: '',
    )
    with photo_api.serve(api):
        report = fetch(api, table, tmp_path)
    assert report.reasons == {reason: 1} and report.counts['kept'] == 2
    assert photo_plans.kept(tmp_path) == set(table['key'][1:3])


def test_unblurred_photos_are_never_written(tmp_path):
    api = photo_api.PhotoApi(fault=lambda name: 'not blurred')
    with photo_api.serve(api):
        report = fetch(api, photo_plans.plan(5, source='kartaview'), tmp_path)
    assert report.reasons == {'not blurred': 5}
    assert not photo_plans.files(tmp_path) and not api.asked('picture')


def test_removed_photos_are_never_asked_for(tmp_path, api):
    table = photo_plans.plan(20, cities=1, need=5)
    gone, by_id = table['key'].iloc[1], table['orig_id'].iloc[5]
    (tmp_path / 'removed.txt').write_text(f'{gone}\n\n {by_id}\nmapillary:0\n')
    out = tmp_path / 'build'
    report = fetch(api, table, out, removed=str(tmp_path / 'removed.txt'))
    assert report.reasons['removed'] == 2
    asked = set(api.asked('facts'))
    assert not asked & {gone.partition(':')[2], by_id}
    removed = {gone, f'mapillary:{by_id}'}
    expected = photo_plans.expected(table, lambda key: lost(key) or key in removed)
    assert photo_plans.kept(out) == expected


def test_photos_removed_later_go_and_are_replaced(tmp_path, api):
    table, out = photo_plans.plan(40, cities=4, need=6), tmp_path / 'build'
    for worker in range(2):
        fetch(api, table, out, worker, 2)
    key = sorted(photo_plans.kept(out))[0]
    path = out / photo_plans.entries(out)[key].record['files'][0]['file']
    assert path.exists()
    (tmp_path / 'removed.txt').write_text(key)
    for worker in range(2):
        fetch(api, table, out, worker, 2, removed=str(tmp_path / 'removed.txt'))
    assert not path.exists() and photo_plans.agree(out)
    expected = photo_plans.expected(table, lambda name: lost(name) or name == key)
    assert photo_plans.kept(out) == expected


def test_the_folder_is_asked_first(tmp_path, api):
    table, folder = photo_plans.plan(6), tmp_path / 'at hand'
    folder.mkdir()
    mine = table['orig_id'].iloc[0]
    (folder / f'{mine}.png').write_bytes(photo_api.made('mine', (130, 130)))
    fetch(api, table, tmp_path / 'build', folder=str(folder))
    entry = photo_plans.entries(tmp_path / 'build')[f'mapillary:{mine}']
    assert entry.record['fetched_from'] == 'folder' and entry.record['source'] == 'mapillary'
    assert mine not in api.asked('facts') and len(api.asked('facts')) == 5


def test_the_real_photos_of_the_sample(tmp_path, monkeypatch):
    """25 photos, 9 of them panoramas, by uuid, without a token and without a request."""
    monkeypatch.delenv('MAPILLARY_TOKEN')
    table = pd.read_csv(shared(f'{SAMPLE}/images.csv'), dtype={'orig_id': str, 'city_id': str})
    table = table[table['file'].notna()]
    plan = pd.DataFrame(
        {
            'key': 'mapillary:' + table['orig_id'],
            'source': 'mapillary',
            'orig_id': table['orig_id'],
            'uuid': table['uuid'],
            'heading': table['heading'],
            'datetime': '',
            'city': table['city'],
            'city_id': table['city_id'],
            'panorama': table['pano_status'],
            'order': np.arange(len(table), dtype=np.uint64),
            'reserve': False,
        }
    )
    report = fetch(
        photo_api.PhotoApi(), plan, tmp_path, folder=str(shared(f'{SAMPLE}/images')), side=48
    )
    assert report.counts['kept'] == 25 and not report.reasons
    files = photo_plans.files(tmp_path)
    assert len(files) == 16 + 9 * 4 and photo_plans.agree(tmp_path)
    for name in files:
        with Image.open(tmp_path / name) as image:
            assert image.format == 'JPEG' and min(image.size) == 48 and not image.getexif()


def test_the_token_is_nowhere(tmp_path, api, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    fetch(api, photo_plans.plan(40), tmp_path)
    server = photo_api.PhotoApi(token='another')
    with photo_api.serve(server), pytest.raises(InputError) as caught:
        fetch(server, photo_plans.plan(9), tmp_path / 'refused')
    captured = capfd.readouterr()
    seen = [caplog.text, captured.out, captured.err, repr(caught.value), str(caught.value)]
    found = [path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()]
    assert len(found) > 40 and api.log
    secrets = (photo_plans.TOKEN, 'a-secret', '?exp=', '&exp=')  # nor is any address that expires
    for secret in secrets:
        assert not any(secret in text for text in seen)
        assert not any(secret.encode() in data for data in found)
    assert not any(photo_plans.TOKEN in str(row) for row in api.log)


def test_without_a_token_one_sentence(tmp_path, api, monkeypatch):
    monkeypatch.delenv('MAPILLARY_TOKEN')
    with pytest.raises(InputError, match='^MAPILLARY_TOKEN: expected a client token'):
        fetch(api, photo_plans.plan(9), tmp_path)
    assert not api.log


def test_a_full_disk_is_one_sentence_and_nothing_half_written(tmp_path, api, monkeypatch):
    table, written = photo_plans.plan(60), []
    real = photos_files.os.replace

    def replace(part, path):
        if path.suffix == '.jpg' and len(written) >= 10:
            raise OSError(28, 'No space left on device')
        written.append(path)
        real(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(photos_files.os, 'replace', replace)
        with pytest.raises(InputError, match='cannot be written: No space left on device.$'):
            fetch(api, table, tmp_path, connections=8)
    asked = api.asked('facts').total()
    assert photo_plans.agree(tmp_path)
    assert asked < 60  # It did not go on asking for what cannot be kept.
    fetch(api, table, tmp_path)
    assert photo_plans.kept(tmp_path) == photo_plans.expected(table, lost)
    assert photo_plans.agree(tmp_path)


def test_a_ledger_that_cannot_be_written_is_one_sentence(tmp_path, api, monkeypatch):
    opened = ledger.Ledger.__init__

    def full(self, path):
        opened(self, path)
        self._db.execute('pragma max_page_count = 1')  # no page more than it has

    monkeypatch.setattr(ledger.Ledger, '__init__', full)
    with pytest.raises(InputError, match='sqlite: cannot be written: database or disk is full'):
        fetch(api, photo_plans.plan(9), tmp_path)


def test_photos_of_another_making_are_refused(tmp_path, api):
    fetch(api, photo_plans.plan(3), tmp_path, side=64)
    with pytest.raises(InputError, match=r'how.json: expected photos made with side 64.*found 96'):
        fetch(api, photo_plans.plan(3), tmp_path, side=96)
    fetch(api, photo_plans.plan(3), tmp_path, side=64, rate=7.0, connections=2)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('width', 640), ('side', -1), ('quality', 0), ('quality', 96), ('views', 2),
        ('field_of_view', 180.0), ('rate', 0.0), ('connections', 0), ('tries', 0),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path, api, name, value):
    with pytest.raises(InputError, match=f'^photos.{name}: expected .* found {value}.$'):
        fetch(api, photo_plans.plan(1), tmp_path, **{name: value})
    assert not list(tmp_path.iterdir())


def test_workers_out_of_range_are_refused(tmp_path, api):
    with pytest.raises(InputError, match='^worker: expected 0 to 1, found 2.$'):
        fetch(api, photo_plans.plan(1), tmp_path, 2, 2)


@pytest.mark.parametrize(
    ('spoil', 'text'),
    [
        (lambda table: table.drop(columns='reserve'), "column 'reserve' is missing"),
        (lambda table: pd.concat([table, table]), 'expected each key once, found mapillary:700'),
        (lambda table: table.assign(source='flickr'), "column source: .*found 'flickr'"),
    ],
)
def test_plans_that_are_none_are_refused(tmp_path, api, spoil, text):
    with pytest.raises(InputError, match=text):
        fetch(api, spoil(photo_plans.plan(2)), tmp_path)
    spoil(photo_plans.plan(2)).to_parquet(tmp_path / 'plan.parquet')
    with pytest.raises(InputError, match=f'plan.parquet: .*{text}'):
        fetch(api, tmp_path / 'plan.parquet', tmp_path)


def test_a_plan_may_be_a_file(tmp_path, api):
    photo_plans.plan(3).to_parquet(tmp_path / 'plan.parquet')
    assert fetch(api, tmp_path / 'plan.parquet', tmp_path).counts['kept'] == 3
    (tmp_path / 'text').write_text('no parquet')
    for path in (tmp_path / 'none', tmp_path / 'text'):
        with pytest.raises(InputError, match='cannot be read as a plan'):
            fetch(api, path, tmp_path)


def test_names_of_files_are_those_of_keys_alone():
    names = ['folder:a/b', 'folder:a_b', 'folder:a%2Fb', 'mapillary:1', 'kartaview:1', 'folder:..']
    paths = {photos_files.path_of(name, -1) for name in names}
    assert len(paths) == len(names)
    assert all(len(path.parts) == 3 and '..' not in path.parts for path in paths)


def test_kept_files_hold_no_exif(tmp_path):
    def picture(name):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x8825] = {1: 'N', 2: (48.0, 46.0, 8.0), 3: 'E', 4: (9.0, 10.0, 17.0)}
        exif[271] = 'a phone'
        Image.open(io.BytesIO(photo_api.made(name))).save(buffer, 'JPEG', exif=exif)
        return buffer.getvalue()

    with photo_api.serve(photo_api.PhotoApi(picture=picture, fault=lambda name: '')) as api:
        fetch(api, photo_plans.plan(1), tmp_path)
    data = (tmp_path / photos_files.path_of('mapillary:7000', -1)).read_bytes()
    assert b'Exif' not in data and b'a phone' not in data
