"""The stage `pair`: each photo that was fetched gets its tile, its chip and its dates, or a reason.

pair/photos.parquet    a row a packed photo; of a panorama one for each view
pair/dropped.parquet   photos that were fetched and cannot be used
pair/scenes.parquet    the dates of each tile that are there

A photo lies on the tile that the plan gave it, by containment and in float64. What is still to be
fetched, or failed and may be had by another run, is refused: a later pack would be another set.
Photos are sorted by tile, so that a tile's rows are read without the others.
"""

import collections
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from gair_jax.builders.streetscapes import chips, ledger, plan_files, scenes_fetch
from gair_jax.builders.streetscapes import photos_files as files
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Entry
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError

FOLDER = 'pair'
PLANNED = ('key', 'lon', 'lat', 'datetime', 'city_id', 'tile')  # what is needed of the plan
NO_SCENE = 'no scene of its tile'
OUTSIDE = 'outside its tile'
PHOTOS = pa.schema(
    {
        'number': pa.int64(),
        'id': pa.string(),
        'key': pa.string(),
        'file': pa.string(),
        'sha256': pa.string(),
        'lon': pa.float64(),
        'lat': pa.float64(),
        'heading': pa.float64(),
        'date': pa.string(),
        'licence': pa.string(),
        'creator': pa.string(),
        'page': pa.string(),
        'city_id': pa.string(),
        'tile': pa.string(),
        'column': pa.int64(),
        'row': pa.int64(),
    }
)
ROW_GROUP = 4096  # rows of a table that are read together
DROPPED = pa.schema({'key': pa.string(), 'reason': pa.string()})
SCENES = pa.schema(
    {
        'tile': pa.string(),
        'date': pa.string(),
        'file': pa.string(),
        'sha256': pa.string(),
        'cloud': pa.float64(),
    }
)


def pair(
    settings: StreetscapesConfig, out: pathlib.Path, *, allow_failed: bool = False
) -> dict[str, int]:
    """Pairs what was fetched, anew at each call.

    Args:
      settings: its `tiles` count here.
      out: folder of a build whose photos and scenes are settled.
      allow_failed: leave out what failed and may still be had.

    Returns:
      Numbers of `photos` that are packed, of `views` (their files) and of `scenes`; of photos
      `dropped` here.

    Raises:
      InputError: a setting cannot be, or something is still to be fetched or failed.
    """
    chips.check(settings.tiles)
    tiles, scenes = plan_files.tiles(out), _scenes(out, allow_failed)
    dated = set(scenes['tile'])
    rows: list[dict[str, Any]] = []
    dropped: list[dict[str, str]] = []
    for entry, planned in _kept(out, allow_failed):
        tile = tiles[planned['tile']]
        reason = _reason(planned, tile, dated)
        if reason:
            dropped.append({'key': entry.key, 'reason': reason})
        else:
            rows.extend(_views(entry, planned, tile, settings))
    if not rows:
        raise InputError(f'{out}: no photo was fetched that lies on a tile with a scene.')
    rows.sort(key=lambda row: (row['tile'], row['id']))
    rows = [{'number': number, **row} for number, row in enumerate(rows, 1)]
    _write(out, {'photos': rows, 'dropped': dropped, 'scenes': scenes.to_dict('records')})
    keys = {row['key'] for row in rows}
    return {
        'photos': len(keys), 'views': len(rows), 'scenes': len(scenes), 'dropped': len(dropped),
    }  # fmt: skip


def read(out: pathlib.Path, name: str) -> pd.DataFrame:
    """A table of the stage; InputError where there is none."""
    path = out / FOLDER / f'{name}.parquet'
    if not path.exists():
        raise InputError(f'{out}: expected pairs, found none: the stage pair comes first.')
    return pa.parquet.read_table(path).to_pandas()


def _scenes(out: pathlib.Path, allow_failed: bool) -> pd.DataFrame:
    """The dates of each tile that are there (`SCENES`), by tile and date."""
    entries = _settled(out, scenes_fetch.STAGE, allow_failed)
    kept = (entry for entry in entries if entry.state == 'kept')
    rows = [
        {**{name: entry.record[name] for name in ('tile', 'date', 'file', 'cloud')},
         'sha256': entry.sha256}
        for entry in kept
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=SCENES.names)
    return table.sort_values(['tile', 'date'], ignore_index=True)


def _kept(out: pathlib.Path, allow_failed: bool) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """What the ledger and the plan say of each photo that is there, by key."""
    rows = plan_files.photos(out)[list(PLANNED)]
    planned = dict(zip(rows['key'], rows.itertuples(index=False), strict=True))
    for entry in _settled(out, files.STAGE, allow_failed):
        if entry.state == 'kept':
            yield entry, planned[entry.key]._asdict()


def _settled(out: pathlib.Path, stage: str, allow_failed: bool) -> Iterator[Entry]:
    """Entries of all workers; InputError where one is still to be done or, unless allowed, failed.

    They are read twice, not held: each has a record of its origin.
    """
    paths = sorted((out / 'ledgers').glob(f'{stage}-*.sqlite'))
    if not paths:
        raise InputError(f'{out}: the stage {stage} has not run.')
    states, first = collections.Counter[str](), dict[str, str]()
    for entry in ledger.merged(paths):
        states[entry.state] += 1
        first.setdefault(entry.state, entry.key)
    for state, words in (
        ('todo', 'are still to be done'),
        ('failed', 'have failed and may be had later'),
    ):
        if states[state] and not (state == 'failed' and allow_failed):
            raise InputError(
                f'{out}: {stage}: {states[state]} of {states.total()} {words}, as {first[state]}.'
            )
    return ledger.merged(paths)


def _reason(planned: dict[str, Any], tile: Tile, dated: set[str]) -> str:
    """Why a photo cannot be paired, '' if it can."""
    if tile.key not in dated:
        return NO_SCENE
    column, row = tile.pixel_xy(_lonlat(planned))[0]
    inside = 0 <= column <= tile.width and 0 <= row <= tile.height
    return '' if inside else OUTSIDE


def _views(
    entry: Entry, planned: dict[str, Any], tile: Tile, settings: StreetscapesConfig
) -> Iterator[dict[str, Any]]:
    """A row of `PHOTOS` for each file of a photo."""
    pixel_xy = tile.pixel_xy(_lonlat(planned))
    column, row = chips.corners(pixel_xy, tile, settings.tiles)[0].tolist()
    record = entry.record
    for number, view in enumerate(record['files']):
        heading = view['heading']
        yield {
            'id': entry.key if len(record['files']) == 1 else f'{entry.key}/{number}',
            'key': entry.key,
            'file': view['file'],
            'sha256': view['sha256'],
            'lon': planned['lon'],
            'lat': planned['lat'],
            'heading': float('nan') if heading is None else heading,
            'date': record['captured_at'] or planned['datetime'],
            **{name: record[name] for name in ('licence', 'creator', 'page')},
            'city_id': planned['city_id'],
            'tile': tile.key,
            'column': column,
            'row': row,
        }


def _lonlat(planned: dict[str, Any]) -> np.ndarray:
    return np.array([[planned['lon'], planned['lat']]])


def _write(out: pathlib.Path, tables: Mapping[str, Sequence[Mapping[Any, Any]]]) -> None:
    """Each table by a temporary name; InputError if one cannot be written."""
    schemas = {'photos': PHOTOS, 'dropped': DROPPED, 'scenes': SCENES}
    try:
        for name, rows in tables.items():
            path = out / FOLDER / f'{name}.parquet'
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.name}.part')
            table = pa.Table.from_pylist(rows, schemas[name])
            pa.parquet.write_table(table, part, row_group_size=ROW_GROUP)
            os.replace(part, path)
    except OSError as error:
        raise InputError(f'{out / FOLDER}: cannot be written: {error.strerror}.') from error
