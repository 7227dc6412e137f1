"""What tables of photos, tiles and places hold: their columns, their cells, and files they name.

Light: the command line reads the names of the columns from here.
"""

import datetime
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gair_jax.config import InputError

# Of an import; without a column of its own a field has the meaning that is given for none.
FIELDS = {
    'photo': 'JPEG or PNG file under the root; empty: a place without a photo',
    'tile': 'GeoTIFF under the root, or several dates of one place with ; between; empty: none',
    'tile_date': 'ISO dates of the files in `tile`, as many, with ; between',
    'lon': 'degrees east, WGS84; without it the EXIF GPS of the photo is read',
    'lat': 'degrees north, WGS84',
    'date': 'ISO date of the photo; without it that of its EXIF',
    'heading': 'direction the camera looks, degrees clockwise from north',
    'licence': 'licence of the photo',
    'group': 'city or another group to balance over',
    'split': 'train, val or test; without it drawn by tile',
    'id': 'unique name of the row; without it the row number',
    'left': 'box of a tile without georeference, in the units of `crs`',
    'top': 'see left',
    'right': 'see left',
    'bottom': 'see left',
    'crs': 'coordinate system of that box, as EPSG:32633',
}
BOX = ('left', 'top', 'right', 'bottom')
# What embeddings are made from.
EMBED_FIELDS = {
    **{name: FIELDS[name] for name in ('photo', 'tile', 'lon', 'lat', 'id', *BOX, 'crs')},
    'offset': 'subtracted from the stored values of the tile first; without it that asked for',
}


def name_columns(
    path: pathlib.Path,
    found: Sequence[str],
    columns: Mapping[str, str],
    fields: Mapping[str, str] = FIELDS,
) -> dict[str, str]:
    """Column of each field that the table has: as given, else the one of the field's own name.

    Raises:
      InputError: a field is unknown, or a column is absent.
    """
    for field, column in columns.items():
        if field not in fields:
            raise InputError(f'columns: {field!r} is unknown; expected one of {", ".join(fields)}.')
        if column not in found:
            raise InputError(
                f'{path}: column {column!r} (for {field}) is missing; found {", ".join(found)}.'
            )
    named = {field: columns.get(field, field) for field in fields}
    return {field: column for field, column in named.items() if column in found}


def text(value: Any) -> str:
    """A value of any column type as the text that a CSV would hold; '' for null and nan."""
    if value is None or value != value:
        return ''
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value).strip()


def number(cells: Mapping[str, str], field: str) -> float:
    """The finite number in a cell of text; nan for an empty or absent one.

    Raises:
      InputError: the cell holds something else.
    """
    cell = cells.get(field, '')
    try:
        value = float(cell) if cell else math.nan
    except ValueError as error:
        raise InputError(f'{field} is no number: {cell!r}') from error
    if math.isinf(value):
        raise InputError(f'{field} is no number: {cell!r}')
    return value


def listed(cell: str) -> list[str]:
    """The parts of a cell between its semicolons."""
    return [part.strip() for part in cell.split(';')] if cell else []


class Files:
    """Files under a root, by relative path or, with `basename`, by their last name alone."""

    def __init__(self, root: pathlib.Path, basename: bool) -> None:
        """Walks the root once if files are to be found by name.

        Raises:
          InputError: the root is no folder.
        """
        if not root.is_dir():
            raise InputError(f'{root}: expected a folder (the root of the files in the table).')
        self.root, self._by_name = root, basename
        self._found: dict[str, list[str]] = {}
        for folder, _, names in os.walk(root) if basename else ():
            for name in names:
                relative = os.path.relpath(os.path.join(folder, name), root)
                self._found.setdefault(name, []).append(relative)

    def find(self, cell: str) -> str:
        """The path under the root that a cell means; InputError if there is none."""
        if not self._by_name:
            path = os.path.normpath(cell)
            if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
                raise InputError(f'file outside the root: {cell}')
            # Unlike pathlib's, it also says no to names that no file system takes.
            if not os.path.isfile(self.root / path):
                raise InputError(f'file not found: {self.root / path}')
            return path
        found = self._found.get(cell.replace('\\', '/').rpartition('/')[2], [])
        if not found:
            raise InputError(f'file not found: no file of that name under {self.root}: {cell}')
        if len(found) > 1:
            raise InputError(f'file name not unique: {cell} is {found[0]} or {found[1]}')
        return found[0]
