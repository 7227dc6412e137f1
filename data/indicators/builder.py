"""Socio-economic indicators of census block groups (Fan et al. 2023, PNAS 120(27)), by street view.

Origin: the tables of brookefzy/urban-visual-intelligence, from the public drive folder that its
README names. No photos are public there: the list of photos is the user's own. Source: a folder
with `allparameters.csv` (key GEOID_cbg) and `images.csv` (uuid, path, city, GEOID_cbg, and lon and
lat where they are known). Values are stored as they are, nan where missing; mean and std over the
photos of train stand in the metadata (`train_statistics`) for whoever standardises.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Unpack

import numpy as np
import pandas as pd

from gair_jax.builders import (
    build_options,
    build_report,
    city_splits,
    labelled_chunks,
    labelled_rows,
    prepared,
)
from gair_jax.builders import columns as tables
from gair_jax.config import InputError
from gair_jax.input.tables import Files

KEY = 'GEOID_cbg'
DIGITS = 12  # State, county, tract, block group; tables of numbers lose the leading 0.
# Which ten columns GAIR took is not stated. These fit: density, income, two of commuting, age,
# race, crime, two of health, visible sky.
TARGETS = (
    'logpopden',
    'logincome',
    'publictrans_per_cbg',
    'walkbike_per_cbg',
    'over65_per_cbg',
    'poc_cbg',
    'logcrime',
    'obesitycru',
    'diabetescr',
    'sky',
)


class Indicators(prepared.PreparedBuilder):
    """Street views with the indicators of their block group, as street view + place."""


def _chosen(path: pathlib.Path, asked: Sequence[str]) -> list[str]:
    """The columns asked for, or those of `TARGETS` that the table has."""
    found = tables.header(path)
    if asked:
        return list(dict.fromkeys(asked))
    if not (chosen := [name for name in TARGETS if name in found]):
        raise InputError(
            f'{path}: expected one of the columns {", ".join(TARGETS)} (or name others with '
            f'--columns); found {", ".join(found)}.'
        )
    return chosen


def _geoid(cells: pd.Series) -> pd.Series:
    """Keys as 12 digits, whether they were written as text or as numbers; '' stays."""
    plain = cells.str.strip().str.removesuffix('.0')
    return plain.where(plain == '', plain.str.zfill(DIGITS))


def _values(path: pathlib.Path, names: list[str]) -> pd.DataFrame:
    table = tables.read(path, [KEY], numbers=names)
    table[KEY] = _geoid(table[KEY])
    tables.unique(path, table, KEY)
    for name in names:
        if (wrong := np.isinf(table[name].astype(np.float32))).any():
            raise InputError(
                f'{path}: column {name}: expected finite numbers or empty cells, found '
                f'{table.loc[wrong, name].iloc[0]} at {table.loc[wrong, KEY].iloc[0]}.'
            )
    return table.set_index(KEY)


def _find(rows: pd.DataFrame, paths: pd.Series, root: pathlib.Path) -> None:
    """Fills in `photo`, or the reason why there is none."""
    files = Files(root, basename=False)
    found, problems = [], []
    for cell in paths:
        try:
            found.append(files.find(cell) if cell else '')
            problems.append('' if cell else 'photo missing: the cell is empty')
        except InputError as error:
            found.append('')
            problems.append(str(error).rstrip('.'))
    rows['photo'] = found
    labelled_rows.mark(rows, rows['photo'] == '', pd.Series(problems, rows.index))


def _rows(
    listing: pathlib.Path, values: pd.DataFrame, names: list[str], root: pathlib.Path, seed: int
) -> tuple[pd.DataFrame, bool]:
    """The rows, and whether the list says where photos are."""
    placed = {'lon', 'lat'} <= set(tables.header(listing))
    where = ('lon', 'lat') if placed else ()
    table = tables.read(listing, ['uuid', 'path', 'city', KEY], numbers=where)
    tables.unique(listing, table, 'uuid')
    keys = _geoid(table[KEY])
    rows = labelled_rows.frame(
        len(table),
        id=table['uuid'],
        group=table['city'],
        **{name: table[name] for name in where},
        **{labelled_chunks.LABEL + name: keys.map(values[name]) for name in names},
    )
    labelled_rows.mark(rows, rows['group'] == '', 'no city: the cell is empty')
    labelled_rows.mark(rows, ~keys.isin(values.index), 'block group not in the table: ' + keys)
    _find(rows, table['path'], root)
    rows['split'] = city_splits.draw(rows, seed=seed).reindex(rows.index, fill_value='train')
    return rows, placed


def build(
    source: str | os.PathLike,
    *,
    root: str | os.PathLike = '',
    columns: Sequence[str] = (),
    seed: int = 0,
    **options: Unpack[build_options.RowOptions],
) -> build_report.BuildReport:
    """Prepares the data set `indicators`: street views, split 60/20/20 in each city.

    Args:
      source: folder with allparameters.csv and images.csv.
      root: folder under which the photos of images.csv lie; '' for `source`.
      columns: those of allparameters.csv to take as targets; () for those of `TARGETS` it has.
      seed: of the split.
      **options: `build_options.RowOptions`.

    Raises:
      InputError: a table or column is missing, a value is infinite, more photos are missing than
        may, or nothing can be written.
    """
    source = pathlib.Path(source)
    root = pathlib.Path(root or source)
    parameters = source / 'allparameters.csv'
    names = _chosen(parameters, columns)
    rows, placed = _rows(source / 'images.csv', _values(parameters, names), names, root, seed)
    shared = {'encoder': 'sv', 'on': 'photo', 'kind': 'regression'}
    return labelled_rows.prepare(
        Indicators,
        rows,
        labelled_chunks.Job(
            pathlib.Path(), root, {name: ((), np.float32) for name in names}, placed=placed
        ),
        {name: {**shared, 'label': name, 'classes': [name]} for name in names},
        source=source / 'images.csv',
        targets=names,
        **options,
    )
