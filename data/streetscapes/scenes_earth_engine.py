"""Scenes of Earth Engine, whose Sentinel-2 collection of surface reflectance has no offset.

Needs the package earthengine-api, an account and a cloud project (`earthengine authenticate`). It
cuts and moves pixels to the nearest itself, on the grid that is asked for.
"""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np

from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_source import (
    BANDS,
    SCL,
    Item,
    Reading,
    SourceError,
    UnreadableError,
    day,
)
from gair_jax.config import InputError

CATALOG = 'https://earthengine.googleapis.com'
COLLECTION = 'COPERNICUS/S2_SR_HARMONIZED'
# B02 is B2 there, B11 and B8A are themselves.
NAMES = {band: band.replace('B0', 'B') for band in (*BANDS, SCL)}

Search = Callable[[str, list[float], str, str, float], list[dict[str, Any]]]
Pixels = Callable[[dict[str, Any]], np.ndarray]


class EarthEngineSource:
    """A collection of Earth Engine, by two calls.

    Args:
      collection: its id.
      search: (collection, [west, south, east, north], first day, day after the last, most cloud)
        -> for each image its `id` and `properties`.
      pixels: a request of `computePixels` without its expression, with `asset` and `band` instead
        -> array [height, width].
      error: what both raise where the service does not answer.
    """

    def __init__(
        self, collection: str, search: Search, pixels: Pixels, error: type[Exception]
    ) -> None:
        self._collection, self._search, self._pixels = collection, search, pixels
        self._error, self.requests = error, 0

    def search(
        self, box: tuple[float, float, float, float], start: str, end: str, most_cloud: float
    ) -> list[Item]:
        """See `SceneSource.search`."""
        west, south, east, north = box
        # A rectangle whose east is beyond 180 degrees goes over the antimeridian.
        corners = [west, south, east + 360 * (west > east), north]
        after = str(day('end', end) + datetime.timedelta(1))
        self.requests += 1
        try:
            images = self._search(
                self._collection, corners, str(day('start', start)), after, most_cloud
            )
        except self._error as error:
            raise SourceError(f'Earth Engine: the search failed: {error}') from error
        found = (self._item(image) for image in images)
        kept = [item for item in found if item.cloud < most_cloud]
        return sorted(kept, key=lambda item: (item.datetime, item.id))

    def read(self, item: Item, band: str, tile: Tile) -> Reading:
        """See `Reader.read`."""
        request = {
            'asset': f'{item.collection}/{item.id}',
            'band': NAMES[band],
            'fileFormat': 'NUMPY_NDARRAY',
            'grid': _grid(tile),
        }
        try:
            values = self._pixels(request)
        except self._error as error:
            raise SourceError(f'Earth Engine: {item.id}: {error}') from error
        if values.shape != (tile.height, tile.width):
            raise UnreadableError(f'Earth Engine: {item.id} came as {values.shape}')
        kind = np.uint8 if band == SCL else np.uint16
        return Reading(values.astype(kind), tile.crs == item.extra.get('crs'), values.nbytes)

    def _item(self, image: dict[str, Any]) -> Item:
        properties = image['properties']
        sensed = datetime.datetime.fromtimestamp(
            properties['system:time_start'] / 1000, datetime.UTC
        )
        square = properties['MGRS_TILE']
        zone = f'EPSG:{326 if square[2] >= "N" else 327}{square[:2]}'
        return Item(
            id=image['id'].rpartition('/')[2],
            catalog=CATALOG,
            collection=self._collection,
            datetime=sensed.isoformat(timespec='milliseconds').replace('+00:00', 'Z'),
            platform=properties['SPACECRAFT_NAME'].lower(),
            cloud=float(properties['CLOUDY_PIXEL_PERCENTAGE']),
            baseline=properties.get('PROCESSING_BASELINE', ''),
            offset_applied='yes',
            mgrs=square,
            hrefs={band: f'{image["id"]}#{name}' for band, name in NAMES.items()},
            extra={'crs': zone},
        )


def connected(collection: str) -> EarthEngineSource:
    """The source itself; InputError where Earth Engine's package or its account is missing."""
    try:
        import ee
    except ImportError:
        raise InputError(
            'scenes.source: earth_engine needs the package earthengine-api, which is not installed.'
        ) from None
    try:
        ee.Initialize()
    except Exception as error:  # of several packages, one for each way of signing in
        raise InputError(
            f'scenes.source: Earth Engine does not let this account in: {error}.'
        ) from error

    def search(
        name: str, corners: list[float], first: str, after: str, cloud: float
    ) -> list[dict[str, Any]]:
        images = ee.ImageCollection(name).filterBounds(ee.Geometry.BBox(*corners))
        images = images.filterDate(first, after)
        images = images.filter(ee.Filter.lt('CLOUDY_PIXEL_PERCENTAGE', cloud))
        return images.map(lambda image: ee.Image(image).select([])).getInfo()['features']

    def pixels(request: dict[str, Any]) -> np.ndarray:
        asset, band = request['asset'], request['band']
        rest = {k: v for k, v in request.items() if k not in ('asset', 'band')}
        image = ee.Image(asset).select(band).unmask(0)
        return ee.data.computePixels({**rest, 'expression': image})[band]

    return EarthEngineSource(collection or COLLECTION, search, pixels, ee.EEException)


def _grid(tile: Tile) -> dict[str, Any]:
    """A PixelGrid of its REST interface: pixels are areas, the corner is that of the first."""
    a, b, c, d, e, f = tile.transform
    affine = {'scaleX': a, 'shearX': b, 'translateX': c, 'shearY': d, 'scaleY': e, 'translateY': f}
    size = {'width': tile.width, 'height': tile.height}
    return {'dimensions': size, 'affineTransform': affine, 'crsCode': tile.crs}
