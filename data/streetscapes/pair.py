"""The stage `pair`: each photo that was fetched gets its tile, its chip and its dates, or a reason.

pair/photos.parquet    a row a packed photo; of a panorama one for each view; or a drawn place
pair/dropped.parquet   photos that were fetched and cannot be used
pair/scenes.parquet    the dates of each tile that are there

A photo lies on the tile that the plan gave it, by containment and in float64. What is still to be
fetched, or failed and may be had by another run, is refused: a later pack would be another set.
Places without photos come straight from the plan: nothing of them is fetched but their tiles.
Photos are sorted by tile, so that a tile's rows are read without the others.
"""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from gair_jax.builders.streetscapes import chips, keys, plan_files, scenes_fetch, settled
from gair_jax.builders.streetscapes import photos_files as files
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Entry
from gair_jax.builders.streetscapes.settings import StreetscapesConfig, TilesConfig
from gair_jax.config import InputError

FOLDER = 'pair'
# What is needed of the plan.
PLANNED = (
    *('key', 'source', 'reserve', 'datetime'),
    *('lon', 'lat', 'city_id', 'tile', 'block'),
)
# The notice that the licence of Sentinel data asks for, of those changed to other formats.
COPERNICUS = 'contains modified Copernicus Sentinel data'
NO_SCENE = 'no scene of its tile'
OUTSIDE = 'outside its tile'
# What the ledger says of a view, and what the plan says of where its photo lies.
_OF_VIEW = {
    'id': pa.string(),
    'key': pa.string(),
    'file': pa.string(),
    'sha256': pa.string(),
    'heading': pa.float64(),
    'date': pa.string(),
    'licence': pa.string(),
    'creator': pa.string(),
    'page': pa.string(),
}
_OF_PLACE = {
    'lon': pa.float64(),
    'lat': pa.float64(),
    'city_id': pa.string(),
    'tile': pa.string(),
    'block': pa.string(),
    'column': pa.int64(),
    'row': pa.int64(),
}
PHOTOS = pa.schema({'number': pa.int64(), **_OF_VIEW, **_OF_PLACE})
AT_ONCE = 65536  # views that are held as objects before they are a table
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
    tiles, planned = plan_files.tiles(out), plan_files.photos(out, PLANNED)
    settled.check(out, tiles, planned, allow_failed=allow_failed)
    scenes = _scenes(out, allow_failed)
    planned = _placed(planned, tiles, set(scenes['tile'].to_pylist()), settings.tiles)
    views = pa.concat_tables([_views(out, allow_failed), _no_views(planned)])
    # The plan's row of each view, without a join: it would hold both tables again.
    at = pc.index_in(views['key'], pa.array(planned['key']))
    reasons = pa.Table.from_pandas(planned[['reason']], preserve_index=False).take(at)['reason']
    good = pc.equal(reasons, '')
    dropped = pa.table({'key': views['key'], 'reason': reasons}).filter(pc.invert(good))
    rows = _rows(views.filter(good), planned, at.filter(good))
    if not len(rows):
        raise InputError(f'{out}: no photo or place is there that lies on a tile with a scene.')
    dropped = dropped.group_by(['key', 'reason']).aggregate([]).sort_by('key')
    _write(out, {'photos': rows, 'dropped': dropped.select(DROPPED.names), 'scenes': scenes})
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


def _scenes(out: pathlib.Path, allow_failed: bool) -> pa.Table:
    """The dates of each tile that are there (`SCENES`), by tile and date."""
    names = ('tile', 'date', 'file', 'cloud')
    rows = [
        {**{name: entry.record[name] for name in names}, 'sha256': entry.sha256}
        for entry in settled.entries(out, scenes_fetch.STAGE, allow_failed)
        if entry.state == settled.KEPT
    ]
    return pa.Table.from_pylist(rows, SCENES).sort_by(
        [('tile', 'ascending'), ('date', 'ascending')]
    )


def _placed(
    planned: pd.DataFrame, tiles: dict[str, Tile], dated: set[str], settings: TilesConfig
) -> pd.DataFrame:
    """The plan with `column` and `row` of each photo's chip, or the `reason` why it has none."""
    corners = np.zeros((len(planned), 2), np.int64)
    reasons = np.full(len(planned), NO_SCENE, object)
    lonlat = planned[['lon', 'lat']].to_numpy()
    for key, at in planned.groupby('tile').indices.items():
        if key not in dated:
            continue
        tile = tiles[str(key)]
        pixel_xy = tile.pixel_xy(lonlat[at])
        inside = ((pixel_xy >= 0) & (pixel_xy <= [tile.width, tile.height])).all(axis=1)
        reasons[at] = np.where(inside, '', OUTSIDE)
        corners[at] = chips.corners(pixel_xy, tile, settings)
    return planned.assign(column=corners[:, 0], row=corners[:, 1], reason=reasons)


def _views(out: pathlib.Path, allow_failed: bool) -> pa.Table:
    """What the ledgers say of each file of each photo that was fetched (`_OF_VIEW`)."""
    schema = pa.schema(_OF_VIEW)
    tables, rows = [schema.empty_table()], list[dict[str, Any]]()
    for entry in settled.entries(out, files.STAGE, allow_failed):
        if entry.state == settled.KEPT:
            rows.extend(_views_of(entry))
        if len(rows) >= AT_ONCE:
            tables.append(pa.Table.from_pylist(rows, schema))
            rows.clear()
    return pa.concat_tables([*tables, pa.Table.from_pylist(rows, schema)])


def _views_of(entry: Entry) -> Iterator[dict[str, Any]]:
    record = entry.record
    for number, view in enumerate(record['files']):
        heading = view['heading']
        yield {
            'id': entry.key if len(record['files']) == 1 else f'{entry.key}/{number}',
            'key': entry.key,
            'file': view['file'],
            'sha256': view['sha256'],
            'heading': float('nan') if heading is None else heading,
            'date': record['captured_at'],
            **{name: record[name] for name in ('licence', 'creator', 'page')},
        }


def _no_views(planned: pd.DataFrame) -> pa.Table:
    """The same of each place without a photo: the licence is that of its tile."""
    key = planned['key'][planned['source'] == keys.PLACE].to_numpy()
    columns: dict[str, Any] = {name: np.full(len(key), '', object) for name in _OF_VIEW}
    columns |= {'id': key, 'key': key, 'licence': np.full(len(key), COPERNICUS, object)}
    columns |= {'heading': np.full(len(key), np.nan)}
    return pa.table({name: pa.array(columns[name], kind) for name, kind in _OF_VIEW.items()})


def _rows(views: pa.Table, planned: pd.DataFrame, at: pa.Array) -> pa.Table:
    """`PHOTOS`: views with where their photos lie, by tile and id; the plan's date if none better.

    Args:
      views: as of `_views`.
      planned: as of `_placed`.
      at: of each view, its row in `planned`.
    """
    place = pa.Table.from_pandas(planned[[*_OF_PLACE, 'datetime']], preserve_index=False).take(at)
    known = pc.not_equal(views['date'], '')
    date = pc.if_else(known, views['date'], place['datetime'])
    columns = {name: views[name] for name in _OF_VIEW} | {'date': date}
    columns |= {name: place[name] for name in _OF_PLACE}
    rows = pa.table(columns).sort_by([('tile', 'ascending'), ('id', 'ascending')])
    numbers = pa.array(range(1, len(rows) + 1), pa.int64())
    return rows.add_column(0, 'number', numbers).cast(PHOTOS)


def _counted(rows: pa.Table, **more: int) -> dict[str, int]:
    shot = rows.filter(pc.not_equal(rows['file'], ''))
    places = len(rows) - len(shot)
    counts = {'photos': pc.count_distinct(shot['key']).as_py(), 'views': len(shot), **more}
    return {'places': places, **counts} if places else counts


def _write(out: pathlib.Path, tables: dict[str, pa.Table]) -> None:
    """Each table by a temporary name; InputError if one cannot be written."""
    try:
        for name, table in tables.items():
            path = out / FOLDER / f'{name}.parquet'
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.name}.part')
            table = table.replace_schema_metadata()
            pa.parquet.write_table(table, part, row_group_size=ROW_GROUP)
            os.replace(part, path)
    except OSError as error:
        raise InputError(f'{out / FOLDER}: cannot be written: {error.strerror}.') from error
