"""The stage `pack`: pairs -> the prepared data set `streetscapes`.

A tile is read once a date and cut into the chips that its photos lie on. Nothing is fetched, and
nothing may be missing: a file that is not there, or is another one than the ledger says, stops it.
"""

import collections
import dataclasses
import functools
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import rasterio
import rasterio.errors
from jaxtyping import UInt16

from gair_jax import sensors
from gair_jax.builders import build_report, prepared, staging
from gair_jax.builders.photos.chunks import draw_split
from gair_jax.builders.streetscapes import chips, pair, photos_files, plan_files, scenes_fetch
from gair_jax.builders.streetscapes.chips import Box
from gair_jax.builders.streetscapes.layouts import RELEASE, Tile
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.builders.streetscapes.settings import StreetscapesConfig, TilesConfig
from gair_jax.config import InputError

# A share of fewer cities than this could be none, so that they all go to train.
FEW = 10
NO_DATE = 'no date with data on its chip'
REMOVED = 'removed'


class Streetscapes(prepared.PreparedBuilder):
    """Street views, Sentinel-2 tiles of several dates and places."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every chunk needs to know; a chunk is a tile.

    Attributes:
      out: folder of the build.
      tiles: of the plan that have photos.
      settings: how they are cut.
      most_nodata: share of a chip without data at which a date is left out, 0..1.
      fractions: shares of cities in train, val and test; all 0: train alone.
      seed: of their draw.
      removed: ids of photos that are never packed.
    """

    out: pathlib.Path
    tiles: tuple[Tile, ...]
    settings: TilesConfig
    most_nodata: float
    fractions: tuple[float, float, float]
    seed: int
    removed: frozenset[str]


class _Dated(NamedTuple):
    """A date of a tile: its row of `pair.SCENES`, and its pixels [10, h, w]."""

    row: dict[str, Any]
    values: UInt16[np.ndarray, 'c h w']


def pack(
    settings: StreetscapesConfig,
    out: pathlib.Path,
    *,
    data_dir: str | os.PathLike[str] = 'prepared',
    workers: int = 1,
) -> build_report.BuildReport:
    """Packs a build, goes on with a killed one, reuses a finished one.

    Args:
      settings: of the build.
      out: its folder, paired.
      data_dir: folder that holds prepared data sets.
      workers: processes; never changes the result.

    Raises:
      InputError: a setting cannot be, a file is missing or not what was fetched, or nothing can be
        written.
    """
    photos, scenes = pair.read(out, 'photos'), pair.read(out, 'scenes')
    job = _job(settings, out, photos)
    few = not any(job.fractions)
    data_dir = pathlib.Path(data_dir)
    metadata = prepared.prepare(
        Streetscapes,
        variant=settings.variant,
        data_dir=data_dir,
        fingerprint=_fingerprint(job, photos, scenes),
        content=_content(settings, photos),
        chunks=len(job.tiles),
        make=functools.partial(make, job),
        workers=workers,
        accept=functools.partial(_accept, expected=len(photos)),
    )
    notes = [f'Fewer than {FEW} cities: all are in train.'] if few else []
    return build_report.report(data_dir, Streetscapes.name, settings.variant, metadata, notes)


def make(job: Job, index: int) -> staging.Chunk:
    """Photos and acquisitions of one tile."""
    tile = job.tiles[index]
    rows = _rows(job.out, 'photos', tile)
    dates = [_Dated(row, _pixels(job.out, row, tile)) for row in _rows(job.out, 'scenes', tile)]
    found = staging.Chunk([], [], [])
    by_chip = itertools.groupby(
        sorted(rows, key=lambda row: (row['row'], row['column'], row['id'])),
        key=lambda row: (row['column'], row['row']),
    )
    for corner, members in by_chip:
        part = chips.box(corner, tile, job.settings)
        acquisitions = list(_acquisitions(dates, part, tile, job.most_nodata))
        found.acquisitions.extend(acquisitions)
        for row in members:
            reason = _reason(row, acquisitions, job.removed)
            if reason:
                found.dropped.append({'row': row['number'], 'id': row['id'], 'reason': reason})
            else:
                found.photos.append(_photo(job, row, tile, acquisitions[0]['tile_key']))
    return found


def _job(settings: StreetscapesConfig, out: pathlib.Path, photos: pd.DataFrame) -> Job:
    chips.check(settings.tiles)
    used = set(photos['tile'])
    tiles = tuple(tile for tile in plan_files.tiles(out).values() if tile.key in used)
    fractions = settings.fractions
    if len(fractions) != 3 or min(fractions) < 0 or not sum(fractions) > 0:
        raise InputError(f'fractions: expected three shares >= 0, found {fractions}.')
    return Job(
        out=out,
        tiles=tiles,
        settings=settings.tiles,
        most_nodata=settings.scenes.most_nodata,
        fractions=fractions if len({t.city or t.key for t in tiles}) >= FEW else (0.0, 0.0, 0.0),
        seed=settings.places.seed,
        removed=photos_files.removed_ids(settings.photos.removed),
    )


def _rows(out: pathlib.Path, name: str, tile: Tile) -> list[dict[str, Any]]:
    """Rows of a table of pairs on a tile: groups of rows of other tiles are passed over."""
    path = out / pair.FOLDER / f'{name}.parquet'
    return pa.parquet.read_table(path, filters=[('tile', '=', tile.key)]).to_pylist()


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


def _acquisitions(
    dates: list[_Dated], part: Box, tile: Tile, most_nodata: float
) -> Iterator[dict[str, Any]]:
    """The chip at each date that shows it."""
    contract = sensors.contract('sentinel2_10')
    rows = slice(part.row, part.row + part.height)
    columns = slice(part.column, part.column + part.width)
    for row, values in dates:
        bands = np.ascontiguousarray(np.moveaxis(values[:, rows, columns], 0, -1))
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


def _photo(job: Job, row: dict[str, Any], tile: Tile, tile_key: str) -> dict[str, Any]:
    # By the tile's city, not the photo's own: cities may share a tile, and no ground two splits.
    city = tile.city or tile.key
    split = draw_split(city, job.fractions, job.seed) if any(job.fractions) else 'train'
    return {
        'id': row['id'],
        'photo': _jpeg(job.out / row['file'], row['sha256']),
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


def _fingerprint(job: Job, photos: pd.DataFrame, scenes: pd.DataFrame) -> dict[str, Any]:
    """All that the records depend on."""
    tables = {
        name: hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
        for name, table in (('photos', photos), ('scenes', scenes))
    }
    settings = {
        key: value for key, value in dataclasses.asdict(job).items() if key not in ('out', 'tiles')
    }
    settings['removed'] = sorted(job.removed & _ids(photos))
    return {**settings, **tables, 'tiles': [tile.key for tile in job.tiles]}


def _ids(photos: pd.DataFrame) -> set[str]:
    """Keys of photos, and their ids at their services."""
    return {*photos['key'], *(key.partition(':')[2] for key in photos['key'])}


def _content(settings: StreetscapesConfig, photos: pd.DataFrame) -> prepared.Content:
    """Metadata: bands, pixels, and whose licences the photos are under."""
    licences = collections.Counter(photos['licence'])
    # In degrees, release tiles have pixels of 10 m from south to north alone.
    note = {'layout': settings.tiles.layout, 'square': settings.tiles.layout != RELEASE}
    metadata = {
        'bands': list(BANDS),
        'pixel_m': 10.0,
        'synthetic': False,
        'tasks': {},
        'licences': dict(sorted(licences.items())),
        'tiles': note,
    }
    return prepared.Content(labels={}, tile_labels=(), metadata=metadata)


def _accept(folder: pathlib.Path, *, expected: int) -> dict[str, Any]:
    """Refuses a staging that lost a photo: each is packed, or dropped with a reason."""
    packed = sum(1 for _ in staging.read(folder, 'photos', ('id',)))
    dropped = [row['reason'] for row in staging.read(folder, 'dropped', ('reason',))]
    if packed + len(dropped) != expected:
        raise InputError(
            f'{folder}: expected {expected} photos packed or dropped, found {packed} and '
            f'{len(dropped)}.'
        )
    if not packed:
        raise InputError(f'{folder}: no photo is left to pack: {dropped[0]}.')
    return {'failed': len(dropped), 'dropped': dict(collections.Counter(dropped))}
