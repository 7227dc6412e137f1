import asyncio
import json
import time

import pytest

from gair_jax.builders.streetscapes import photos_images, photos_requests
from gair_jax.builders.streetscapes.photos_requests import (
    AbandonedError,
    Client,
    ForbiddenError,
    LostError,
)
from tests.standins import photo_api


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(photos_requests, 'FIRST_WAIT', 0.001)


def get(tmp_path, fault, times=1, tries=6, stop_after=-1.0, **api):
    """The size of a picture that is asked for in spite of a fault, and the stand-in's log."""

    async def ask(address):
        async with Client(tmp_path, 100000.0, 2, tries, 'seed') as client:
            if stop_after >= 0:
                asyncio.get_running_loop().call_later(stop_after, client.stopping.set)
            for _ in range(times):
                image = await client.get(address, photos_images.from_service)
            return image.size

    with photo_api.serve(photo_api.PhotoApi(fault=lambda name: fault, **api)) as server:
        try:
            return asyncio.run(ask(f'{server.url}/img/1?exp=0')), server
        except (LostError, ForbiddenError, AbandonedError) as error:
            return error, server


@pytest.mark.parametrize('fault', ['', 'cut once', 'html once', 'broken once', 'moved'])
def test_what_passes_is_asked_for_again(tmp_path, fault):
    size, server = get(tmp_path, fault)
    assert size == (360, 240)
    assert len(server.log) == 1 + bool(fault)


@pytest.mark.parametrize(
    ('fault', 'reason'),
    [
        ('cut', 'no answer: RemoteProtocolError'),
        ('html', 'a page'),
        ('broken', 'cannot be|cut off'),
    ],
)
def test_what_does_not_pass_fails_after_the_tries(tmp_path, fault, reason):
    error, server = get(tmp_path, fault, tries=3)
    assert error.state == 'failed' and len(server.log) == 3
    pytest.raises(LostError, lambda: (_ for _ in ()).throw(error)).match(reason)


def test_a_missing_picture_is_gone_at_once(tmp_path):
    error, server = get(tmp_path, 'missing')
    assert (error.state, error.reason) == ('gone', 'status 404') and len(server.log) == 1


def test_an_expired_address_is_told(tmp_path):
    error, server = get(tmp_path, 'expired')
    assert isinstance(error, ForbiddenError) and len(server.log) == 1


def test_a_service_that_asks_for_a_second_gets_it(tmp_path):
    size, server = get(tmp_path, 'slow down once')
    assert size == (360, 240)
    (first, *_), (second, *_) = server.log
    assert second - first >= 1.0


def test_an_answer_cut_by_a_wrong_length_is_seen_without_a_decoder(tmp_path):
    """The length alone decides: `parse` takes anything."""

    async def ask(address):
        async with Client(tmp_path, 100000.0, 1, 2, 'seed') as client:
            return await client.get(address, len)

    api = photo_api.PhotoApi(fault=lambda name: 'cut')
    with photo_api.serve(api), pytest.raises(LostError, match='RemoteProtocolError'):
        asyncio.run(ask(f'{api.url}/img/1'))


def test_refusals_are_no_failures(tmp_path):
    """Ten requests at once against a limit that lets one by: one try is enough."""

    async def ask(address):
        async with Client(tmp_path, 100000.0, 10, 1, 'seed') as client:
            calls = (client.get(address, len) for _ in range(10))
            return await asyncio.gather(*calls)

    with photo_api.serve(photo_api.PhotoApi(fault=lambda name: '', limit=20.0)) as api:
        sizes = asyncio.run(ask(f'{api.url}/img/1'))
    assert len(sizes) == 10 and api.statuses()[200] == 10 and api.statuses()[429] > 0


def test_refusals_without_end_are_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(photos_requests, 'MOST_REFUSED', 3)
    monkeypatch.setattr('gair_jax.builders.streetscapes.photos_limiter.FIRST_PAUSE', 0.001)
    error, server = get(tmp_path, 'busy')
    assert (error.state, error.reason) == ('failed', 'status 429')
    assert server.statuses() == {429: 3}


def test_retry_after_pauses_every_worker(tmp_path):
    """Two clients share the folder of buckets, as two processes do."""

    async def ask(address):
        async with Client(tmp_path, 1e5, 1, 1, 'a') as one, Client(tmp_path, 1e5, 1, 1, 'b') as two:
            one_asks = asyncio.create_task(one.get(address, len))
            while not api.statuses()[429]:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)  # the refusal is on its way
            refused = api.log[-1][0]
            await two.get(address, len)
            await one_asks
            return refused

    api = photo_api.PhotoApi(fault=lambda name: 'busy once', retry_after='1')
    with photo_api.serve(api):
        refused = asyncio.run(ask(f'{api.url}/img/1'))
    assert min(when for when, *_, status in api.log if status == 200) - refused >= 0.9


def test_a_signal_ends_long_waits_at_once(tmp_path):
    began = time.monotonic()
    error, server = get(tmp_path, 'busy', retry_after='500', stop_after=0.2)
    assert isinstance(error, AbandonedError) and server.statuses() == {429: 1}
    assert time.monotonic() - began < 300  # of the 500 that the service asked for


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [
        ('', 0.0),
        ('7', 7.0),
        (' 7 ', 7.0),
        ('soon', 0.0),
        ('-1', 0.0),
        # The example of RFC 9110, section 5.6.7: 784111777 seconds after 1970.
        ('Sun, 06 Nov 1994 08:49:37 GMT', 777.0),
        ('Sun, 06 Nov 1994 08:49:37 -0000', 777.0),
        ('Sun, 06 Nov 1994 08:00:00 GMT', 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert photos_requests.retry_after(text, 784111777 - 777) == seconds


@pytest.mark.parametrize(
    ('status', 'verdict'),
    [
        (200, 'fine'), (400, 'gone'), (401, 'forbidden'), (403, 'forbidden'), (404, 'gone'),
        (408, 'passing'), (410, 'gone'), (418, 'wrong'), (429, 'too many'), (500, 'passing'),
        (302, 'wrong'), (206, 'wrong'),
    ],
)  # fmt: skip
def test_verdicts_by_status(status, verdict):
    assert photos_requests.by_status(status, b'') == verdict


@pytest.mark.parametrize(
    'address', ['', 'nonsense', 'ftp://a/b', 'http://127.0.0.1:1/x', 'http://[']
)
def test_an_address_that_leads_nowhere_fails_in_our_words(tmp_path, address):
    async def ask():
        async with Client(tmp_path, 1e5, 1, 2, 'seed') as client:
            await client.get(address, json.loads)

    with pytest.raises(LostError, match='no answer: [A-Za-z]+$'):
        asyncio.run(ask())
