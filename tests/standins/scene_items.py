"""STAC items of made-up scenes, filled into the hand-written shapes of tests/fixtures."""

import copy
import functools
import json
import pathlib

import pyproj

from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL
from tests.standins import scene_files

SHAPES = pathlib.Path(__file__).resolve().parents[1] / 'fixtures' / 'streetscapes'
EARTH_SEARCH_KEYS = dict(
    zip(
        (*BANDS, SCL),
        'blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22 scl'.split(),
        strict=True,
    )
)


def feature(scene, url, run):
    """The STAC item of a scene; `run` is a part of the addresses of its files."""
    found = copy.deepcopy(_shape(scene.shape))
    box = _lonlat_box(scene)
    properties = found['properties']
    found |= {'id': scene.id, 'bbox': box, 'geometry': _polygon(box)}
    properties |= {
        'datetime': f'{scene.date}T{scene.time}.000000Z',
        'platform': scene.platform,
        'eo:cloud_cover': scene.cloud,
        'proj:epsg': scene.epsg,
        's2:processing_baseline': scene.baseline,
    }
    if not scene.baseline:
        del properties['s2:processing_baseline'], properties['s2:product_uri']
    if scene.shape == 'earth_search':
        properties['grid:code'] = f'MGRS-{scene.mgrs}'
        properties['earthsearch:boa_offset_applied'] = scene.flag == 'yes'
        if not scene.flag:
            del properties['earthsearch:boa_offset_applied']
    else:
        properties['s2:mgrs_tile'] = scene.mgrs
    for band in (*BANDS, SCL):
        asset = found['assets'][EARTH_SEARCH_KEYS[band] if scene.shape == 'earth_search' else band]
        size = 10 if band in scene_files.TEN_M else 20
        asset['href'] = f'{url}/cog/{run}/{scene.id}/{band}.tif'
        asset['proj:shape'] = [scene.side * 10 // size] * 2
        asset['proj:transform'] = [size, 0, scene.left, 0, -size, scene.top]
        if not scene.flag and 'raster:bands' in asset:
            asset['raster:bands'][0].pop('offset', None)
    return found


@functools.cache
def _shape(name):
    return json.loads((SHAPES / f'{name}_item.json').read_text(encoding='utf-8'))


def _lonlat_box(scene):
    back = pyproj.Transformer.from_crs(scene.epsg, 4326, always_xy=True)
    bottom, right = scene.top - scene.side * 10, scene.left + scene.side * 10
    return list(back.transform_bounds(scene.left, bottom, right, scene.top))


def _polygon(box):
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {'type': 'Polygon', 'coordinates': [ring]}
