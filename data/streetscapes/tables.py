"""The photos that a build starts from, in one form whatever table they are in.

It is a folder of Global Streetscapes' tables (ualsg/global-streetscapes), which go together by
uuid, or any one CSV or Parquet table with

    id, source, lon, lat
    time, heading, width, panorama, sequence, city, city_id, city_lon, city_lat, uuid,
    computed_lon, computed_lat, quality, lighting_condition, platform       if it has them

where the last three are what models say of a photo, in Global Streetscapes' words. Ids are read as
text: those of Mapillary have up to 17 digits, and a float keeps 15. Places without photos are drawn
from a raster (`settlements`) and have the same form.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from gair_jax.builders import columns
from gair_jax.builders.streetscapes import refusals, settlements
from gair_jax.builders.streetscapes.settings import PlacesConfig
from gair_jax.config import InputError
from gair_jax.geo import sphere

NEEDED = ('id', 'source', 'lon', 'lat')
_TEXTS = (
    *('id', 'source', 'time', 'sequence', 'panorama', 'city', 'city_id', 'uuid'),
    *('quality', 'lighting_condition', 'platform'),
)
_NUMBERS = (
    *('lon', 'lat', 'heading', 'width'),
    *('city_lon', 'city_lat', 'computed_lon', 'computed_lat'),
)
_DRAWN = ('settlement', 'block')
_RENAMED = {'id': 'orig_id', 'time': 'datetime'}
# Global Streetscapes: its tables, with columns of text and of numbers, beside uuid.
_Columns = tuple[tuple[str, ...], tuple[str, ...]]
_FOLDER: dict[str, _Columns] = {
    'metadata_common_attributes': (
        ('orig_id', 'source', 'datetime_local', 'sequence_id', 'projection_type'),
        ('lon', 'lat', 'heading', 'width'),
    ),
    'simplemaps': (('city', 'city_id'), ('city_lon', 'city_lat')),
}
_JUDGED: dict[str, _Columns] = {'contextual': (('quality', 'lighting_condition', 'platform'), ())}
_RENAMED_IN_FOLDER = {
    'datetime_local': 'datetime',
    'sequence_id': 'sequence',
    'projection_type': 'panorama',
}
# Setting -> columns of the table without which it could not act.
_WANTS = {
    'quality': ('quality',),
    'day': ('lighting_condition',),
    'outdoors': ('platform',),
    'least_width': ('width',),
    'most_moved_m': ('computed_lon', 'computed_lat'),
    'thin_m': ('sequence',),
}
_PANORAMA = {'spherical': True, 'perspective': False, 'true': True, 'false': False}
_PANORAMA |= {'1': True, '0': False, '': False}


def read(places: PlacesConfig) -> pd.DataFrame:
    """All photos of the table, in its order.

    Returns:
      Columns `row` (1 is the first), `key` ('mapillary:123'), `source` ('mapillary', 'kartaview' or
      'folder'; 'place': without a photo), `orig_id`, `uuid`, `lon`, `lat` (degrees), `heading`
      (degrees in [0, 360), nan unknown), `datetime` (ISO 8601; '' unknown, or no such thing),
      `city`, `city_id`, `city_lon`, `city_lat` (the city's centre, nan unknown), `sequence`,
      `panorama` (bool), `width` (pixels of the original, 0 unknown), `quality`,
      `lighting_condition`, `platform`, `moved_m` (metres from the given to the computed place, nan
      unknown), `settlement` ('urban' or 'rural') and `block` of a place that was drawn. Texts are
      '' where unknown.

    Raises:
      InputError: a table or a column is missing, a column that a setting needs among them, or a
        row cannot be used (`refusals`); it names the row and the column.
    """
    path = files(places)[0]
    if places.raster:
        rows = _complete(settlements.draw(places))
    else:
        rows = _joined(places) if pathlib.Path(places.table).is_dir() else _one(path, places)
        rows = _complete(rows.rename(columns=_RENAMED))
        refusals.check(path, rows)
    rows['heading'] = rows['heading'].where(np.isfinite(rows['heading'])) % 360
    rows['datetime'] = rows['datetime'].where(_is_date(rows['datetime']), '')
    rows['panorama'] = _panorama(path, rows)
    rows['width'] = rows['width'].fillna(0).astype(int)
    places_of = (rows[[f'{kind}lon', f'{kind}lat']].to_numpy() for kind in ('', 'computed_'))
    rows['moved_m'] = sphere.great_circle_m(*places_of)
    return rows.drop(columns=['computed_lon', 'computed_lat'])


def files(places: PlacesConfig) -> list[pathlib.Path]:
    """The files that are read, the one whose rows (or cells) are taken first.

    Raises:
      InputError: none is set, a table and a raster are, or one is missing.
    """
    path = pathlib.Path(places.table)
    if places.table and places.raster:
        raise InputError('places.raster: expected it or places.table, found both.')
    if places.raster:
        return [pathlib.Path(name) for name in (places.raster, *places.strata)]
    if not places.table:
        raise InputError(
            'places.table: expected a table of photos, or a folder of such, found none; '
            'places.raster is not set either.'
        )
    if not path.is_dir():
        return [path]
    return [_in_folder(path, name) for name in _tables(places)]


def _tables(places: PlacesConfig) -> dict[str, _Columns]:
    """The tables of Global Streetscapes that the settings need."""
    return _FOLDER | (_JUDGED if places.quality or places.day or places.outdoors else {})


def _in_folder(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Path of a table, in data/ or beside it, as 'name.csv' or '02_name.csv' (or .parquet)."""
    form = re.compile(rf'(\d+_)?{name}\.(csv|parquet)')
    places = [folder / 'data', folder]
    found = [
        file for place in places for file in sorted(place.glob('*')) if form.fullmatch(file.name)
    ]
    if not found:
        raise InputError(f'{folder}: expected a table {name}.csv in it, found none.')
    return found[0]


def _one(path: pathlib.Path, places: PlacesConfig) -> pd.DataFrame:
    names = columns.header(path)
    _wanted(path, places, names)
    texts = [name for name in _TEXTS if name in names]
    numbers = [name for name in _NUMBERS if name in names]
    if missing := [name for name in NEEDED if name not in names]:
        raise InputError(f'{path}: column {missing[0]!r} is missing; found {", ".join(names)}.')
    return _read(path, texts, numbers)


def _joined(places: PlacesConfig) -> pd.DataFrame:
    """The columns of all tables, in the order of the rows of the metadata."""
    parts = list[pd.DataFrame]()
    for path, (texts, numbers) in zip(files(places), _tables(places).values(), strict=True):
        rows = columns.unique(path, _read(path, ['uuid', *texts], numbers), 'uuid')
        if parts:
            rows = rows.set_index('uuid').reindex(parts[0]['uuid']).reset_index(drop=True)
            rows[list(texts)] = rows[list(texts)].fillna('')
        parts.append(rows)
    joined = pd.concat(parts, axis=1).rename(columns=_RENAMED_IN_FOLDER)
    _wanted(pathlib.Path(places.table), places, joined.columns.to_list())
    return joined


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with all columns, '' or nan where the table has none, their number and key."""
    texts = {name: '' for name in (*map(_rename, _TEXTS), *_DRAWN) if name not in rows}
    rows = rows.assign(**texts, **{name: np.nan for name in _NUMBERS if name not in rows})
    rows['row'] = np.arange(1, len(rows) + 1)
    rows['source'] = rows['source'].str.lower()
    rows['key'] = rows['source'] + ':' + rows['orig_id']
    # A city may be known by either.
    rows['city_id'] = rows['city_id'].where(rows['city_id'] != '', rows['city'])
    rows['city'] = rows['city'].where(rows['city'] != '', rows['city_id'])
    return rows


def _rename(name: str) -> str:
    return _RENAMED.get(name, name)


def _wanted(path: pathlib.Path, places: PlacesConfig, names: Sequence[str]) -> None:
    """Refuses a setting whose columns the table has not: it would silently do nothing."""
    for setting, wants in _WANTS.items():
        if getattr(places, setting) and (lacks := [name for name in wants if name not in names]):
            raise InputError(
                f'{path}: column {lacks[0]!r} is missing, which places.{setting} needs; found '
                f'{", ".join(names)}.'
            )
    if places.per_city and not {'city', 'city_id'} & set(names):
        raise InputError(f'{path}: column city_id or city is missing, which places.per_city needs.')


def _read(path: pathlib.Path, texts: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Columns of text and of numbers; a cell that is no number is told by row and column."""
    _not_floats(path, texts)
    try:
        return columns.read(path, texts, numbers=numbers)
    except InputError:
        if numbers and set(numbers) <= set(columns.header(path)):
            _find_bad_number(path, numbers)
        raise


def _not_floats(path: pathlib.Path, texts: Sequence[str]) -> None:
    """Refuses ids that a Parquet table holds as floats: their last digits are lost."""
    if path.suffix.lower() != '.parquet':
        return
    try:
        schema = pa.parquet.read_schema(path)
    except (OSError, pa.ArrowException):
        return  # The reader says what is wrong.
    for name in texts:
        if name in schema.names and pa.types.is_floating(schema.field(name).type):
            raise InputError(
                f'{path}: column {name}: expected text or whole numbers, found floats, which have '
                'lost digits.'
            )


def _find_bad_number(path: pathlib.Path, names: Sequence[str]) -> None:
    """Raises InputError that names the first cell that is no number, if there is one."""
    rows = columns.read(path, names)
    for name in names:
        bad = pd.to_numeric(rows[name], errors='coerce').isna() & (rows[name] != '')
        refusals.refuse(path, bad, rows[[name]], 'a number')


def _is_date(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, errors='coerce', utc=True, format='ISO8601').notna()


def _panorama(path: pathlib.Path, rows: pd.DataFrame) -> pd.Series:
    found = rows['panorama'].str.lower().map(_PANORAMA)
    refusals.refuse(path, found.isna(), rows[['panorama']], 'true or false')
    return found.astype(bool)
