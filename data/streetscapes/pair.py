"""The stage `pair`: each photo that was fetched gets its tile, its chip and its dates, or a reason.

pair/photos.parquet    a row a packed photo; of a panorama one for each view; or a drawn place
pair/dropped.parquet   photos that were fetched and cannot be used
pair/scenes.parquet    the dates of each tile that are there

A photo lies on the tile that the plan gave it, by containment and in float64. What is still to be
fetched, or failed and may be had by another run, is refused: a later pack would be another set.
Places without photos come straight from the plan: nothing of them is fetched but their tiles.
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

from gair_jax.builders.streetscapes import chips, keys, ledger, plan_files, scenes_fetch
from gair_jax.builders.streetscapes import photos_files as files
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Entry
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError

FOLDER = 'pair'
# What is needed of the plan.
PLANNED = ('key', 'source', 'lon', 'lat', 'datetime', 'city_id', 'tile', 'block')
# The notice that the licence of Sentinel data asks for, of those changed to other formats.
COPERNICUS = 'contains modified Copernicus Sentinel data'
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
        'block': pa.string(),
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
      `dropped` here; and, if there are any, of `places` without photos.

    Raises:
      InputError: a setting cannot be, or something is still to be fetched or failed.
    """
    chips.check(settings.tiles)
    tiles, scenes = plan_files.tiles(out), _scenes(out, allow_failed)
    dated = set(scenes['tile'])
    rows: list[dict[str, Any]] = []
    dropped: list[dict[str, str]] = []
    for planned, views in _there(out, allow_failed):
        tile = tiles[planned['tile']]
        reason = _reason(planned, tile, dated)
        if reason:
            dropped.append({'key': planned['key'], 'reason': reason})
        else:
            where = _where(planned, tile, settings)
            rows.extend({**view, **where} for view in views)
    if not rows:
        raise InputError(f'{out}: no photo or place is there that lies on a tile with a scene.')
    rows.sort(key=lambda row: (row['tile'], row['id']))
    rows = [{'number': number, **row} for number, row in enumerate(rows, 1)]
    _write(out, {'photos': rows, 'dropped': dropped, 'scenes': scenes.to_dict('records')})
    return _counted(rows, scenes=len(scenes), dropped=len(dropped))


def read(out: pathlib.Path, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of the stage, or some of its columns; InputError where there is none."""
    path = path_of(out, name)
    return pa.parquet.read_table(path, columns=list(columns) or None).to_pandas()


def path_of(out: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a table of the stage; InputError where there is none."""
    path = out / FOLDER / f'{name}.parquet'
    if not path.exists():
        raise InputError(f'{out}: expected pairs, found none: the stage pair comes first.')
    return path


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


def _counted(rows: list[dict[str, Any]], **more: int) -> dict[str, int]:
    photos = [row['key'] for row in rows if row['file']]
    places = len(rows) - len(photos)
    counts = {'photos': len(set(photos)), 'views': len(photos), **more}
    return {'places': places, **counts} if places else counts


def _there(
    out: pathlib.Path, allow_failed: bool
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """What the plan says of each photo that was fetched and of each place, and its views."""
    rows = plan_files.photos(out)[list(PLANNED)]
    planned = dict(zip(rows['key'], rows.itertuples(index=False), strict=True))
    for entry in _settled(out, files.STAGE, allow_failed):
        if entry.state == 'kept':
            of = planned[entry.key]._asdict()
            yield of, list(_views(entry, of))
    for row in planned.values():
        if row.source == keys.PLACE:
            yield row._asdict(), [_no_view(row.key)]


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


def _views(entry: Entry, planned: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """For each file of a photo, what a row of `PHOTOS` says of it."""
    record = entry.record
    for number, view in enumerate(record['files']):
        heading = view['heading']
        yield {
            'id': entry.key if len(record['files']) == 1 else f'{entry.key}/{number}',
            'key': entry.key,
            'file': view['file'],
            'sha256': view['sha256'],
            'heading': float('nan') if heading is None else heading,
            'date': record['captured_at'] or planned['datetime'],
            **{name: record[name] for name in ('licence', 'creator', 'page')},
        }


def _no_view(key: str) -> dict[str, Any]:
    """What a row says of a place: the licence is that of its tile."""
    texts = dict.fromkeys(('file', 'sha256', 'date', 'creator', 'page'), '')
    return {**texts, 'id': key, 'key': key, 'heading': float('nan'), 'licence': COPERNICUS}


def _where(planned: dict[str, Any], tile: Tile, settings: StreetscapesConfig) -> dict[str, Any]:
    """What a row of `PHOTOS` says of where a photo or place lies."""
    pixel_xy = tile.pixel_xy(_lonlat(planned))
    column, row = chips.corners(pixel_xy, tile, settings.tiles)[0].tolist()
    of_plan = {name: planned[name] for name in ('lon', 'lat', 'city_id', 'block')}
    return {**of_plan, 'tile': tile.key, 'column': column, 'row': row}


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
