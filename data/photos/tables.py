"""The table of an import: reading it, naming its columns, and judging its rows before any file.

What can be told from the cells alone is told here, so that a table with swapped coordinates or
another root is refused at once and not after hours.
"""

import csv
import dataclasses
import datetime
import math
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.tables import BOX, FIELDS, Files, listed, number, text
from gair_jax.input.tables import name_columns as name_known

SPLITS = ('train', 'val', 'test')


@dataclasses.dataclass(kw_only=True)
class Row:
    """One usable or unusable row.

    Attributes:
      row: 1 is the first data row.
      id: unique among the usable rows.
      photo: path under the root, '' for none.
      tiles: paths under the root of the dates of its tile.
      tile_dates: ISO date of each, '' unknown.
      lonlat: degrees, (nan, nan) where the photo's EXIF must tell.
      heading: degrees, nan unknown.
      date, licence, group: as in the table.
      split: as in the table, '' if it is to be drawn.
      box: left, top, right, bottom in `crs`; empty if the tile's own georeference must tell.
      crs: of the box.
      problem: why the row cannot be used, 'kind: details'; '' if nothing is known against it.
    """

    row: int
    id: str
    photo: str = ''
    tiles: list[str] = dataclasses.field(default_factory=list)
    tile_dates: list[str] = dataclasses.field(default_factory=list)
    lonlat: list[float] = dataclasses.field(default_factory=lambda: [math.nan, math.nan])
    heading: float = math.nan
    date: str = ''
    licence: str = ''
    group: str = ''
    split: str = ''
    box: list[float] = dataclasses.field(default_factory=list)
    crs: str = ''
    problem: str = ''

    @property
    def tile_key(self) -> str:
        """What rows on the same tile have in common; '' without a tile."""
        return ';'.join(self.tiles)

    @property
    def located(self) -> bool:
        """Whether the table itself says where."""
        return not math.isnan(self.lonlat[0])


def _read_csv(path: pathlib.Path) -> list[dict[str, Any]]:
    with path.open(newline='', encoding='utf-8-sig') as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise InputError(f'{path}: expected each column once, found {twice[0]!r} twice.')
        rows = []
        for cells in reader:
            if cells and len(cells) != len(header):
                raise InputError(
                    f'{path}: line {reader.line_num} has {len(cells)} cells, and the header '
                    f'{len(header)}.'
                )
            if cells:
                rows.append(dict(zip(header, cells, strict=True)))
    return rows


def read(path: pathlib.Path) -> list[dict[str, str]]:
    """All rows of a .csv or .parquet table as text by column name.

    Raises:
      InputError: no such file, not a table, or no row in it.
    """
    readers = {
        '.csv': _read_csv,
        '.parquet': lambda path: pyarrow.parquet.read_table(path).to_pylist(),
    }
    if path.suffix.lower() not in readers:
        raise InputError(f'{path}: expected a table named *.csv or *.parquet.')
    try:
        rows = readers[path.suffix.lower()](path)
    except FileNotFoundError as error:
        raise InputError(f'{path}: no such table.') from error
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise InputError(f'{path}: cannot be read as a table: {error}.') from error
    if not rows:
        raise InputError(f'{path}: the table has no rows.')
    return [{name: text(value) for name, value in row.items()} for row in rows]


def name_columns(path: pathlib.Path, found: list[str], columns: dict[str, str]) -> dict[str, str]:
    """Column of each field that the table has: as given, else the one of the field's own name.

    Raises:
      InputError: a field is unknown, a column is absent, or nothing could be placed or seen.
    """
    named = name_known(path, found, columns, FIELDS)
    if not named.keys() & {'photo', 'tile'}:
        raise InputError(
            f'{path}: expected a column for photo or tile (name them with --columns); found '
            f'{", ".join(found)}.'
        )
    if not {'lon', 'lat'} <= named.keys() and 'photo' not in named:
        raise InputError(f'{path}: expected columns for lon and lat; found {", ".join(found)}.')
    return named


def _date(text: str, field: str) -> str:
    try:
        if text:
            datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f'{field} is no ISO date: {text!r}') from error
    return text


def _place(row: Row, cells: dict[str, str]) -> None:
    row.lonlat = [number(cells, 'lon'), number(cells, 'lat')]
    missing = [math.isnan(value) for value in row.lonlat]
    if any(missing):
        if not all(missing) or not cells.get('photo'):
            raise InputError('no position: lon or lat is empty')
    else:
        try:
            tiles.check_lonlat(np.array(row.lonlat), 'position')
        except InputError as error:
            raise InputError(f'not a place on earth: {error}') from error


def _fill(row: Row, cells: dict[str, str], files: Files) -> None:
    """Reads the cells into `row`; InputError says 'kind: details'."""
    _place(row, cells)
    row.heading = number(cells, 'heading') % 360
    row.date = _date(cells.get('date', ''), 'date')
    row.licence, row.group = cells.get('licence', ''), cells.get('group', '')
    row.split = cells.get('split', '')
    if 'split' in cells and row.split not in SPLITS:
        raise InputError(f'unknown split: expected {", ".join(SPLITS)}, found {row.split!r}')
    photo, tile = cells.get('photo', ''), listed(cells.get('tile', ''))
    if not photo and not tile:
        raise InputError('neither photo nor tile: both cells are empty')
    row.photo = photo and files.find(photo)
    row.tiles = [files.find(name) for name in tile]
    row.tile_dates = [_date(text, 'tile_date') for text in listed(cells.get('tile_date', ''))]
    row.tile_dates = row.tile_dates or [''] * len(tile)
    if len(row.tile_dates) != len(tile):
        raise InputError(f'tile_date: expected {len(tile)} dates, found {len(row.tile_dates)}')
    box = [number(cells, side) for side in BOX]
    row.crs = cells.get('crs', '')
    if row.crs and not any(map(math.isnan, box)):
        row.box = box


def _conflicts(rows: list[Row]) -> None:
    """Marks rows that contradict an earlier one: same id, split tile, tile listed otherwise."""
    ids: dict[str, int] = {}
    lists: dict[str, Row] = {}
    for row in rows:
        if row.problem:
            continue
        if row.id in ids:
            row.problem = f'id not unique: {row.id} is also that of row {ids[row.id]}'
            continue
        for file in row.tiles:
            first = lists.setdefault(file, row)
            if first.tiles != row.tiles or first.tile_dates != row.tile_dates:
                row.problem = f'tile listed in two ways: {file}, see row {first.row}'
            elif first.split != row.split:
                row.problem = f'tile in two splits: {file}, see row {first.row}'
            elif (first.box, first.crs) != (row.box, row.crs):
                row.problem = f'tile with two boxes: {file}, see row {first.row}'
        if not row.problem:
            ids[row.id] = row.row


def judge(cells: list[dict[str, str]], named: dict[str, str], files: Files) -> list[Row]:
    """A `Row` for every row of the table, with a `problem` where the cells show one."""
    rows = []
    for place, raw in enumerate(cells, 1):
        fields = {field: raw[column] for field, column in named.items()}
        row = Row(row=place, id=fields.get('id') or str(place))
        try:
            _fill(row, fields, files)
        except InputError as error:
            row.problem = str(error).rstrip('.')
        rows.append(row)
    _conflicts(rows)
    return rows
