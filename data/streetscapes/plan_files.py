"""The files of a plan, under DIR/plan.

photos.parquet    photos planned and, marked `reserve`, those that replace what is gone
tiles.parquet     the tiles that planned photos lie on
dropped.parquet   every other row of the table, with its reason
plan.json         settings, digest of the table (or raster) and counts; written last: with it the
                  plan is whole
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from gair_jax.builders.streetscapes import tables
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError

FOLDER, WHOLE = 'plan', 'plan.json'
# As `tables.read` names them; `tile` is its key, `order` the place in the order of taking. Of drawn
# places `block` is one a tile: no ground is in two.
PHOTOS = pa.schema(
    {
        'key': pa.string(),
        'source': pa.string(),
        'orig_id': pa.string(),
        'uuid': pa.string(),
        'lon': pa.float64(),
        'lat': pa.float64(),
        'heading': pa.float64(),
        'datetime': pa.string(),
        'city': pa.string(),
        'city_id': pa.string(),
        'sequence': pa.string(),
        'panorama': pa.bool_(),
        'width': pa.int64(),
        'row': pa.int64(),
        'tile': pa.string(),
        'order': pa.uint64(),
        'reserve': pa.bool_(),
        'settlement': pa.string(),
        'block': pa.string(),
    }
)
TILES = pa.schema(
    {
        'key': pa.string(),
        'crs': pa.string(),
        'transform': pa.list_(pa.float64()),
        'width': pa.int64(),
        'height': pa.int64(),
        'city': pa.string(),
    }
)
DROPPED = pa.schema({'row': pa.int64(), 'key': pa.string(), 'reason': pa.string()})
_CHUNK = 1 << 22  # bytes of a file that are hashed at a time


def photos(out: pathlib.Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """The photos of a plan (`PHOTOS`), or some of their columns, by city in the order of taking.

    Raises:
      InputError: there is no whole plan.
    """
    return _read(out, 'photos', columns).to_pandas()


def tiles(out: pathlib.Path) -> dict[str, Tile]:
    """The tiles of a plan by key, in order of key; raises as `photos` does."""
    rows = _read(out, 'tiles').to_pylist()
    found = (Tile(**{**row, 'transform': tuple(row['transform'])}) for row in rows)
    return {tile.key: tile for tile in found}


def dropped(out: pathlib.Path) -> pd.DataFrame:
    """Rows that are not planned (`DROPPED`), in order of row; raises as `photos` does."""
    return _read(out, 'dropped').to_pandas()


def numbers(out: pathlib.Path) -> dict[str, int]:
    """The counts of a plan; raises as `photos` does."""
    return _whole(out)['counts']


def made_by(out: pathlib.Path) -> dict[str, Any]:
    """The stamp of a plan; raises as `photos` does."""
    return _whole(out)['stamp']


def stamp(settings: StreetscapesConfig) -> dict[str, Any]:
    """What a plan depends on: settings by name, and digests of the table's or raster's files.

    Raises:
      InputError: one of the files is missing.
    """
    places = dataclasses.asdict(settings.places)
    files = tables.files(settings.places)
    # By what is in them, wherever they lie.
    if settings.places.raster:
        places |= {'raster': _digest(files[:1]), 'strata': [_digest([file]) for file in files[1:]]}
    else:
        places['table'] = _digest(files)
        for name in ('raster', 'strata', 'count', 'blocks'):
            del places[name]
    return {
        **{f'places.{name}': value for name, value in places.items()},
        'tiles.layout': settings.tiles.layout,
        'tiles.margin': settings.tiles.margin,
    }


def counts(out: pathlib.Path, wanted: dict[str, Any]) -> dict[str, int]:
    """Counts of the plan that is there; empty if there is no whole one.

    Raises:
      InputError: it was made by another `stamp` than `wanted`; names what differs.
    """
    if not (out / FOLDER / WHOLE).exists():
        return {}
    found = _whole(out)
    made, counted = found['stamp'], found['counts']
    # Through JSON both: it has no tuples.
    wanted = json.loads(json.dumps(wanted))
    for name in [*wanted, *made]:
        if made.get(name) != wanted.get(name):
            raise InputError(
                f'{out}: was planned with {name} {_shown(made, name)}, and now it is '
                f'{_shown(wanted, name)}: plan into another folder.'
            )
    return counted


def write(
    out: pathlib.Path,
    rows: dict[str, pd.DataFrame],
    by: dict[str, Any],
    counted: dict[str, int],
) -> None:
    """Writes a plan, each file by a temporary name, the one that says that it is whole last.

    Args:
      out: folder of the build.
      rows: `photos`, `tiles` and `dropped`, with the columns of their schemas.
      by: its `stamp`.
      counted: its counts.

    Raises:
      InputError: nothing can be written there.
    """
    folder = out / FOLDER
    said = json.dumps({'stamp': by, 'counts': counted}, indent=1) + '\n'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, schema in (('photos', PHOTOS), ('tiles', TILES), ('dropped', DROPPED)):
            table = pa.Table.from_pandas(rows[name], schema, preserve_index=False)
            table = table.replace_schema_metadata()
            fill = functools.partial(pa.parquet.write_table, table, compression='zstd')
            _place(folder / f'{name}.parquet', fill)
        _place(folder / WHOLE, lambda part: part.write_text(said, encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{folder}: cannot be written: {error.strerror}.') from error


def _place(path: pathlib.Path, fill: Callable[[pathlib.Path], object]) -> None:
    # Workers that start together all plan, and to the same bytes: each has a part of its own.
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    fill(part)
    os.replace(part, path)


def _whole(out: pathlib.Path) -> dict[str, Any]:
    """What says that a plan is whole."""
    path = _there(out)
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        return {name: found[name] for name in ('stamp', 'counts')}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: cannot be read as a plan: {error!r}.') from error


def _there(out: pathlib.Path) -> pathlib.Path:
    path = out / FOLDER / WHOLE
    if not path.exists():
        raise InputError(f'{out}: expected a plan, found none: the stage plan comes first.')
    return path


def _read(out: pathlib.Path, name: str, columns: Sequence[str] = ()) -> pa.Table:
    _there(out)
    path = out / FOLDER / f'{name}.parquet'
    try:
        return pa.parquet.read_table(path, columns=list(columns) or None)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f'{path}: cannot be read: {error}.') from error


def _digest(paths: list[pathlib.Path]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            with path.open('rb') as file:
                while chunk := file.read(_CHUNK):
                    found.update(chunk)
        except OSError as error:
            raise InputError(f'{path}: no such file.') from error
    return found.hexdigest()


def _shown(by: dict[str, Any], name: str) -> str:
    if name in ('places.table', 'places.raster') and by.get(name):
        return f'of digest {by[name]}'
    return repr(by[name]) if name in by else 'unknown'
