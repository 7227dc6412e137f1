"""Rows of photos that show that a table was read or written wrongly: it is refused as a whole.

One such row is seldom alone, and what the others lack does not show: swapped columns may look like
places, and an id that went through a float like an id.
"""

import pathlib

import numpy as np
import pandas as pd

from gair_jax.config import InputError

SOURCES = ('mapillary', 'kartaview', 'folder')
_FLOAT = r'\d+\.\d*|\d+(?:\.\d+)?[eE]\+?\d+'
_DIGITS = r'\d+'  # ids of the services
_STEM = r'[^/\\\x00-\x1f]+'  # ids of a folder name its files
# Within these the sea is without an island (the Gulf of Guinea): it is where radians lie.
_RADIANS = (np.pi, np.pi / 2)
_FAR, _NEAR = 5.0, 1.0  # degrees from the centre of the city: no part of it, well in it


def refuse(path: pathlib.Path, bad: pd.Series, found: pd.DataFrame, expected: str) -> None:
    """Raises InputError on the first bad row: its number (1 is the first), columns and values.

    Args:
      path: of the table.
      bad: [n] which rows cannot be used.
      found: [n] the columns that show it, by their names in the table.
      expected: what they should hold, in words.
    """
    rows = np.flatnonzero(bad)
    if not len(rows):
        return
    others = f' ({len(rows)} such rows)' if len(rows) > 1 else ''
    values = ', '.join(map(repr, found.iloc[rows[0]].tolist()))
    raise InputError(
        f'{path}: row {rows[0] + 1}, column {", ".join(found.columns)}: expected {expected}, found '
        f'{values}{others}.'
    )


def check(path: pathlib.Path, rows: pd.DataFrame) -> None:
    """Raises InputError on the first row that cannot be what its columns say.

    Args:
      path: of the table.
      rows: `source`, `orig_id`, `key`, `lon`, `lat`, `city_lon`, `city_lat`, in text and
        degrees.
    """
    _check_ids(path, rows)
    _check_places(path, rows)


def _check_ids(path: pathlib.Path, rows: pd.DataFrame) -> None:
    source, ids = rows['source'], rows['orig_id']
    shown = ids.to_frame('id')
    known = f'one of {", ".join(SOURCES)}'
    refuse(path, ~source.isin(SOURCES), source.to_frame(), known)
    refuse(path, ids == '', shown, 'an id')
    refuse(path, ids.str.fullmatch(_FLOAT), shown, 'an id, and not one that was read as a float')
    no_service = (source != 'folder') & ~ids.str.fullmatch(_DIGITS)
    refuse(path, no_service, shown, 'digits, as the services number photos')
    refuse(path, ~ids.str.fullmatch(_STEM), shown, 'the name of a file without its suffix')
    refuse(path, rows['key'].duplicated(), shown, 'each photo of a source once')


def _check_places(path: pathlib.Path, rows: pd.DataFrame) -> None:
    lon, lat, both = rows['lon'], rows['lat'], rows[['lon', 'lat']]
    refuse(path, ~np.isfinite(lon), lon.to_frame(), 'degrees')
    refuse(path, ~np.isfinite(lat), lat.to_frame(), 'degrees')
    swapped = (lat.abs() > 90) & (lat.abs() <= 180) & (lon.abs() <= 90)
    swapped |= _nearer_when_swapped(rows)
    refuse(path, swapped, both, 'lon and lat, which look swapped here')
    refuse(path, lon.abs() > 180, lon.to_frame(), 'degrees in [-180, 180]')
    refuse(path, lat.abs() > 90, lat.to_frame(), 'degrees in [-90, 90]')
    refuse(path, (lon == 0) & (lat == 0), both, 'a place, which 0, 0 seldom is')
    radians = (lon.abs() <= _RADIANS[0]) & (lat.abs() <= _RADIANS[1])
    refuse(path, radians, both, 'degrees on land, and these may be radians')


def _nearer_when_swapped(rows: pd.DataFrame) -> pd.Series:
    """Rows far from their city whose lon and lat, swapped, would be in it."""
    as_given, swapped = (
        pd.concat([rows[lon] - rows['city_lon'], rows[lat] - rows['city_lat']], axis=1)
        .abs()
        .max(axis=1, skipna=False)
        for lon, lat in (('lon', 'lat'), ('lat', 'lon'))
    )
    return (as_given > _FAR) & (swapped < _NEAR)
