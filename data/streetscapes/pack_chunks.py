"""The chunks of `pack`: for some tiles, the records of the photos and places that lie on them.

A tile is read once a date and cut into the chips that its photos (or places without) lie on.
Nothing is fetched, and nothing may be missing: a file that is not there, or is another one than the
ledger says, stops it.
"""

import collections
import dataclasses
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import rasterio
import rasterio.errors
from jaxtyping import UInt16

from gair_jax import sensors
from gair_jax.builders import staging
from gair_jax.builders.photos.chunks import draw_split
from gair_jax.builders.streetscapes import chips, pair, photos_files, plan_files, scenes_fetch
from gair_jax.builders.streetscapes.chips import Box
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.builders.streetscapes.settings import TilesConfig
from gair_jax.config import InputError

# Small tiles, as of single places, are packed together: a chunk is three files and a process' turn.
CHUNK_BYTES = 64_000_000
NO_DATE = 'no date with data on its chip'
REMOVED = 'removed'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every chunk needs to know; it goes to other processes once a chunk, so it is small.

    Attributes:
      out: folder of the build.
      settings: how they are cut.
      most_nodata: share of a chip without data at which a date is left out, 0..1.
      fractions: shares of cities (or blocks of places) in train, val and test; all 0: train
        alone.
      seed: of their draw.
      removed: ids of photos that are never packed.
    """

    out: pathlib.Path
    settings: TilesConfig
    most_nodata: float
    fractions: tuple[float, float, float]
    seed: int
    removed: frozenset[str]


class Dated(NamedTuple):
    """A date of a tile: its row of `pair.SCENES`, and its pixels [10, h, w]."""

    row: dict[str, Any]
    values: UInt16[np.ndarray, 'c h w']


def tiles_of(out: pathlib.Path) -> tuple[tuple[Tile, ...], ...]:
    """The tiles of each chunk of a paired build: those with photos, in order of key.

    A chunk has some CHUNK_BYTES of pixels; a tile of many dates is one alone.
    """
    paths = (out / pair.FOLDER / f'{name}.parquet' for name in ('photos', 'scenes'))
    return _tiles_of(out, tuple(path.stat().st_mtime_ns for path in paths))


@functools.lru_cache(maxsize=2)
def _tiles_of(out: pathlib.Path, changed: tuple[int, ...]) -> tuple[tuple[Tile, ...], ...]:
    del changed  # part of the key: a build may be paired anew in one process
    used = set(pair.read(out, 'photos', ('tile',))['tile'])
    dates = collections.Counter(pair.read(out, 'scenes', ('tile',))['tile'])
    found, size = list[list[Tile]](), CHUNK_BYTES
    for tile in (tile for tile in plan_files.tiles(out).values() if tile.key in used):
        more = 2 * len(BANDS) * tile.width * tile.height * dates[tile.key]
        if size + more > CHUNK_BYTES:
            found.append([])
            size = 0
        found[-1].append(tile)
        size += more
    return tuple(map(tuple, found))


def make(job: Job, index: int) -> staging.Chunk:
    """Photos and acquisitions of the tiles of a chunk."""
    tiles = tiles_of(job.out)[index]
    rows, dates = (_rows(job.out, name, tiles) for name in ('photos', 'scenes'))
    found = staging.Chunk([], [], [])
    for tile in tiles:
        dated = [Dated(row, _pixels(job.out, row, tile)) for row in dates[tile.key]]
        _add(found, job, tile, rows[tile.key], dated)
    return found


def _add(
    found: staging.Chunk, job: Job, tile: Tile, rows: list[dict[str, Any]], dates: list[Dated]
) -> None:
    """Adds the photos and acquisitions of a tile, chip by chip."""
    by_chip = itertools.groupby(
        sorted(rows, key=lambda row: (row['row'], row['column'], row['id'])),
        key=lambda row: (row['column'], row['row']),
    )
    for corner, members in by_chip:
        part = chips.box(corner, tile, job.settings)
        acquisitions = list(acquisitions_of(dates, part, tile, job.most_nodata))
        found.acquisitions.extend(acquisitions)
        for row in members:
            reason = _reason(row, acquisitions, job.removed)
            if reason:
                found.dropped.append({'row': row['number'], 'id': row['id'], 'reason': reason})
            else:
                found.photos.append(photo_of(job, row, tile, acquisitions[0]['tile_key']))


def _rows(out: pathlib.Path, name: str, tiles: tuple[Tile, ...]) -> dict[str, list[dict[str, Any]]]:
    """Rows of a table of pairs by tile: groups of rows of other tiles are passed over."""
    path = out / pair.FOLDER / f'{name}.parquet'
    found: dict[str, list[dict[str, Any]]] = {tile.key: [] for tile in tiles}
    for row in pa.parquet.read_table(path, filters=[('tile', 'in', list(found))]).to_pylist():
        found[row['tile']].append(row)
    return found


def _pixels(out: pathlib.Path, row: dict[str, Any], tile: Tile) -> UInt16[np.ndarray, 'c h w']:
    """A date of a tile, checked against what was fetched."""
    path = out / row['file']
    try:
        with rasterio.open(path) as raster:
            values = raster.read()
    except rasterio.errors.RasterioError as error:
        raise InputError(f'{path}: cannot be read: {error}; fetch it again.') from error
    whole = values.shape == (len(BANDS), tile.height, tile.width)
    if not whole or scenes_fetch.digest(values) != row['sha256']:
        raise InputError(f'{path}: expected the pixels that were fetched, found others.')
    return values


def acquisitions_of(
    dates: list[Dated], part: Box, tile: Tile, most_nodata: float
) -> Iterator[dict[str, Any]]:
    """The chip at each date that shows it."""
    contract = sensors.contract('sentinel2_10')
    rows = slice(part.row, part.row + part.height)
    columns = slice(part.column, part.column + part.width)
    for row, values in dates:
        bands = np.moveaxis(values[:, rows, columns], 0, -1)
        if contract.missing(bands).mean() > most_nodata:
            continue
        key = f'{tile.key}/{part.column}_{part.row}'
        yield {
            'id': f'{key}/{row["date"]}',
            'tile_key': key,
            'date': row['date'],
            'cloud': row['cloud'],
            'bands': bands,
            'band_names': BANDS,
            'bounds': np.array(chips.bounds_of(part, tile)),
            'crs': tile.crs,
            'transform': np.array(chips.transform_of(part, tile)),
            'labels': {},
        }


def _reason(
    row: dict[str, Any], acquisitions: list[dict[str, Any]], removed: frozenset[str]
) -> str:
    """Why a photo is not packed, '' if it is."""
    if photos_files.is_removed(row['key'], removed):
        return REMOVED
    return '' if acquisitions else NO_DATE


def ground_of(tile: Tile, block: str) -> str:
    """What goes whole into a split: the block of drawn places, the city of photos, or a tile."""
    # By the tile's city, not the photo's own: cities may share a tile, and no ground two splits.
    return block or tile.city or tile.key


def photo_of(job: Job, row: dict[str, Any], tile: Tile, tile_key: str) -> dict[str, Any]:
    """The staged record of a row of `pair.PHOTOS` that lies on a tile, or on a chip of it."""
    ground = ground_of(tile, row['block'])
    split = draw_split(ground, job.fractions, job.seed) if any(job.fractions) else 'train'
    return {
        'id': row['id'],
        'photo': _jpeg(job.out / row['file'], row['sha256']) if row['file'] else b'',
        'lonlat': np.array([row['lon'], row['lat']]),
        'heading': row['heading'],
        'date': row['date'],
        'licence': row['licence'],
        'group': row['city_id'],
        'tile_key': tile_key,
        'split': split,
        'labels': {},
    }


def _jpeg(path: pathlib.Path, sha256: str) -> bytes:
    """The bytes that were fetched."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}; fetch it again.') from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f'{path}: expected the photo that was fetched, found another file.')
    return data
