"""Rows of anyone's own labels: from a table, or from a tree of folders."""

import datetime
import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from gair_jax.builders import labelled_chunks, labelled_rows, prepared
from gair_jax.builders.photos import tables
from gair_jax.config import InputError
from gair_jax.input.tables import Files, listed, number

PHOTOS = ('.jpg', '.jpeg', '.png')
TILES = ('.tif', '.tiff')
_TEXTS = ('id', 'date', 'tile_date', 'licence', 'group', 'split')


def _found(cells: dict[str, str], files: Files, mask: str) -> dict[str, str]:
    """Paths of the files of a row; InputError if one is not there, or there is none."""
    named = {'photo': 'photo', 'tile': 'tile', **({'mask': mask} if mask else {})}
    paths = {field: cells.get(column, '') for field, column in named.items()}
    if not paths['photo'] and not paths['tile']:
        raise InputError('neither photo nor tile: both cells are empty')
    if mask and not (paths['mask'] and paths['tile']):
        raise InputError('no mask or no tile: a cell is empty')
    return {field: ';'.join(map(files.find, listed(cell))) for field, cell in paths.items()}


def _check_dates(fields: Mapping[str, object]) -> None:
    tiles, dates = (listed(str(fields[name])) for name in ('tile', 'tile_date'))
    if (len(tiles) > 1 or dates) and len(dates) != len(tiles):
        raise InputError(f'tile_date: expected {len(tiles)} dates, found {len(dates)}')
    for date in dates:
        try:
            datetime.datetime.fromisoformat(date)
        except ValueError as error:
            raise InputError(f'tile_date is no ISO date: {date!r}') from error


def _columns(path: pathlib.Path, found: Sequence[str], targets: Sequence[str]) -> None:
    if not targets:
        raise InputError(f'{path}: expected a target (--target); found columns {", ".join(found)}.')
    if missing := [name for name in targets if name not in found]:
        raise InputError(
            f'{path}: column {missing[0]!r} is missing; found columns {", ".join(found)}.'
        )
    if not {'photo', 'tile'} & set(found):
        raise InputError(
            f'{path}: expected a column photo or tile; found columns {", ".join(found)}.'
        )


def _row(cells: dict[str, str], files: Files, mask: str) -> dict[str, object]:
    """Fields of a row, with its problem."""
    fields: dict[str, object] = {name: cells.get(name, '') for name in _TEXTS}
    try:
        if 'split' in cells and cells['split'] not in prepared.SPLITS:
            expected = ', '.join(prepared.SPLITS)
            raise InputError(f'unknown split: expected {expected}, found {cells["split"]!r}')
        fields |= {name: number(cells, name) for name in ('lon', 'lat', 'heading')}
        fields |= _found(cells, files, mask)
        _check_dates(fields)
    except InputError as error:
        fields['problem'] = str(error).rstrip('.')
    return fields


def _frame(fields: list[dict[str, object]]) -> pd.DataFrame:
    found = pd.DataFrame(fields)
    texts = [name for name in labelled_rows.TEXTS if name in found]
    found[texts] = found[texts].fillna('')
    rows = labelled_rows.frame(len(found), **{str(name): found[name] for name in found})
    rows['id'] = rows['id'].where(rows['id'] != '', rows['row'].astype(str))
    twice = rows['id'].duplicated()
    labelled_rows.mark(rows, twice, 'id not unique: ' + rows['id'])
    files = rows['tile'].map(listed).explode().dropna()
    twice = files.duplicated().groupby(files.index).any().reindex(rows.index, fill_value=False)
    labelled_rows.mark(rows, twice, 'tile not unique: ' + rows['tile'])
    return rows


def table(
    path: pathlib.Path, root: pathlib.Path, targets: Sequence[str], masked: bool
) -> pd.DataFrame:
    """Rows of a table; their labels are text.

    Raises:
      InputError: the table or a column of it is missing, or the root is no folder.
    """
    cells = tables.read(path)
    _columns(path, list(cells[0]), targets)
    files = Files(root, basename=False)
    rows = _frame([_row(row, files, targets[0] if masked else '') for row in cells])
    for name in () if masked else targets:
        rows[labelled_chunks.LABEL + name] = [row[name] for row in cells]
    return rows


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.'))


def tree(root: pathlib.Path) -> pd.DataFrame:
    """Rows of a tree of folders; the label of `class` is the name of the folder.

    Raises:
      InputError: the folder has no folders of files, or a class has no file in any of them.
    """
    inner = _folders(root)
    split = bool(inner) and all(folder.name in prepared.SPLITS for folder in inner)
    homes = [(f.name, c) for f in inner for c in _folders(f)] if split else [('', c) for c in inner]
    if not homes:
        raise InputError(
            f'{root}: expected folders of classes with photos or GeoTIFFs, found none.'
        )
    fields, labels = [], []
    for name, home in homes:
        for path in _images(home):
            kind = 'photo' if path.suffix.lower() in PHOTOS else 'tile'
            file = path.relative_to(root).as_posix()
            fields.append({'id': file, kind: file, 'split': name})
            labels.append(home.name)
    for _, home in homes:
        if home.name not in labels:  # without its rows the other classes would change their numbers
            raise InputError(f'{home}: expected photos or GeoTIFFs of this class, found none.')
    return _frame(fields).assign(**{f'{labelled_chunks.LABEL}class': labels})


def _images(home: pathlib.Path) -> list[pathlib.Path]:
    found = sorted(
        path
        for path in home.iterdir()
        if path.suffix.lower() in (*PHOTOS, *TILES) and not path.name.startswith('.')
    )
    if wrong := [path for path in found if ';' in str(path)]:
        raise InputError(f'{wrong[0]}: expected a path without a semicolon.')
    return found
