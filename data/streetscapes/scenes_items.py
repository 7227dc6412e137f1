"""Items of STAC catalogues -> scenes: bands, baseline and offset under any of their names."""

import math
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL, Item
from gair_jax.config import InputError

# Keys of Earth Search, and of those that name a file by its band, with or without its resolution.
_COMMON = {
    'B02': 'blue',
    'B03': 'green',
    'B04': 'red',
    'B05': 'rededge1',
    'B06': 'rededge2',
    'B07': 'rededge3',
    'B08': 'nir',
    'B8A': 'nir08',
    'B11': 'swir16',
    'B12': 'swir22',
    'SCL': 'scl',
}
_TEN_M = ('B02', 'B03', 'B04', 'B08')
_BASELINE = re.compile(r'_N(\d{2})(\d{2})_')


def read(feature: dict[str, Any], catalog: str, offset: str) -> Item:
    """The scene that a STAC item describes.

    Args:
      feature: the item.
      catalog: address of its catalogue.
      offset: 'yes', 'no' or 'unknown': what `Item.offset_applied` is where the item does not say.

    A band without a file is not in its `hrefs`.

    Raises:
      InputError: the item lacks its time or its name.
    """
    try:
        name, properties, assets = feature['id'], feature['properties'], feature['assets']
        sensed = properties['datetime']
    except KeyError as error:
        raise InputError(f'{catalog}: an item lacks {error}.') from None
    found = {band: _asset(assets, band) for band in (*BANDS, SCL)}
    bands = {band: asset for band, asset in found.items() if 'href' in asset}
    first = next(iter(bands.values()), {})
    return Item(
        id=name,
        catalog=catalog,
        collection=str(feature.get('collection', '')),
        datetime=sensed,
        platform=str(properties.get('platform', '')).lower(),
        cloud=float(properties.get('eo:cloud_cover', math.nan)),
        baseline=_baseline(name, properties),
        offset_applied=_offset_applied(properties, first, offset),
        mgrs=_mgrs(properties),
        hrefs={band: without_signature(asset['href']) for band, asset in bands.items()},
        extra=_footprint(properties, first),
    )


def without_signature(href: str) -> str:
    """The address without what follows `?`, which may hold a token."""
    return urlunsplit(urlsplit(href)._replace(query='', fragment=''))


def _asset(assets: dict[str, Any], band: str) -> dict[str, Any]:
    side = '10m' if band in _TEN_M else '20m'
    for key in (band, _COMMON[band], f'{band}_{side}'):
        if key in assets:
            return assets[key]
    return {}


def _baseline(name: str, properties: dict[str, Any]) -> str:
    """'04.00', from the properties or else the product's name; '' where neither says."""
    stated = properties.get('s2:processing_baseline') or properties.get('processing:version')
    if stated:
        return str(stated)
    found = _BASELINE.search(properties.get('s2:product_uri') or name)
    return '.'.join(found.groups()) if found else ''


def _offset_applied(properties: dict[str, Any], asset: dict[str, Any], otherwise: str) -> str:
    """The scene's own word first: where both are there and differ, the pixels agree with it."""
    for key in ('earthsearch:boa_offset_applied', 'sentinel:boa_offset_applied'):
        if key in properties:
            return 'yes' if properties[key] else 'no'
    if otherwise != 'unknown':
        return otherwise
    bands = asset.get('raster:bands') or asset.get('bands') or [{}]
    offset = bands[0].get('offset', bands[0].get('raster:offset', asset.get('raster:offset')))
    if offset is None:
        return 'unknown'
    return 'yes' if offset == 0 else 'no'


def _mgrs(properties: dict[str, Any]) -> str:
    if code := properties.get('s2:mgrs_tile') or properties.get('grid:code'):
        return str(code).removeprefix('MGRS-')
    parts = [properties.get(f'mgrs:{p}', '') for p in ('utm_zone', 'latitude_band', 'grid_square')]
    return ''.join(map(str, parts)).zfill(5) if all(parts) else ''


def _footprint(properties: dict[str, Any], asset: dict[str, Any]) -> dict[str, Any]:
    """CRS and box of the raster, where the catalogue tells them."""
    stated = {**properties, **asset}
    crs = stated.get('proj:code') or (
        f'EPSG:{stated["proj:epsg"]}' if stated.get('proj:epsg') else ''
    )
    transform, shape = stated.get('proj:transform'), stated.get('proj:shape')
    if not (crs and transform and shape):
        return {}
    a, _, left, _, e, top = transform[:6]
    return {'crs': crs, 'box': [left, top, left + a * shape[1], top + e * shape[0]]}
