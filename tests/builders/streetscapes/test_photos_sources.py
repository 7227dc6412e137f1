import asyncio
import json
import math

import pytest

from gair_jax.builders.streetscapes import (
    photos_kartaview,
    photos_mapillary,
    photos_requests,
    photos_source,
)
from gair_jax.builders.streetscapes.photos_folder import Folder
from gair_jax.builders.streetscapes.photos_requests import Client, LostError
from gair_jax.config import InputError
from tests.builders.streetscapes import photo_plans
from tests.standins import photo_api

TOKEN = photo_plans.TOKEN


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(photos_requests, 'FIRST_WAIT', 0.001)


def take(tmp_path, make, orig_id, api):
    """What `photos_source.take` gives from the source that `make` makes of a client."""

    async def ask():
        async with Client(tmp_path / 'limits', 1e5, 1, 3, 'seed') as client:
            return await photos_source.take(make(client), orig_id)

    with photo_api.serve(api):
        return asyncio.run(ask())


def mapillary(tmp_path, fault='', token=TOKEN, width=1024, **api):
    api = photo_api.PhotoApi(fault=lambda name: fault, token=TOKEN, **api)

    def make(client):
        return photos_mapillary.Mapillary(client, api.url + '/', width, token)

    try:
        return take(tmp_path, make, '42', api), api
    except LostError as error:
        return error, api


def kartaview(tmp_path, fault=''):
    api = photo_api.PhotoApi(fault=lambda name: fault)
    try:
        make = lambda client: photos_kartaview.KartaView(client, api.url)  # noqa: E731
        return take(tmp_path, make, '42', api), api
    except LostError as error:
        return error, api


def test_a_photo_of_mapillary_and_what_is_known_of_it(tmp_path):
    (facts, image), api = mapillary(tmp_path)
    assert image.size == (360, 240)
    assert facts._replace(address='') == photos_source.Facts(
        address='',
        page='https://www.mapillary.com/app/?pKey=42',
        creator='somebody',
        captured_at='2024-07-09T01:24:18.913+00:00',  # 1720488258913 ms after 1970
        licence='CC BY-SA 4.0',
        heading=31.25,
        camera='perspective',
    )
    assert not api.leaks  # The token goes to the API alone, not to the host of pictures.


@pytest.mark.parametrize(
    ('camera', 'known'),
    [('spherical', 'spherical'), ('equirectangular', 'spherical'), ('fisheye', 'fisheye')],
)
def test_cameras_of_mapillary(tmp_path, camera, known):
    (facts, _), _ = mapillary(tmp_path, camera=lambda name: camera)
    assert facts.camera == known


@pytest.mark.parametrize(
    ('fault', 'state', 'reason', 'requests'),
    [
        ('gone', 'gone', 'status 400', 1),
        ('deleted', 'gone', 'status 404', 1),
        ('no picture', 'gone', 'no thumb_1024_url', 1),
        ('missing', 'gone', 'status 404', 2),
        ('private', 'failed', 'status 403', 1),
        ('page', 'failed', 'status 404', 1),
        ('error', 'failed', 'status 500', 3),
        ('reset', 'failed', 'no answer: RemoteProtocolError', 3),
        # New facts twice, each with a new address.
        ('expired', 'failed', 'forbidden: 3 addresses had expired', 6),
    ],
)
def test_faults_of_mapillary(tmp_path, fault, state, reason, requests):
    error, api = mapillary(tmp_path, fault)
    assert (error.state, error.reason) == (state, reason)
    assert len(api.log) == requests


@pytest.mark.parametrize(
    ('fault', 'requests'),
    [('error once', 3), ('reset once', 3), ('expired once', 4), ('cut once', 3), ('limit once', 3)],
)
def test_faults_of_mapillary_that_pass(tmp_path, fault, requests):
    (_, image), api = mapillary(tmp_path, fault)
    assert image.size == (360, 240) and len(api.log) == requests


def test_a_refused_token_stops_everything_and_is_not_repeated(tmp_path):
    """It comes as 400, which is also how unknown photos come."""
    with pytest.raises(InputError, match='^MAPILLARY_TOKEN: expected a token that') as caught:
        mapillary(tmp_path, token='another-secret')
    assert 'another-secret' not in repr(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize('code', [4, 17, 32, 613])
@pytest.mark.parametrize('status', [400, 403, 429, 500])
def test_graph_limits_are_refusals_whatever_the_status(status, code):
    body = json.dumps({'error': {'code': code, 'message': 'x'}}).encode()
    assert photos_mapillary.judge(status, body) == 'too many'


@pytest.mark.parametrize(
    ('status', 'body', 'verdict'),
    [
        (400, {'error': {'code': 100}}, 'gone'),
        (404, {'error': {'code': 803}}, 'gone'),
        (400, {'error': {'code': 190}}, 'forbidden'),
        (401, {}, 'forbidden'),
        (403, {'error': {'code': 10}}, 'wrong'),
        (400, {'error': {'code': 2}}, 'passing'),
        (400, {'error': {'code': 100, 'is_transient': True}}, 'passing'),
        (400, 'text', 'wrong'),
        (404, ['error'], 'wrong'),
        (404, {'error': 'text'}, 'wrong'),
        (503, 'text', 'passing'),
        (200, {'error': {'code': 4}}, 'fine'),
    ],
)
def test_verdicts_of_mapillary(status, body, verdict):
    assert photos_mapillary.judge(status, json.dumps(body).encode()) == verdict


def test_originals_are_never_asked_for(tmp_path):
    for width in (512, 4096, 0):
        with pytest.raises(InputError, match='photos.width: expected 256, 1024 or 2048'):
            mapillary(tmp_path, width=width)


@pytest.mark.parametrize(('token', 'text'), [('', 'found none'), ('a\nb', 'other characters')])
def test_a_token_that_is_none_is_refused_unseen(monkeypatch, token, text):
    monkeypatch.setenv('MAPILLARY_TOKEN', token)
    with pytest.raises(InputError, match=text) as caught:
        photos_mapillary.token_from_environment()
    assert 'a\nb' not in str(caught.value)


def test_a_photo_of_kartaview_and_what_is_known_of_it(tmp_path):
    (facts, image), _ = kartaview(tmp_path)
    assert image.size == (360, 240)
    assert facts._replace(address='') == photos_source.Facts(
        address='',
        page='https://kartaview.org/details/1234567/42',
        creator='',
        captured_at='2019-05-04 10:11:12',
        licence='CC BY-SA',
        heading=211.5,
        camera='',
    )


@pytest.mark.parametrize(
    ('fault', 'state', 'reason'),
    [
        ('not blurred', 'dropped', 'not blurred'),
        ('not public', 'dropped', 'not public'),
        ('no picture', 'gone', 'no fileurlProc'),
        ('gone', 'gone', 'no such photo'),
        ('too big', 'failed', 'apiCode 610'),
        ('page', 'failed', 'status 404'),
        ('error', 'failed', 'status 500'),
        ('missing', 'gone', 'status 404'),
    ],
)
def test_faults_of_kartaview(tmp_path, fault, state, reason):
    error, _ = kartaview(tmp_path, fault)
    assert (error.state, error.reason) == (state, reason)


def folder(tmp_path, table, key):
    async def ask():
        async with Client(tmp_path / 'limits', 1e5, 1, 3, 'seed') as client:
            return await photos_source.take(Folder(client, str(tmp_path / 'at hand'), table), key)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    'name',
    ['mapillary-7000.jpg', '7000.jpeg', 'deep/er/7000.JPG', f'00000000-0000-0000-0000-{0:012}.jpg'],
)
def test_a_photo_of_a_folder_is_found_by_key_id_or_uuid(tmp_path, name):
    path = tmp_path / 'at hand' / name
    path.parent.mkdir(parents=True)
    path.write_bytes(photo_api.made('7000'))
    facts, image = folder(tmp_path, photo_plans.plan(3), 'mapillary:7000')
    assert image.size == (360, 240) and math.isnan(facts.heading)
    assert facts.page == 'https://www.mapillary.com/app/?pKey=7000'
    assert (facts.licence, facts.captured_at) == ('CC BY-SA 4.0', '2024-05-01T12:00:00')
    with pytest.raises(LostError, match='gone: not in the folder'):
        folder(tmp_path, photo_plans.plan(3), 'mapillary:7001')


def test_an_id_that_two_services_share_names_no_photo(tmp_path):
    (tmp_path / 'at hand').mkdir()
    (tmp_path / 'at hand' / '7000.jpg').write_bytes(photo_api.made('7000'))
    table = photo_plans.plan(2)
    table.loc[1, 'orig_id'] = table.loc[0, 'orig_id'] = '7000'
    with pytest.raises(LostError, match='not in the folder'):
        folder(tmp_path, table, 'mapillary:7000')


def test_two_files_of_one_photo_are_refused(tmp_path):
    (tmp_path / 'at hand').mkdir()
    for name in ('7000.jpg', 'mapillary-7000.png'):
        (tmp_path / 'at hand' / name).write_bytes(photo_api.made('7000'))
    with pytest.raises(InputError, match='expected one photo of mapillary:7000, found'):
        folder(tmp_path, photo_plans.plan(3), 'mapillary:7000')


def test_a_broken_file_failed_and_is_not_lost(tmp_path):
    (tmp_path / 'at hand').mkdir()
    (tmp_path / 'at hand' / '7000.jpg').write_bytes(photo_api.made('7000')[:900])
    with pytest.raises(LostError, match='failed: file unreadable: '):
        folder(tmp_path, photo_plans.plan(3), 'mapillary:7000')


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match='at hand: expected a folder of photos'):
        folder(tmp_path, photo_plans.plan(1), 'mapillary:7000')
