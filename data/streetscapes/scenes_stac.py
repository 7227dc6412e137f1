"""Scenes of a STAC catalogue whose files are cloud-optimised GeoTIFFs.

Earth Search, Planetary Computer and others differ in how they name a band, so a band is looked for
under each of its names. A search is all or nothing: pages by token until there is no next one, the
count compared with the catalogue's own where it gives one, and the time halved where a catalogue
stops at a number of results.
"""

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from gair_jax.builders.streetscapes import scenes_cog, scenes_items
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_signing import Signer
from gair_jax.builders.streetscapes.scenes_source import (
    BANDS,
    SCL,
    Item,
    Reading,
    SourceError,
    UnreadableError,
    day,
)
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError

PAGE = 100
# Some catalogues never give more than 1,000 results of one search, and do not say so.
MOST = 1000
TRIES = 6
PASSING = (429, 500, 502, 503, 504)
TIMEOUT = 60.0  # seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """What is known of a public catalogue.

    Attributes:
      url: of its landing page.
      collection: that is searched.
      offset: what its files are, where an item does not say: see `Item.offset_applied`.
      sign: address that gives signatures; '' where none are needed.
    """

    url: str
    collection: str
    offset: str = 'unknown'
    sign: str = ''


PRESETS = {
    'earth_search': Preset(
        url='https://earth-search.aws.element84.com/v1', collection='sentinel-2-l2a'
    ),
    'planetary_computer': Preset(
        url='https://planetarycomputer.microsoft.com/api/stac/v1',
        collection='sentinel-2-l2a',
        offset='no',
        sign='https://planetarycomputer.microsoft.com/api/sas/v1/token',
    ),
    'stac': Preset(url='', collection='sentinel-2-l2a'),
}


def preset(settings: ScenesConfig) -> 'StacSource':
    """The catalogue that the settings name; InputError where `stac` has no address."""
    known = PRESETS[settings.source]
    url, collection = settings.url or known.url, settings.collection or known.collection
    if not url.startswith(('http://', 'https://')):
        raise InputError(f'scenes.url: expected the address of a catalogue, found {url!r}.')
    return StacSource(dataclasses.replace(known, url=url, collection=collection))


class StacSource:
    """A catalogue and its files; `delay` seconds are waited before the first repeated request."""

    def __init__(self, known: Preset, *, delay: float = 1.0) -> None:
        self._known, self._delay = known, delay
        self._files = scenes_cog.Files(Signer(known.sign, delay), delay)
        self._client: Any = None
        self.requests = 0

    def search(
        self, box: tuple[float, float, float, float], start: str, end: str, most_cloud: float
    ) -> list[Item]:
        """See `SceneSource.search`."""
        first, last = day('start', start), day('end', end)
        found: dict[str, Item] = {}
        for part in _boxes(box):
            for feature in self._between(part, first, last, most_cloud):
                item = scenes_items.read(feature, self._known.url, self._known.offset)
                if item.cloud < most_cloud:
                    found[item.id] = item
        self._check(list(found.values()))
        return sorted(found.values(), key=lambda item: (item.datetime, item.id))

    def read(self, item: Item, band: str, tile: Tile) -> Reading:
        """See `Reader.read`."""
        if band not in item.hrefs:
            raise UnreadableError(f'no file of band {band}')
        return self._files.read(item.hrefs[band], tile)

    def _check(self, items: list[Item]) -> None:
        """InputError where the collection's items cannot be what is wanted."""
        lacking = [band for band in (*BANDS, SCL) if all(band not in i.hrefs for i in items)]
        if items and lacking:
            raise InputError(
                f'{self._known.url}: collection {self._known.collection}: expected items with a '
                f'file of band {lacking[0]}, found none.'
            )

    def _between(
        self,
        box: tuple[float, float, float, float],
        first: datetime.date,
        last: datetime.date,
        most_cloud: float,
    ) -> Iterator[dict[str, Any]]:
        found = self._pages(box, first, last, most_cloud)
        if len(found) < MOST or first == last:
            yield from found
            return
        middle = first + (last - first) // 2
        yield from self._between(box, first, middle, most_cloud)
        yield from self._between(box, middle + datetime.timedelta(1), last, most_cloud)

    def _pages(
        self,
        box: tuple[float, float, float, float],
        first: datetime.date,
        last: datetime.date,
        most_cloud: float,
    ) -> list[dict[str, Any]]:
        """All features of one search; SourceError where a page or some of them are missing."""
        import pystac_client.exceptions

        try:
            client = self._opened()
            query = {'eo:cloud_cover': {'lt': most_cloud}} if client.conforms_to('QUERY') else None
            pages = client.search(
                collections=[self._known.collection],
                bbox=box,
                datetime=f'{first}T00:00:00Z/{last}T23:59:59.999Z',
                query=query,
                limit=PAGE,
            ).pages_as_dicts()
            found, expected = _collected(pages)
        except (pystac_client.exceptions.APIError, OSError, ValueError) as error:
            raise SourceError(f'{self._known.url}: the search failed: {error}') from error
        if expected > len(found) and len(found) < MOST:
            raise SourceError(
                f'{self._known.url}: the search gave {len(found)} of {expected} scenes'
            )
        return found

    def _count(self, request: Any) -> Any:
        """Counts a request to the catalogue; urllib3 repeats it unseen."""
        self.requests += 1
        return request

    def _opened(self) -> Any:
        if self._client is None:
            import pystac_client
            import urllib3
            from pystac_client.stac_api_io import StacApiIO

            # Searches are POSTs, which are not repeated unless one says so.
            retries = urllib3.Retry(
                TRIES,
                backoff_factor=self._delay,
                backoff_jitter=self._delay / 2,
                status_forcelist=PASSING,
                allowed_methods=None,
            )
            # What is given here replaces what the io was made with, its retries aside.
            self._client = pystac_client.Client.open(
                self._known.url,
                stac_io=StacApiIO(max_retries=retries),
                timeout=TIMEOUT,
                request_modifier=self._count,
            )
        return self._client


def _collected(pages: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Features of all pages, each id once, and how many there are by the catalogue; 0 unknown."""
    found: dict[str, dict[str, Any]] = {}
    expected = 0
    for page in pages:
        expected = page.get('numberMatched') or page.get('context', {}).get('matched') or expected
        found.update((feature['id'], feature) for feature in page['features'])
    return list(found.values()), int(expected)


def _boxes(box: tuple[float, float, float, float]) -> list[tuple[float, float, float, float]]:
    west, south, east, north = box
    if west <= east:
        return [box]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]
