"""Examines a table of places, photos and tiles, row by row, so that it may be of any length."""

import array
import math
import pathlib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import rasterio
import rasterio.errors

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.serve.doctor import table_rows
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable
from gair_jax.serve.doctor.named_files import NamedFiles

NAMES = ('.csv', '.parquet', '.geoparquet')
FEW = 3  # rows, below which nothing follows from places being equal
CHECKED_TILES = 32  # opened, to see whether places lie in them
BEYOND = 360.0  # larger numbers than any way of writing degrees has

# What is wrong with a row, and what is said of all such rows together.
_SAYINGS = {
    'uneven': 'expected as many cells in a row as the header has',
    'nothing': 'expected a place, a photo or a tile in a row, found their cells empty',
    'half': 'expected lon and lat, found one of the two empty',
    'no number': 'expected lon and lat as numbers with a decimal point, found text',
    'metres': 'expected lon and lat in degrees (WGS84), found larger numbers, as the metres of a '
    'projected CRS',
    'swapped': 'expected lon in [-180, 180] and lat in [-90, 90], found values that fit only with '
    'lon and lat swapped',
    'range': 'expected lon in [-180, 180] and lat in [-90, 90], found other values',
    'zero': 'expected a place, found longitude 0, latitude 0, where missing places are put',
    'no photo': 'expected the photos that the table names, found no such file',
    'no tile': 'expected the tiles that the table names, found no such file',
    'error': 'expected an empty column error, found rows that were not embedded',
}
# These leave nothing to work with where they hold in every row; the others never do.
_FATAL = {'nothing', 'half', 'no number', 'metres', 'swapped', 'range', 'error'}


class Tally(NamedTuple):
    """Of how many rows something is true, the first of them, and what that one holds."""

    rows: int
    first: int
    example: str


class Scan:
    """What the rows of a table are found to hold.

    Attributes:
      rows, placed: how many there are, and how many have lon and lat.
      files: of the columns photo and tile.
      tally: by saying in `_SAYINGS`.
      strays: places outside their tiles, a sentence each.
    """

    def __init__(self, rows: table_rows.Rows, root: str, path: pathlib.Path) -> None:
        self.at = {field: rows.columns.index(name) for field, name in rows.fields.items()}
        self.width = len(rows.columns)
        self.rows = self.placed = self.opened = 0
        self.files: dict[str, NamedFiles] = {
            field: NamedFiles(root, path) for field in ('photo', 'tile') if field in self.at
        }
        self.tally: dict[str, Tally] = {}
        self.strays: list[str] = []
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)
        self._ids = array.array('q')

    def add(self, cells: list[str]) -> None:
        """Takes in the next row."""
        self.rows += 1
        if len(cells) != self.width:
            self._count('uneven', f'{len(cells)} instead of {self.width}')
            return
        fields = {field: cells[column].strip() for field, column in self.at.items()}
        if 'id' in fields:
            # A row without an id has its number for one, which is nobody else's.
            self._ids.append(hash(fields['id'] or (self.rows,)))
        if fields.get('error'):
            self._count('error', fields['error'])
        lonlat = self._place(fields)
        tile = self._find('tile', fields.get('tile', '').split(';')[0].strip())
        self._find('photo', fields.get('photo', ''))
        if lonlat and tile and self.opened < CHECKED_TILES:
            self.opened += 1
            self.strays += _stray(tile, np.array(lonlat), f'row {self.rows}')

    def repeated(self) -> tuple[int, int] | None:
        """The first two rows with the same id, or None."""
        ids = np.array(self._ids)
        order = np.argsort(ids, kind='stable')
        same = np.flatnonzero(np.diff(ids[order]) == 0)
        if not len(same):
            return None
        pairs = np.stack([order[same], order[same + 1]], axis=-1) + 1
        first, second = pairs[np.argmin(pairs[:, 1])]
        return int(first), int(second)

    def _count(self, what: str, example: str) -> None:
        count, first, shown = self.tally.get(what, Tally(0, self.rows, example))
        self.tally[what] = Tally(count + 1, first, shown)

    def _place(self, fields: dict[str, str]) -> tuple[float, float] | None:
        """The place of a row, where it has one that is one."""
        cells = fields.get('lon', ''), fields.get('lat', '')
        shown = f'{cells[0]!r}, {cells[1]!r}'
        try:
            lon, lat = (float(cell) if cell else math.nan for cell in cells)
        except ValueError:
            self._count('no number', shown)
            return None
        if math.isnan(lon) and math.isnan(lat):
            if not fields.get('photo') and not fields.get('tile'):
                self._count('nothing', 'empty cells')
            return None
        self.placed += 1
        if what := _misplaced(lon, lat):
            self._count(what, shown)
            return None
        self.low, self.high = np.minimum(self.low, (lon, lat)), np.maximum(self.high, (lon, lat))
        return lon, lat

    def _find(self, field: str, name: str) -> pathlib.Path | None:
        """The file that a cell names, where there is one."""
        if not name:
            return None
        found = self.files[field].find(name)
        if found is None:
            self._count(f'no {field}', name)
        return found


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a CSV or Parquet table."""
    found = []
    if path.suffix.lower() not in NAMES:
        found.append(unusable(path, f'expected a table named *{", *".join(NAMES)}; rename it'))
    try:
        rows = table_rows.open_rows(path, expected.columns)
        if lacking := _lacking(rows):
            return [*found, unusable(path, lacking)]
        scan = Scan(rows, expected.root, path)
        for cells in rows.cells:
            scan.add(cells)
    except InputError as error:
        return [*found, unusable(path, str(error).rstrip('.'))]
    _forget_guesses(rows, scan)
    found += [*_tallied(path, scan), *_whole(path, scan)]
    return or_fine(path, found, _summary(rows, scan))


def _lacking(rows: table_rows.Rows) -> str:
    """What columns are missing, '' if enough are there."""
    places = {'lon', 'lat'} & rows.fields.keys()
    files = {'photo', 'tile'} & rows.fields.keys()
    if len(places) == 2 or (files and not places):
        return ''
    wanted = 'lon and lat' if places else 'lon and lat, photo or tile'
    return (
        f'expected columns {wanted}, found {", ".join(rows.columns[:12])}; name them with '
        '--columns lon=YOURS,...'
    )


def _forget_guesses(rows: table_rows.Rows, scan: Scan) -> None:
    """Leaves out columns that only looked as if they named files: none of them is there."""
    for field in rows.guessed & scan.files.keys():
        if scan.files[field].missing == scan.files[field].count:
            del scan.files[field], rows.fields[field]
            scan.tally.pop(f'no {field}', None)


def _misplaced(lon: float, lat: float) -> str:
    """Which saying fits a pair of numbers; '' for a place."""
    if math.isnan(lon) or math.isnan(lat):
        return 'half'
    if max(abs(lon), abs(lat)) > BEYOND:
        return 'metres'
    if abs(lon) <= 180 and abs(lat) <= 90:
        return 'zero' if lon == lat == 0 else ''
    return 'swapped' if abs(lat) <= 180 and abs(lon) <= 90 else 'range'


def _tallied(path: pathlib.Path, scan: Scan) -> Iterator[Finding]:
    for what, saying in _SAYINGS.items():
        if what not in scan.tally:
            continue
        count, first, example = scan.tally[what]
        all_of_it = count == scan.rows and what in _FATAL
        level = unusable if all_of_it or what == 'uneven' else suspicious
        files = scan.files.get(what.removeprefix('no '))
        under = f' under {files.where} (--root)' if files else ''
        yield level(
            path,
            f'{saying}{under} in {count} of {scan.rows} rows, first in row {first} ({example})',
        )


def _whole(path: pathlib.Path, scan: Scan) -> Iterator[Finding]:
    """What no single row shows."""
    if 'uneven' not in scan.tally and (pair := scan.repeated()):
        yield suspicious(
            path, f'expected another id in every row, found that of row {pair[0]} in row {pair[1]}'
        )
    if scan.placed >= FEW and np.array_equal(scan.low, scan.high):
        yield suspicious(
            path,
            f'expected several places, found lon {scan.low[0]:g}, lat {scan.low[1]:g} in every row',
        )
    if scan.strays:
        yield suspicious(
            path,
            f'expected places inside their tiles, found {len(scan.strays)} of {scan.opened} '
            f'outside: {scan.strays[0].rstrip(".")}',
        )


def _stray(tile: pathlib.Path, lonlat: np.ndarray, name: str) -> list[str]:
    """A sentence if a place is outside its tile; a tile that cannot tell says nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(tile) as source:
                box = source.bounds
                bounds = np.array([box.left, box.top, box.right, box.bottom])
                crs = source.crs.to_string() if source.crs else ''
        if crs:
            tiles.place_in_tile(lonlat, bounds, crs, name)
    except rasterio.errors.RasterioError:
        pass  # `gair doctor TILE` says what is wrong with it.
    except InputError as error:
        return [str(error)] if 'outside' in str(error) else []
    return []


def _summary(rows: table_rows.Rows, scan: Scan) -> str:
    parts = [f'a table of {scan.rows} rows', f'{scan.placed} with a place']
    parts += [f'{files.count} with a {field}' for field, files in scan.files.items()]
    columns = ','.join(f'{field}={name}' for field, name in rows.fields.items() if field != name)
    options = [f'--columns {columns}'] if columns else []
    for files in scan.files.values():
        options += [option for option in files.options if option not in options]
    return ', '.join(parts) + (f'; to be used with {" ".join(options)}' if options else '')
