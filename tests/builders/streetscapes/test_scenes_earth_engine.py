"""The same stages on arrays instead of Earth Engine, whose wire cannot be stood in for."""

import datetime
import importlib.util

import numpy as np
import pytest

from gair_jax.builders.streetscapes import (
    scenes_earth_engine,
    scenes_mosaic,
    scenes_select,
    scenes_source,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_source import BANDS, SourceError, UnreadableError
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError
from tests.standins import scene_files

TILE = Tile('t', 'EPSG:32632', (10.0, 0.0, 500980.0, 0.0, -10.0, 5398600.0), 50, 40, '')


class Down(Exception):
    pass


def image(date, cloud=5.0, square='32UMV'):
    start = datetime.datetime.fromisoformat(f'{date}T10:36:31Z').timestamp() * 1000
    properties = {
        'system:time_start': start,
        'SPACECRAFT_NAME': 'Sentinel-2A',
        'CLOUDY_PIXEL_PERCENTAGE': cloud,
        'PROCESSING_BASELINE': '05.09',
        'MGRS_TILE': square,
    }
    return {'id': f'COPERNICUS/S2_SR_HARMONIZED/{date}_{square}', 'properties': properties}


def pixels(request):
    """The closed form on the grid that is asked for."""
    grid, band = request['grid'], request['band']
    affine, size = grid['affineTransform'], grid['dimensions']
    assert grid['crsCode'] == 'EPSG:32632' and affine['shearX'] == affine['shearY'] == 0
    x, y = np.meshgrid(np.arange(size['width']) + 0.5, np.arange(size['height']) + 0.5)
    x, y = affine['translateX'] + affine['scaleX'] * x, affine['translateY'] + affine['scaleY'] * y
    if band == 'SCL':
        return np.full(x.shape, 4, np.uint8)
    ours = {'B2': 'B02', 'B3': 'B03', 'B4': 'B04', 'B5': 'B05'}
    ours |= {'B6': 'B06', 'B7': 'B07', 'B8': 'B08'}
    date = request['asset'].rpartition('/')[2][:10]
    return scene_files.reflectance(x, y, ours.get(band, band), date).astype(np.uint16)


def source(images=(), read=pixels, asked=None):
    def search(*arguments):
        if asked is not None:
            asked.append(arguments)
        return list(images)

    return scenes_earth_engine.EarthEngineSource('COPERNICUS/S2_SR_HARMONIZED', search, read, Down)


def test_search_select_and_read_work_as_with_files():
    made = source([image('2020-05-11', cloud=9.0), image('2020-05-01'), image('2020-06-01', 30.0)])
    items = made.search(TILE.lonlat_box, '2020-01-01', '2020-12-31', 20.0)
    assert [item.datetime for item in items] == [
        '2020-05-01T10:36:31.000Z', '2020-05-11T10:36:31.000Z',
    ]  # fmt: skip
    found = scenes_select.choose(made, items, TILE, ScenesConfig())
    assert found['periods']['2020-05']['ranking'][0]['date'] == '2020-05-01'
    mosaic = scenes_mosaic.read(made, items[:1], TILE, np.zeros((0, 10)))
    assert mosaic.offsets == [(0, '')] and mosaic.exact
    x, y = np.meshgrid(500985.0 + 10 * np.arange(50), 5398595.0 - 10 * np.arange(40))
    for held, band in zip(mosaic.values, BANDS, strict=True):
        np.testing.assert_array_equal(held, scene_files.reflectance(x, y, band, '2020-05-01'))


def test_the_last_day_is_in_and_the_antimeridian_is_crossed():
    asked = []
    source(asked=asked).search((179.0, -17.0, -179.0, -16.0), '2020-01-01', '2020-12-31', 20.0)
    ((_, corners, first, after, cloud),) = asked
    assert corners == [179.0, -17.0, 181.0, -16.0]
    assert (first, after, cloud) == ('2020-01-01', '2021-01-01', 20.0)


def test_failures_are_told_apart():
    def down(*arguments):
        raise Down('quota')

    (item,) = source([image('2020-05-01')]).search(TILE.lonlat_box, '2020-01-01', '2020-12-31', 20)
    with pytest.raises(SourceError, match='Earth Engine: 2020-05-01_32UMV: quota'):
        source(read=down).read(item, 'B02', TILE)
    with pytest.raises(UnreadableError, match=r'came as \(1, 1\)'):
        source(read=lambda _: np.zeros((1, 1))).read(item, 'B02', TILE)
    failing = scenes_earth_engine.EarthEngineSource('c', down, pixels, Down)
    with pytest.raises(SourceError, match='the search failed: quota'):
        failing.search(TILE.lonlat_box, '2020-01-01', '2020-12-31', 20.0)


@pytest.mark.skipif(importlib.util.find_spec('ee') is not None, reason='the package is there')
def test_without_the_package_it_says_what_is_missing():
    with pytest.raises(InputError, match='needs the package earthengine-api'):
        scenes_source.source(ScenesConfig(source='earth_engine'))
