"""Tables of photos, tiles and places, read as a stream: memory does not grow with their length.

A CSV is read twice: once for the types of its columns, which hold for every row of it (a column is
whole numbers, numbers or text), and once for its rows. Parquet is read page by page. In GeoParquet
the point of a row may stand for lon and lat, in any CRS.
"""

import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pyproj
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.serve import geoparquet

SUFFIXES = ('.csv', '.parquet', '.geoparquet')
_WHOLE = r'^-?(0|[1-9][0-9]{0,17})$'
# What a reader of numbers would change, as the zeros of 007 and the last digits of long ids.
_CHANGED = r'^-?(0[0-9]|[0-9]{16})[0-9]*$'
_PAGES = 1 << 20  # bytes of a CSV, or of a Parquet column, held at a time


class PlaceTable(NamedTuple):
    """An open table.

    path: of the file.
    schema: of its rows, without metadata.
    rows: how many it has.
    geometry: metadata of each geometry column by name, as GeoParquet has it; {} without any.
    primary: the geometry column that says where a row is; '' without one.
    """

    path: pathlib.Path
    schema: pa.Schema
    rows: int
    geometry: Mapping[str, Any]
    primary: str

    def batches(self, rows: int) -> Iterator[pa.Table]:
        """The rows in order, `rows` at a time, the last of them fewer.

        Raises:
          InputError: the file is damaged.
        """
        is_csv = _is_csv(self.path)
        stream = _typed(self) if is_csv else _parquet_batches(self.path, rows)
        try:
            yield from _cut(stream, rows)
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise _unreadable(self.path, error) from error


def open_table(path: str | os.PathLike[str]) -> PlaceTable:
    """Opens a .csv, .parquet or .geoparquet table.

    Raises:
      InputError: no such file, no such table, a column that is there twice, or no row.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f'{path}: expected a table named *{", *".join(SUFFIXES)}.')
    if not path.is_file():
        raise InputError(f'{path}: no such table.')
    try:
        table = _open_csv(path) if _is_csv(path) else _open_parquet(path)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    _refuse_twice(path, table.schema.names)
    if not table.rows:
        raise InputError(f'{path}: the table has no rows.')
    return table


def points(table: PlaceTable, batch: pa.Table) -> Float[np.ndarray, 'n 2']:
    """Places of the rows by the primary geometry column: degrees, WGS84, longitude first.

    nan where a row has no geometry; inf where it is no point, or its CRS has no such point.

    Raises:
      InputError: the CRS is unknown.
    """
    about = table.geometry[table.primary]
    column = batch[table.primary]
    found = np.array([_xy(value) for value in column.to_pylist()]).reshape(-1, 2)
    to_wgs84 = pyproj.Transformer.from_crs(_crs(table, about), 'OGC:CRS84', always_xy=True)
    known = np.isfinite(found).all(axis=-1)
    found[known] = np.stack(to_wgs84.transform(*found[known].T), axis=-1)
    return found


def _xy(value: Any) -> tuple[float, float]:
    """A point as GeoParquet encodes it: WKB, or a struct of x and y."""
    try:
        if isinstance(value, bytes):
            return geoparquet.read_point(value)
        return (value['x'], value['y']) if value else (math.nan, math.nan)
    except (InputError, KeyError, TypeError):
        return math.inf, math.inf


def _crs(table: PlaceTable, about: Mapping[str, Any]) -> pyproj.CRS:
    where = f'{table.path}: geometry column {table.primary!r}'
    if 'crs' in about and about['crs'] is None:
        raise InputError(f'{where}: expected a CRS, found none; map lon and lat with --columns.')
    try:
        return pyproj.CRS.from_user_input(about.get('crs', 'OGC:CRS84'))
    except pyproj.exceptions.CRSError as error:
        raise InputError(f'{where}: its CRS is unknown: {error}.') from error


def _is_csv(path: pathlib.Path) -> bool:
    return path.suffix.lower() == '.csv'


def _refuse_twice(path: pathlib.Path, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f'{path}: expected each column once, found {twice[0]!r} twice.')


def _open_csv(path: pathlib.Path) -> PlaceTable:
    with path.open('rb') as file:
        if not file.read(1):
            raise InputError(f'{path}: the table has no rows.')
    names, rows = _csv_names(path), 0
    _refuse_twice(path, names)
    fitting = {name: [pa.int64(), pa.float64(), pa.string()] for name in names}
    for batch in _csv_batches(path):
        rows += batch.num_rows
        for name, kinds in fitting.items():
            fitting[name] = [kind for kind in kinds if _fits(kind, batch[name])]
    schema = pa.schema([(name, fitting[name][0]) for name in names])
    return PlaceTable(path, schema, rows, {}, '')


def _fits(kind: pa.DataType, cells: pa.Array) -> bool:
    """Whether a type holds cells of text, null among them, without changing them."""
    if kind == pa.int64():
        return pc.all(pc.match_substring_regex(cells, _WHOLE)).as_py() is not False
    if kind == pa.string():
        return True
    try:
        cells.cast(kind)
    except pa.ArrowInvalid:
        return False
    return not pc.any(pc.match_substring_regex(cells, _CHANGED)).as_py()


def _csv_names(path: pathlib.Path) -> list[str]:
    return _csv_reader(path, {}).schema.names


def _csv_batches(path: pathlib.Path) -> Iterator[pa.RecordBatch]:
    """Rows as text; null for an empty cell."""
    yield from _csv_reader(path, dict.fromkeys(_csv_names(path), pa.string()))


def _typed(table: PlaceTable) -> Iterator[pa.Table]:
    for batch in _csv_batches(table.path):
        yield pa.Table.from_batches([batch]).cast(table.schema)


def _csv_reader(
    path: pathlib.Path, types: dict[str, pa.DataType]
) -> pyarrow.csv.CSVStreamingReader:
    return pyarrow.csv.open_csv(
        path,
        # One thread, so that errors name the row.
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_PAGES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, null_values=['']
        ),
    )


def _open_parquet(path: pathlib.Path) -> PlaceTable:
    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    about = json.loads((schema.metadata or {}).get(b'geo', b'{}'))
    geometry = {k: v for k, v in about.get('columns', {}).items() if k in schema.names}
    primary = about.get('primary_column', '')
    schema = schema.remove_metadata()
    return PlaceTable(path, schema, rows, geometry, primary if primary in geometry else '')


def _parquet_batches(path: pathlib.Path, rows: int) -> Iterator[pa.Table]:
    # Read ahead, a whole row group would be held.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_PAGES) as file:
        for batch in file.iter_batches(rows, use_threads=False):
            yield pa.Table.from_batches([batch]).replace_schema_metadata(None)


def _cut(stream: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Tables of any length as tables of `rows` rows."""
    held = next(stream)
    for table in stream:
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
        held = pa.concat_tables([held, table])
    for start in range(0, held.num_rows, rows):
        yield held.slice(start, rows)


def _unreadable(path: pathlib.Path, error: Exception) -> InputError:
    return InputError(f'{path}: cannot be read as a table: {str(error).rstrip(".")}.')
