"""Sentinel-2 scenes as a build sees them: what a catalogue says, and how pixels are asked for.

Pixels are read on the tile's own grid: each pixel of the tile takes the pixel of the scene that its
centre lies in. On the scene's own grid that is its raw window, bit for bit, and a pixel of 20 m
becomes 2 x 2 of 10 m; elsewhere it is a reprojection to the nearest pixel, and the reading says so.
"""

import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import UInt

from gair_jax import sensors
from gair_jax.builders.streetscapes import periods
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError

BANDS = sensors.contract('sentinel2_10').bands
SCL = 'SCL'
SOURCES = ('earth_search', 'planetary_computer', 'stac', 'earth_engine')


class SourceError(Exception):
    """A catalogue or store did not answer; it may do so later."""


class UnreadableError(Exception):
    """A file of a scene is not there or broken, and will stay so."""


class Item(NamedTuple):
    """One scene of a catalogue: a granule of 110 km of one pass.

    Attributes:
      id: its name in the catalogue.
      catalog: address of the catalogue, without a signature.
      collection: in the catalogue.
      datetime: of sensing, ISO 8601, UTC.
      platform: as 'sentinel-2a'.
      cloud: of the whole scene, per cent; nan unknown.
      baseline: of processing, as '04.00'; '' unknown.
      offset_applied: whether the +1000 of baseline 04.00 is removed from its pixels, as the
        catalogue says: 'yes', 'no' or 'unknown'.
      mgrs: its square, as '32UMV'; '' unknown.
      hrefs: address of the file, without a signature, by band ('B02', ..., 'SCL').
      extra: if known, 'crs' of its raster, as 'EPSG:32632', and 'box': left, top, right, bottom.
    """

    id: str
    catalog: str
    collection: str
    datetime: str
    platform: str
    cloud: float
    baseline: str
    offset_applied: str
    mgrs: str
    hrefs: dict[str, str]
    extra: dict[str, Any]


class Reading(NamedTuple):
    """One band of a scene on the grid of a tile.

    Attributes:
      values: [height, width] of the tile; 0 where the scene does not reach.
      exact: False where pixels were moved to the nearest of the tile's grid.
      fetched: bytes that were asked for, without the heads of files.
    """

    values: UInt[np.ndarray, 'h w']
    exact: bool
    fetched: int


class Reader(Protocol):
    """Where pixels of scenes come from."""

    def read(self, item: Item, band: str, tile: Tile) -> Reading:
        """One band, or 'SCL', on the grid of a tile.

        Raises:
          SourceError: the store did not answer.
          UnreadableError: the file is not there, or broken.
        """


class SceneSource(Reader, Protocol):
    """Where scenes come from.

    requests: to the catalogue, so far.
    """

    requests: int

    def search(
        self, box: tuple[float, float, float, float], start: str, end: str, most_cloud: float
    ) -> list[Item]:
        """All scenes that meet a box, by time and id; never a part of them.

        Args:
          box: west, south, east, north in degrees; west > east across the antimeridian.
          start: first day, ISO 8601.
          end: last day.
          most_cloud: of a scene, per cent; it must have less.

        Raises:
          SourceError: the catalogue did not answer in full.
        """


def source(settings: ScenesConfig) -> SceneSource:
    """The source that the settings name.

    Raises:
      InputError: there is none of that name, or no scene can meet the settings.
    """
    check(settings)
    if settings.source == 'earth_engine':
        from gair_jax.builders.streetscapes import scenes_earth_engine

        return scenes_earth_engine.connected(settings.collection)
    from gair_jax.builders.streetscapes import scenes_stac

    return scenes_stac.preset(settings)


def check(settings: ScenesConfig) -> None:
    """Raises InputError on settings that no scene can meet."""
    if settings.source not in SOURCES:
        raise InputError(
            f'scenes.source: expected {" or ".join(SOURCES)}, found {settings.source!r}.'
        )
    periods.check(settings.period)
    first, last = day('start', settings.start), day('end', settings.end)
    expected = (
        (first <= last, 'end', f'{first} or later'),
        (settings.most_cloud > 0, 'most_cloud', 'more than 0 per cent'),
        (0 <= settings.most_nodata <= 1, 'most_nodata', '0 to 1'),
        (settings.per_period >= 1, 'per_period', '1 or more'),
        (settings.most_dates >= 0, 'most_dates', '0 or more'),
    )
    for good, name, text in expected:
        if not good:
            raise InputError(f'scenes.{name}: expected {text}, found {getattr(settings, name)}.')


def day(name: str, text: str) -> datetime.date:
    """The day that a setting of `scenes` holds; InputError if it is none."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f'scenes.{name}: expected a day as 2017-01-01, found {text!r}.') from None
