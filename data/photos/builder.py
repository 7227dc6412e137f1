"""The import itself: table and files -> staged chunks -> prepared data set, and what failed."""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from typing import Any

import pyarrow as pa

from gair_jax import sensors
from gair_jax.builders import build_report, failed_rows, prepared, variants
from gair_jax.builders.photos import chunks, rasters, tables
from gair_jax.config import InputError

# A share of fewer tiles than this could be none, so that they all go to train.
FEW = 10
CHUNK_ROWS = 64


class Photos(prepared.PreparedBuilder):
    """Photos, tiles and places of anyone's own table."""


def _groups(rows: list[tables.Row]) -> list[list[tables.Row]]:
    """Rows in chunks of about `CHUNK_ROWS`, all rows of a tile in one."""
    by_tile = collections.defaultdict(list)
    for row in rows:
        by_tile[row.tile_key or f'row {row.row}'].append(row)
    groups: list[list[tables.Row]] = [[]]
    for members in by_tile.values():
        if len(groups[-1]) >= CHUNK_ROWS:
            groups.append([])
        groups[-1].extend(members)
    return groups


def _write_plan(path: pathlib.Path, groups: list[list[tables.Row]]) -> None:
    types: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    types |= {list[str]: pa.list_(pa.string()), list[float]: pa.list_(pa.float64())}
    schema = pa.schema(
        [(field.name, types[field.type]) for field in dataclasses.fields(tables.Row)]
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), 'wb') as sink, pa.ipc.new_file(sink, schema) as writer:
            for group in groups:
                records = [dataclasses.asdict(row) for row in group]
                writer.write_batch(pa.RecordBatch.from_pylist(records, schema=schema))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f'{path}: cannot be written: {error.strerror or error}') from error


def _digest(rows: list[tables.Row], root: pathlib.Path) -> str:
    """Of what the table says and of size and time of every file that it names."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(dataclasses.asdict(row)).encode())
    for file in sorted({file for row in rows for file in (row.photo, *row.tiles) if file}):
        stat = (root / file).stat()
        digest.update(f'{file} {stat.st_size} {stat.st_mtime_ns}'.encode())
    return digest.hexdigest()


def _few(rows: list[tables.Row]) -> bool:
    """Whether the usable rows stand on fewer than `FEW` tiles and, without tiles, cells."""
    places = {
        row.tile_key or (chunks.cell_key(row.lonlat) if row.located else row.photo)
        for row in rows
        if not row.problem
    }
    return len(places) < FEW


def _read_rows(
    source: pathlib.Path, columns: dict[str, str], files: tables.Files, limit: failed_rows.Limit
) -> tuple[list[tables.Row], bool]:
    """The judged rows of the table, and whether it says their splits.

    What cells alone show, as swapped coordinates, is refused before any file is opened.
    """
    cells = tables.read(source)
    named = tables.name_columns(source, list(cells[0]), columns)
    rows = tables.judge(cells, named, files)
    problems = [{'row': r.row, 'id': r.id, 'reason': r.problem} for r in rows if r.problem]
    failed_rows.refuse(problems, len(rows), limit)
    return rows, 'split' in named


def _check_options(
    variant: str,
    fractions: tuple[float, ...],
    shares: dict[str, float],
    sensor: str,
    band_order: str,
) -> None:
    variants.check_variant(variant)
    if len(fractions) != 3 or min(fractions) < 0 or not sum(fractions) > 0:
        raise InputError(f'fractions: expected three shares >= 0, found {fractions}.')
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f'{name}: expected a share from 0 to 1, found {share}.')
    if band_order not in ('', 'eurosat'):
        raise InputError(f'band_order: expected eurosat or nothing, found {band_order!r}.')
    if sensors.contract(sensor).unit != 'DN':
        raise InputError(f'sensor: expected a contract for tiles, found {sensor!r}.')


def _content(sensor: str) -> prepared.Content:
    bands = list(sensors.contract(sensor).bands)
    metadata = {'bands': bands, 'pixel_m': 10.0, 'synthetic': False, 'tasks': {}}
    return prepared.Content(labels={}, tile_labels=(), metadata=metadata)


def _notes(failed: int, few: bool, listed: pathlib.Path) -> list[str]:
    notes = [f'{failed} rows could not be used; {listed} says why.'] if failed else []
    if few:
        notes.append(f'Fewer than {FEW} tiles (or places without one): all are in train.')
    return notes


def build(
    table: str | os.PathLike,
    columns: dict[str, str],
    root: str | os.PathLike,
    *,
    basename: bool = False,
    data_dir: str | os.PathLike = 'prepared',
    variant: str = 'default',
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    max_failed: float = 0.2,
    max_nodata: float = 0.5,
    sensor: str = 'sentinel2_10',
    band_order: str = '',
    photo_side: int = 0,
    workers: int = 1,
) -> build_report.BuildReport:
    """Imports a table of photos, tiles and places as the data set `photos`.

    Rows that cannot be used are listed with the reason in `<data_dir>/photos/<variant>_report.csv`.
    A killed build goes on where it stopped; one that is there already is reused.

    Args:
      table: .csv or .parquet file.
      columns: field -> column; fields are `tables.FIELDS`, and a field that is not given is read
        from the column of its own name, if there is one. A `tile` cell may name several dates of
        one place with ; between them, and `tile_date` theirs.
      root: folder of the files that the table names.
      basename: find each file by its last name alone, anywhere under the root.
      data_dir: folder that holds prepared data sets.
      variant: name of this build.
      fractions: shares of tiles in train, val and test; no meaning where a split column is given.
      seed: of the draw.
      max_failed: largest share of rows that may fail, 0..1.
      max_nodata: largest share of pixels without data in a tile, 0..1.
      sensor: contract whose bands are taken, by band description or known order.
      band_order: 'eurosat' for 13 bands with B8A last; empty: by number of bands.
      photo_side: larger photos are reduced to this shorter side, pixels; 0 keeps them.
      workers: processes; never changes the result.

    Raises:
      InputError: table, columns, root or an option cannot be used, more rows fail than may, or
        nothing can be written.
    """
    shares = {'max_failed': max_failed, 'max_nodata': max_nodata}
    _check_options(variant, fractions, shares, sensor, band_order)
    source, root, data_dir = pathlib.Path(table), pathlib.Path(root), pathlib.Path(data_dir)
    limit = failed_rows.Limit(source, max_failed, data_dir / Photos.name / f'{variant}_report.csv')
    rows, split_given = _read_rows(source, columns, tables.Files(root, basename), limit)
    few = not split_given and _few(rows)
    options = chunks.Options(
        reading=rasters.Reading(sensor=sensor, band_order=band_order, max_nodata=max_nodata),
        fractions=fractions,
        draw=not split_given and not few,
        seed=seed,
        photo_side=photo_side,
    )
    groups = _groups(rows)
    plan = variants.staging_dir(data_dir, Photos.name, variant) / 'plan.arrow'
    if not variants.built(data_dir, Photos.name, variant):
        _write_plan(plan, groups)
    job = chunks.Job(plan=plan, root=root, options=options)
    metadata = prepared.prepare(
        Photos,
        variant=variant,
        data_dir=data_dir,
        fingerprint={**dataclasses.asdict(options), 'rows': _digest(rows, root)},
        content=_content(sensor),
        chunks=len(groups),
        make=functools.partial(chunks.make, job),
        workers=workers,
        accept=functools.partial(failed_rows.accept, total=len(rows), limit=limit),
    )
    notes = _notes(metadata['failed'], few, limit.report)
    return build_report.report(data_dir, Photos.name, variant, metadata, notes)
