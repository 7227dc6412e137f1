"""One small question to each live service: `pytest -m network`, for whoever has a network.

None of these has been run where this was written. Mapillary wants MAPILLARY_TOKEN in the
environment, Earth Engine a login and its package; without them their tests skip.
"""

import asyncio
import importlib.util
import json
import os

import pytest

from gair_jax.builders.streetscapes import photos_mapillary, photos_requests, scenes_source
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.photos_kartaview import KartaView
from gair_jax.builders.streetscapes.settings import PhotosConfig, ScenesConfig

pytestmark = pytest.mark.network
STUTTGART = Tile('t', 'EPSG:32632', (10.0, 0.0, 512000.0, 0.0, -10.0, 5403000.0), 96, 96, '')
WEST, SOUTH, EAST, NORTH = 9.17, 48.77, 9.18, 48.78


@pytest.mark.parametrize('name', ['earth_search', 'planetary_computer', 'earth_engine'])
def test_scenes_are_found_and_read(name):
    if name == 'earth_engine' and importlib.util.find_spec('ee') is None:
        pytest.skip('needs earthengine-api and a login')
    source = scenes_source.source(ScenesConfig(source=name))
    items = source.search(STUTTGART.lonlat_box, '2023-06-01', '2023-06-30', 60.0)
    assert items
    assert source.read(items[0], 'B02', STUTTGART).values.any()
    classes = source.read(items[0], 'SCL', STUTTGART).values
    assert classes.max() <= 11


def fetched(tmp_path, source_of, listing, first):
    """What the service says of the first photo that it lists, and its picture's size."""

    async def ask():
        async with photos_requests.Client(tmp_path, 1.0, 1, 3, '0') as client:
            listed = await client.get(*listing[:1], json.loads, headers=listing[1])
            source = source_of(client)
            facts = await source.describe(first(listed))
            return facts, (await source.picture(facts)).size

    return asyncio.run(ask())


def test_a_photo_of_mapillary(tmp_path):
    if not os.environ.get('MAPILLARY_TOKEN'):
        pytest.skip('needs MAPILLARY_TOKEN')
    token, url = photos_mapillary.token_from_environment(), PhotosConfig().mapillary_url
    box = f'{WEST},{SOUTH},{EAST},{NORTH}'
    listing = f'{url}/images?fields=id&limit=1&bbox={box}', {'Authorization': f'OAuth {token}'}
    facts, size = fetched(
        tmp_path,
        lambda client: photos_mapillary.Mapillary(client, url, 1024, token),
        listing,
        lambda listed: listed['data'][0]['id'],
    )
    assert facts.licence and facts.page and max(size) >= 256


def test_a_photo_of_kartaview(tmp_path):
    url = PhotosConfig().kartaview_url
    listing = f'{url}/2.0/photo/?lat={SOUTH}&lng={WEST}&radius=5000&itemsPerPage=1', {}
    facts, size = fetched(
        tmp_path,
        lambda client: KartaView(client, url),
        listing,
        lambda listed: str(listed['result']['data'][0]['id']),
    )
    assert facts.licence == 'CC BY-SA' and min(size) >= 128
