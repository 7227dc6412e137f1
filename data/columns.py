"""Tables: chosen columns of those too large to be held whole, and all rows of small ones."""

import csv
import pathlib
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from gair_jax.config import InputError


def read(
    path: pathlib.Path,
    columns: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    only: tuple[str, pa.Array] = ('', pa.array([], pa.string())),
) -> pd.DataFrame:
    """Columns of a CSV or Parquet table: text ('' where empty), and numbers (nan where empty).

    Args:
      path: .csv or .parquet file.
      columns: columns of text.
      numbers: columns of float64.
      optional: those of text that are left out where the table has none.
      only: a column and the values of it whose rows are wanted; '' for all rows.

    Raises:
      InputError: no such table, a column is missing, a cell is no number, or there is no row.
    """
    try:
        found = _columns(path)
        wanted = [*columns, *numbers, *(name for name in optional if name in found)]
        if missing := [name for name in wanted if name not in found]:
            raise InputError(f'{path}: column {missing[0]!r} is missing; found {", ".join(found)}.')
        if twice := [name for name in wanted if found.count(name) > 1]:
            raise InputError(f'{path}: column {twice[0]}: expected it once, found it twice.')
        table = _filtered(path, wanted, set(numbers), only)
    except FileNotFoundError as error:
        raise InputError(f'{path}: no such table.') from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f'{path}: cannot be read as a table: {error}.') from error
    rows = table.to_pandas(strings_to_categorical=False)
    texts = [name for name in wanted if name not in numbers]
    rows[texts] = rows[texts].fillna('')
    return rows


def unique(path: pathlib.Path, rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows themselves; InputError if a key is empty or stands there twice."""
    if (rows[key] == '').any():
        raise InputError(
            f'{path}: column {key}: expected a value in every row, found an empty one.'
        )
    if (twice := rows[key].duplicated()).any():
        value = rows.loc[twice, key].iloc[0]
        raise InputError(f'{path}: column {key}: expected each value once, found {value} twice.')
    return rows


def rows(path: pathlib.Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """All rows of a small CSV table as text; InputError unless the first has what is needed."""
    try:
        with path.open(newline='', encoding='utf-8') as file:
            found = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path}: cannot be read: {error}.') from error
    if missing := [name for name in needed if not found or not found[0].get(name)]:
        raise InputError(f'{path}: expected rows with a column {missing[0]!r}.')
    return found


def header(path: pathlib.Path) -> list[str]:
    """Names of the columns; InputError if there is no such table."""
    try:
        return _columns(path)
    except FileNotFoundError as error:
        raise InputError(f'{path}: no such table.') from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f'{path}: cannot be read as a table: {error}.') from error


def _columns(path: pathlib.Path) -> list[str]:
    if path.suffix.lower() == '.parquet':
        return pa.parquet.read_schema(path).names
    with pa.csv.open_csv(path) as reader:
        return reader.schema.names


def _batches(path: pathlib.Path, wanted: list[str], types: dict[str, pa.DataType]):  # noqa: ANN202
    if path.suffix.lower() == '.parquet':
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=wanted):
                yield batch.select(wanted).cast(pa.schema(list(types.items())))
    else:
        options = pa.csv.ConvertOptions(
            include_columns=wanted, column_types=types, strings_can_be_null=False
        )
        with pa.csv.open_csv(path, convert_options=options) as reader:
            yield from reader


def _filtered(
    path: pathlib.Path, wanted: list[str], numbers: set[str], only: tuple[str, pa.Array]
) -> pa.Table:
    types = {name: pa.float64() if name in numbers else pa.string() for name in wanted}
    key, values = only
    kept = []
    for batch in _batches(path, wanted, types):
        if key:
            batch = batch.filter(pa.compute.is_in(batch[key], value_set=values))
        kept.append(batch)
    table = pa.Table.from_batches(kept, pa.schema(list(types.items())))
    if not key and not len(table):
        raise InputError(f'{path}: the table has no rows.')
    return table
