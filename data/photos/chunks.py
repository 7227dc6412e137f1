"""One chunk of an import: rows of the table -> staged photos and acquisitions, or reasons why not.

Splits are drawn by tile, from a hash of its files' names and the seed; a photo without a tile goes
by the cell of `CELL` degrees that it stands in.
"""

import collections
import dataclasses
import hashlib
import math
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa

from gair_jax import sensors
from gair_jax.builders import staging
from gair_jax.builders.photos import images, rasters, tables
from gair_jax.config import InputError
from gair_jax.geo import tiles

CELL = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the records depend on beside table and files.

    Attributes:
      reading: how tiles are read.
      fractions: shares of train, val and test.
      draw: off: the split is that of the row, or train.
      seed: of the draw.
      photo_side: see `images.read`.
    """

    reading: rasters.Reading
    fractions: tuple[float, float, float]
    draw: bool
    seed: int
    photo_side: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every chunk needs to know.

    Attributes:
      plan: Arrow file with one batch of rows a chunk.
      root: folder of the files that the rows name.
      options: what is made of them.
    """

    plan: pathlib.Path
    root: pathlib.Path
    options: Options


def draw_split(key: str, fractions: tuple[float, float, float], seed: int) -> str:
    """The split of a tile or cell: the same for every photo there, whatever else is in the set."""
    digest = hashlib.sha256(f'{seed}:{key}'.encode()).digest()
    position = int.from_bytes(digest[:8], 'big') / 2**64 * sum(fractions)
    bounds = np.cumsum(fractions)
    return tables.SPLITS[min(int(np.searchsorted(bounds, position, 'right')), 2)]


def cell_key(lonlat: list[float]) -> str:
    """Name of the cell of `CELL` degrees that a place lies in."""
    lon, lat = (math.floor(value / CELL) for value in lonlat)
    return f'cell {lon} {lat}'


def _acquisitions(job: Job, row: tables.Row) -> list[dict[str, Any]]:
    staged = []
    for file, date in zip(row.tiles, row.tile_dates, strict=True):
        try:
            raster = rasters.read(job.root / file, job.options.reading, row.box, row.crs)
        except InputError as error:
            kind, _, details = str(error).partition(': ')
            raise InputError(f'{kind}: {file}: {details}') from error
        staged.append(
            {
                **dataclasses.asdict(raster),
                'id': file,
                'tile_key': row.tile_key,
                'date': date,
                'cloud': math.nan,
                'band_names': sensors.contract(job.options.reading.sensor).bands,
                'labels': {},
            }
        )
    return staged


def _photo(job: Job, row: tables.Row, acquisitions: list[dict[str, Any]]) -> dict[str, Any]:
    picture = images.Picture(b'', (math.nan, math.nan), '')
    if row.photo:
        picture = images.read(job.root / row.photo, job.options.photo_side)
    lonlat = np.array(row.lonlat if row.located else picture.lonlat)
    if np.isnan(lonlat).any():
        raise InputError(f'no position: neither lon and lat nor EXIF GPS in {row.photo}')
    try:
        tiles.check_lonlat(lonlat, row.photo)
    except InputError as error:
        raise InputError(f'not a place on earth: {error}') from error
    for date in acquisitions:
        try:
            tiles.place_in_tile(lonlat, date['bounds'], date['crs'], date['id'])
        except InputError as error:
            box = ', '.join(f'{side:.9g}' for side in date['bounds'])
            reason = f'{str(error).rstrip(".")} (its box is {box} in {date["crs"]})'
            raise InputError(f'point outside its tile: {reason}') from error
    split = row.split or 'train'
    if job.options.draw:
        key = row.tile_key or cell_key(list(lonlat))
        split = draw_split(key, job.options.fractions, job.options.seed)
    return {
        'id': row.id,
        'photo': picture.jpeg,
        'lonlat': lonlat,
        'heading': row.heading,
        'date': row.date or picture.date,
        'licence': row.licence,
        'group': row.group,
        'tile_key': row.tile_key,
        'split': split,
        'labels': {},
    }


def _make_tile(job: Job, rows: list[tables.Row]) -> staging.Chunk:
    """The rows of one tile, with its dates unless no row is left."""
    chunk = staging.Chunk([], [], [])
    acquisitions, problem = [], ''
    try:
        good = [row for row in rows if not row.problem]
        acquisitions = _acquisitions(job, good[0]) if good else []
    except InputError as error:
        problem = str(error)
    for row in rows:
        try:
            if row.problem or problem:
                raise InputError(row.problem or problem)
            chunk.photos.append(_photo(job, row, acquisitions))
        except InputError as error:
            reason = str(error).rstrip('.')
            chunk.dropped.append({'row': row.row, 'id': row.id, 'reason': reason})
    if chunk.photos:
        chunk.acquisitions.extend(acquisitions)
    return chunk


def make(job: Job, index: int) -> staging.Chunk:
    """Chunk `index` of the plan; what cannot be used is in `dropped`, with the reason."""
    with pa.memory_map(str(job.plan)) as source:
        batch = pa.ipc.open_file(source).get_batch(index)
        rows = [tables.Row(**row) for row in batch.to_pylist()]
    by_tile = collections.defaultdict(list)
    for row in rows:
        by_tile[row.tile_key].append(row)
    parts = [_make_tile(job, rows) for rows in by_tile.values()]
    return staging.Chunk(*(sum(lists, []) for lists in zip(*parts, strict=True)))
