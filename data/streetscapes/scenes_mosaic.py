"""A pass over a tile, read: the bands of its granules, each without its offset, as one window."""

import concurrent.futures
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt16

from gair_jax import sensors
from gair_jax.builders.streetscapes import scenes_offset
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_offset import Offset
from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL, Item, Reading, SceneSource

THREADS = 5  # bands at a time


class Mosaic(NamedTuple):
    """A pass on the grid of a tile.

    Attributes:
      values: [10, height, width] bands as in `BANDS`, without offset; 0 nothing seen.
      offsets: of each granule that was read.
      nodata: share of the tile that none of them saw, 0..1.
      exact: False where pixels were moved to the nearest of the tile's grid.
      fetched: see `scenes_source.Reading`.
    """

    values: UInt16[np.ndarray, 'c h w']
    offsets: list[Offset]
    nodata: float
    exact: bool
    fetched: int


def read(
    source: SceneSource, items: list[Item], tile: Tile, medians: Float[np.ndarray, 'n c']
) -> Mosaic:
    """The granules of a pass; a later one fills what earlier ones did not see.

    Args:
      source: where they are read.
      items: of one pass and zone, in order.
      tile: on whose grid.
      medians: see `scenes_offset.decide`.

    Raises:
      SourceError: the store did not answer.
      UnreadableError: a file is broken, or it cannot be told whether it carries the offset.
    """
    values = np.zeros((len(BANDS), tile.height, tile.width), np.uint16)
    missing, offsets, exact, fetched = _missing(values), list[Offset](), True, 0
    for item in items:
        readings = _bands(source, item, tile)
        raw = np.stack([reading.values for reading in readings]).astype(np.uint16)
        offset = _offset(source, item, tile, raw, medians)
        values = np.where(missing, scenes_offset.subtract(raw, offset.removed), values)
        offsets.append(offset)
        exact = exact and all(reading.exact for reading in readings)
        fetched += sum(reading.fetched for reading in readings)
        missing = _missing(values)
        if not missing.any():
            break
    return Mosaic(values, offsets, float(missing.mean()), exact, fetched)


def _bands(source: SceneSource, item: Item, tile: Tile) -> list[Reading]:
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda band: source.read(item, band, tile), BANDS))


def _offset(
    source: SceneSource,
    item: Item,
    tile: Tile,
    raw: UInt16[np.ndarray, 'c h w'],
    medians: Float[np.ndarray, 'n c'],
) -> Offset:
    """The decision; the classification is read only where land matters to it."""
    scl = np.zeros(raw.shape[1:], np.uint8)
    if not scenes_offset.certain(item) and item.offset_applied != 'yes':
        scl = source.read(item, SCL, tile).values
    return scenes_offset.decide(item, raw, scl, medians)


def _missing(values: UInt16[np.ndarray, 'c h w']) -> np.ndarray:
    return sensors.contract('sentinel2_10').missing(np.moveaxis(values, 0, -1))
