"""Rows of a CSV or Parquet table as text, one after another, and which column holds what."""

import csv
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from gair_jax.config import InputError

FIELDS = ('lon', 'lat', 'photo', 'tile', 'id', 'error')
# Spellings that leave no doubt; what files a column names is told by their endings.
_SPELLINGS = {
    'lon': ('lon', 'longitude', 'lng', 'long'),
    'lat': ('lat', 'latitude'),
    'id': ('id', 'uuid'),
}
_FILES = {'photo': ('.jpg', '.jpeg', '.png'), 'tile': ('.tif', '.tiff')}
ROWS = 4096  # of Parquet, read at once


class Rows(NamedTuple):
    """An open table.

    columns: names in order; lon and lat last where a GeoParquet geometry gives them.
    fields: column of each of `FIELDS` that the table has.
    guessed: fields whose column has another name, and only looks like it.
    cells: a list of texts a row, of as many columns as the row has; CSV rows may have others.
    """

    columns: list[str]
    fields: dict[str, str]
    guessed: set[str]
    cells: Iterator[list[str]]


def open_rows(path: pathlib.Path, given: Mapping[str, str]) -> Rows:
    """Opens a table; `given` are columns that the user named for fields.

    Raises:
      InputError: it is no table, or has no row; reading `cells` may raise it too.
    """
    with path.open('rb') as file:
        parquet = file.read(4) == b'PAR1'
    columns, cells = _parquet(path) if parquet else _csv(path)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise InputError(f'expected each column once, found {twice[0]!r} twice')
    absent = sorted(set(given.values()) - set(columns))
    if absent:
        raise InputError(f'expected a column {absent[0]!r}, found {", ".join(columns)}')
    first = next(cells, None)
    if first is None:
        raise InputError('expected rows, found a table without any')
    named = {**_by_name(columns), **given}
    named = {f: c for f, c in named.items() if f in given or _may_be(f, first, columns.index(c))}
    guessed = {f: c for f, c in _by_content(columns, first).items() if f not in named}
    fields = {field: column for field, column in (named | guessed).items() if field in FIELDS}
    return Rows(columns, fields, guessed.keys() & fields.keys(), itertools.chain([first], cells))


def _by_name(columns: Sequence[str]) -> dict[str, str]:
    """Column of each field by its own name, or by another spelling of it."""
    low = {name.lower(): name for name in reversed(columns)}
    spelled = {field: _SPELLINGS.get(field, (field,)) for field in FIELDS}
    found = {f: next((low[n] for n in names if n in low), '') for f, names in spelled.items()}
    return {field: column for field, column in found.items() if column}


def _may_be(field: str, first: Sequence[str], at: int) -> bool:
    """Whether a column of a field's name can be it: 'tile' may also be a place in some grid."""
    cell = first[at] if at < len(first) else ''
    return field not in _FILES or not cell or bool(pathlib.PurePath(cell).suffix)


def _by_content(columns: Sequence[str], first: Sequence[str]) -> dict[str, str]:
    """Column of each kind of file, told by the ending of its first cell."""
    found: dict[str, str] = {}
    for column, cell in zip(columns, first, strict=False):
        for field, endings in _FILES.items():
            if cell.lower().endswith(endings):
                found.setdefault(field, column)
    return found


def _csv(path: pathlib.Path) -> tuple[list[str], Iterator[list[str]]]:
    with path.open('rb') as file:
        if file.read(2) in (b'\xff\xfe', b'\xfe\xff'):
            raise InputError('expected UTF-8, found UTF-16; save it as UTF-8')
    rows = _csv_rows(path)
    columns = next(rows, [])
    if len(columns) == 1:
        for mark, name in ((';', 'semicolons'), ('\t', 'tabs')):
            if mark in columns[0]:
                raise InputError(f'expected commas between the cells, found {name}')
    return columns, rows


def _csv_rows(path: pathlib.Path) -> Iterator[list[str]]:
    line = 0
    with path.open(newline='', encoding='utf-8-sig') as file:
        reader = csv.reader(file, strict=True)
        try:
            for cells in reader:
                line = reader.line_num
                if cells:
                    yield cells
        except UnicodeDecodeError as error:
            raise InputError(
                f'expected UTF-8, found the byte {error.object[error.start]:#04x} after line '
                f'{line}; save it as UTF-8'
            ) from error
        except csv.Error as error:
            raise InputError(f'expected CSV, found {error} after line {line}') from error


def _parquet(path: pathlib.Path) -> tuple[list[str], Iterator[list[str]]]:
    from gair_jax.serve import place_tables  # imports the models too

    try:
        table = place_tables.open_table(path)
    except InputError as error:
        raise InputError(str(error).removeprefix(f'{path}: ').rstrip('.')) from error
    names = [field.name for field in table.schema if _is_cell(field.type)]
    placed = bool(table.primary) and not {'lon', 'lat'} & set(names)

    def cells() -> Iterator[list[str]]:
        for batch in table.batches(ROWS):
            columns = [batch[name].to_pylist() for name in names]
            columns += place_tables.points(table, batch).T.tolist() if placed else []
            yield from ([_text(value) for value in row] for row in zip(*columns, strict=True))

    return names + (['lon', 'lat'] if placed else []), cells()


def _is_cell(kind: pa.DataType) -> bool:
    """Whether a column holds one plain value a row: no embedding, no geometry."""
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _text(value: Any) -> str:
    """A value as a CSV would hold it; '' for null and nan."""
    return '' if value is None or value != value else str(value).strip()
