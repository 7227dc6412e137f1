"""What a plan will cost before anything is fetched: requests, bytes, hours and disk.

With T tiles, D dates a tile, P photos planned and P' stored (a panorama gives several views):

    windows          = T D                       D: scenes of a period x periods, or `most_dates`
    range requests   = 41 T D                    10 bands, nothing cached, tuned GDAL
    scene bytes      = (15.3 MB at a tile of 246 px, 20.3 MB at 436 px, linear between) T D
    packed bytes     = 0.4 x raw                 20 bytes a pixel: 10 bands of 16 bits
    photo bytes      = (232 KB at a width of 1024, 523 KB at 2048) P
    stored photos    = (38 KB at a shorter side of 256, 63 KB at 336) P'

The constants were measured: windows of 10 bands of Cloud-Optimized GeoTIFFs with 1,024-pixel blocks
on a loopback server, and 25 published photos. Block overhead rules, so bytes grow by tiles and
dates and hardly by pixels. Widths and sides in between follow a power law through the two. All of
it is an upper bound: clouds leave periods without a scene, and photos are gone.
"""

import datetime
import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from gair_jax.builders.streetscapes import keys, layouts, periods
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.settings import ScenesConfig, StreetscapesConfig, TilesConfig
from gair_jax.config import InputError

REVISIT_DAYS = 5.0  # of two satellites on the equator
PAGE = 100  # items of a page of a catalogue
RANGES = 41  # requests of a window
WINDOW_BYTES = ((246, 15.3e6), (436, 20.3e6))  # by side of the tile, pixels
WINDOW_SECONDS = 0.7  # of one process
BYTES_A_SECOND = 50e6  # of the line
RAW_BYTES = 20  # of a pixel
PACKED, DEFLATED = 0.4, 0.42  # of raw
FETCHED_BYTES = ((1024, 232e3), (2048, 523e3))  # by width of a photo, pixels
STORED_BYTES = ((256, 38e3), (336, 63e3))  # by shorter side of a photo, pixels

# Lines of a forecast.
SEARCH, SCENES, WORK = 'search', 'scenes', 'scenes, work of one process'
PHOTOS, PACKED_SCENES, PACKED_PHOTOS = 'photos', 'packed scenes', 'packed photos'


class Row(NamedTuple):
    """One line of a forecast; 0 where nothing of the kind is spent.

    requests: to a service. fetched: bytes over the line. hours: of one process, or at the rate set
    for photos. disk: bytes.
    """

    item: str
    requests: int = 0
    fetched: float = 0.0
    hours: float = 0.0
    disk: float = 0.0


class Amounts(NamedTuple):
    """What of a plan counts for its cost.

    tiles: number. side: their mean side, pixels (root of the mean area). packed_pixels: of all
    chips of a date, or of all tiles where they stay whole. photos: planned; places that were drawn
    have none. views: images they give.
    """

    tiles: int
    side: float
    packed_pixels: float
    photos: int
    views: int


def amounts(settings: StreetscapesConfig, photos: pd.DataFrame, tiles: dict[str, Tile]) -> Amounts:
    """The amounts of a plan (`plan_files.photos`, `plan_files.tiles`) without its reserve."""
    planned = photos[~photos['reserve']]
    shot = planned[planned['source'] != keys.PLACE]
    pixels = sum(tile.width * tile.height for tile in tiles.values())
    panoramas = int(shot['panorama'].sum())
    return Amounts(
        tiles=len(tiles),
        side=math.sqrt(pixels / max(len(tiles), 1)),
        packed_pixels=_packed_pixels(settings.tiles, planned, tiles),
        photos=len(shot),
        views=len(shot) + panoramas * (settings.photos.views - 1),
    )


def forecast(settings: StreetscapesConfig, of: Amounts) -> list[Row]:
    """The cost of each part of a build, at most.

    Raises:
      InputError: the days of the scenes are no days, or in the wrong order, there is no such
        period, or photos are asked for at no rate.
    """
    if not settings.photos.rate > 0:
        raise InputError(f'photos.rate: expected more than 0, found {settings.photos.rate}.')
    windows = of.tiles * dates(settings.scenes)
    fetched = windows * _between(of.side, WINDOW_BYTES)
    photo = _by_power(settings.photos.width, FETCHED_BYTES)
    side = settings.photos.side
    stored = of.views * (_by_power(side, STORED_BYTES) if side else photo)
    at_rate = of.photos / settings.photos.rate / 3600
    raw = RAW_BYTES * of.side**2 * windows
    packed = PACKED * RAW_BYTES * of.packed_pixels * dates(settings.scenes)
    scenes = [
        Row(SEARCH, requests=of.tiles * _pages(settings.scenes)),
        Row(SCENES, windows * RANGES, fetched, fetched / BYTES_A_SECOND / 3600, DEFLATED * raw),
        Row(WORK, hours=windows * WINDOW_SECONDS / 3600),
        Row(PACKED_SCENES, disk=packed),
    ]
    shot = [
        # One for its metadata and one for its picture, at two hosts side by side.
        Row(PHOTOS, 2 * of.photos, of.photos * photo, at_rate, stored),
        Row(PACKED_PHOTOS, disk=stored),
    ]
    return scenes + (shot if of.photos else [])


def dates(scenes: ScenesConfig) -> int:
    """Scenes of a tile at most.

    Raises:
      InputError: `start` or `end` is no day, the end is before the start, or there is no such
        period.
    """
    start, end = _days(scenes)
    most = periods.count(start, end, scenes.period) * scenes.per_period
    return min(most, scenes.most_dates) if scenes.most_dates else most


def _days(scenes: ScenesConfig) -> tuple[datetime.date, datetime.date]:
    found = []
    for name in ('start', 'end'):
        text = getattr(scenes, name)
        try:
            found.append(datetime.date.fromisoformat(text))
        except ValueError as error:
            raise InputError(f'scenes.{name}: expected a day, found {text!r}.') from error
    if found[1] < found[0]:
        raise InputError(
            f'scenes.end: expected a day from {scenes.start} on, found {scenes.end!r}.'
        )
    return found[0], found[1]


def _pages(scenes: ScenesConfig) -> int:
    """Pages of a search that finds all passes over a tile."""
    start, end = _days(scenes)
    return math.ceil(((end - start).days + 1) / REVISIT_DAYS / PAGE)


def _packed_pixels(settings: TilesConfig, planned: pd.DataFrame, tiles: dict[str, Tile]) -> float:
    """Pixels of a date: of the chips around occupied cells, or of whole tiles."""
    if settings.layout == layouts.RELEASE or not settings.chip:
        return sum(tile.width * tile.height for tile in tiles.values())
    return settings.chip**2 * _cells(settings, planned, tiles)


def _cells(settings: TilesConfig, planned: pd.DataFrame, tiles: dict[str, Tile]) -> int:
    """Cells of all tiles that hold a photo."""
    count = 0
    for key, rows in planned.groupby('tile'):
        cells = tiles[str(key)].pixel_xy(rows[['lon', 'lat']].to_numpy()) // settings.cell
        count += len(np.unique(cells, axis=0))
    return count


def _between(at: float, points: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """On the line through two points; not below the first, for a block is read whole."""
    (x0, y0), (x1, y1) = points
    return max(y0, y0 + (y1 - y0) * (at - x0) / (x1 - x0))


def _by_power(at: float, points: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """On the power law through two points."""
    (x0, y0), (x1, y1) = points
    return y0 * (at / x0) ** (math.log(y1 / y0) / math.log(x1 / x0))
