"""Tables of answers at places: which are right, by one of three kinds of columns.

A column of right and wrong; a column of errors and the threshold below which an answer is right; or
label and answer, as `gair places` writes them: classes are right where they are equal, numbers by
the threshold of their difference.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.serve import place_tables
from gair_jax.serve.place_tables import PlaceTable

COLUMNS = ('lon', 'lat', 'label', 'answer')
_TRUTH = {0: False, 1: True, 'false': False, 'true': True, '0': False, '1': True}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """Which answers are right.

    right: column of 0 and 1, or false and true; '' where there is none.
    error: column of errors, of either sign; '' where there is none.
    threshold: an answer is right where its |error| is below, > 0; 0: there is none.
    columns: lon, lat, label, answer -> column, where the names differ.
    """

    right: str = ''
    error: str = ''
    threshold: float = 0.0
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """InputError where it cannot be answered."""
        if self.right and self.error:
            raise InputError('--right and --error: expected one of them, found both.')
        if not self.threshold >= 0:
            raise InputError(f'--threshold: expected more than 0, found {self.threshold}.')
        if self.error and not self.threshold:
            raise InputError(
                '--error: expected --threshold with it, below which answers are right.'
            )
        if self.right and self.threshold:
            raise InputError('--threshold: is of errors, and --right says what is right.')
        spare = [field for field in ('label', 'answer') if field in self.columns]
        if spare and (self.right or self.error):
            raise InputError(
                f'--columns: {spare[0]} is not read beside --right or --error; leave one out.'
            )

    def column(self, field: str) -> str:
        """The name of a field's column."""
        return self.columns.get(field, field)


class Answers(NamedTuple):
    """The rows of a table that have a place.

    name: of the table, in what is written.
    path: of the table.
    lonlat: degrees [n, 2].
    right: bool [n].
    error: float [n]; None of answers that have none.
    rule: what is right, in words.
    without_place: rows that were left out.
    """

    name: str
    path: pathlib.Path
    lonlat: np.ndarray
    right: np.ndarray
    error: np.ndarray | None
    rule: str
    without_place: int

    @property
    def sharing(self) -> int:
        """Rows whose place is that of another row too."""
        _, counts = np.unique(self.lonlat, axis=0, return_counts=True)
        return int(counts[counts > 1].sum())


class _Cells(NamedTuple):
    """The rows of a table that have a place: path, cells by column, and their numbers from 1."""

    path: pathlib.Path
    rows: pa.Table
    numbers: np.ndarray

    def column(self, name: str) -> list[Any]:
        """Values without a gap; InputError where the column is not there or has gaps."""
        if name not in self.rows.schema.names:
            found = ', '.join(self.rows.schema.names)
            raise InputError(f'{self.path}: column {name!r} is missing; found {found}.')
        values = self.rows[name].to_pylist()
        for row, value in zip(self.numbers, values, strict=True):
            if value is None or value != value:
                raise InputError(f'{self.path}: {name}, row {row}: expected a value, found none.')
        return values

    def odd(self, name: str, at: int, expected: str, value: object) -> InputError:
        """The value at a position among those that have a place is not as expected."""
        return InputError(
            f'{self.path}: {name}, row {self.numbers[at]}: expected {expected}, found {value!r}.'
        )


def names(paths: Sequence[str]) -> list[str]:
    """A name a table: its file's, with as many folders before it as tell it from the others.

    Raises:
      InputError: a table is named twice, or two differ in nothing but their suffix.
    """
    parts = [pathlib.Path(path).resolve().with_suffix('').parts[1:] for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        made = ['-'.join(one[-depth:]) for one in parts]
        if len(set(made)) == len(made):
            return made
    twice = next(path for i, path in enumerate(paths) if parts[i] in parts[:i])
    raise InputError(f'{twice}: expected each table once, found two of this name.')


def read(path: str, name: str, question: Question) -> Answers:
    """Reads a .csv, .parquet or .geoparquet table.

    Raises:
      InputError: the table, a column or a value cannot be used.
    """
    table = place_tables.open_table(path)
    rows = next(table.batches(table.rows))
    lonlat = _lonlat(table, rows, question)
    known = np.isfinite(lonlat).all(axis=1)
    if known.sum() < 2:
        raise InputError(f'{path}: expected at least 2 rows with a place, found {known.sum()}.')
    cells = _Cells(table.path, rows.filter(pa.array(known)), np.flatnonzero(known) + 1)
    right, error, rule = _judged(cells, question)
    return Answers(name, table.path, lonlat[known], right, error, rule, int((~known).sum()))


def _lonlat(table: PlaceTable, rows: pa.Table, question: Question) -> np.ndarray:
    """Degrees [n, 2]; nan in a row that has no place, or half of one."""
    at = [question.column(field) for field in ('lon', 'lat')]
    if not set(at) <= set(table.schema.names):
        if at != ['lon', 'lat'] or not table.primary:
            raise InputError(
                f'{table.path}: expected columns {at[0]} and {at[1]}, or a geometry; found '
                f'{", ".join(table.schema.names)}.'
            )
        lonlat = place_tables.points(table, rows)
    else:
        lonlat = np.stack([_coordinate(table, rows, name) for name in at], axis=-1)
    _check_degrees(table.path, lonlat)
    return lonlat


def _coordinate(table: PlaceTable, rows: pa.Table, name: str) -> np.ndarray:
    try:
        return rows[name].cast(pa.float64()).to_numpy()
    except pa.ArrowException:
        found = table.schema.field(name).type
        raise InputError(f'{table.path}: {name}: expected degrees, found {found}.') from None


def _check_degrees(path: pathlib.Path, lonlat: np.ndarray) -> None:
    limits = np.array([180.0, 90.0])
    whole = ~np.isnan(lonlat).any(axis=1)
    for row in np.flatnonzero(whole & (np.abs(lonlat) > limits).any(axis=1))[:1]:
        tiles.check_lonlat(lonlat[row], f'{path}: row {row + 1}')
    if whole.sum() > 9 and (np.abs(lonlat[whole]) <= limits * np.pi / 180).all():
        raise InputError(
            f'{path}: expected degrees; all places lie within pi and pi / 2, which looks like '
            'radians.'
        )


def _judged(cells: _Cells, question: Question) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Right bool [n], error float [n] or None, and the rule in words."""
    if question.right:
        return _truth(cells, question.right), None, f'{question.right} is 1'
    label, answer = (question.column(field) for field in ('label', 'answer'))
    if not question.error and _named(cells, label) and _named(cells, answer):
        if question.threshold:
            raise InputError(
                f'--threshold: is of numbers; {cells.path} has names in {label} and {answer}.'
            )
        pairs = zip(cells.column(label), cells.column(answer), strict=True)
        return np.array([one == other for one, other in pairs]), None, f'{answer} is {label}'
    error = _error(cells, question)
    named = question.error or f'{answer} - {label}'
    rule = f'|{named}| < {question.threshold:g}'
    return np.abs(error) < question.threshold, error, rule


def _error(cells: _Cells, question: Question) -> np.ndarray:
    """The column of errors, or what answers are above labels."""
    if question.error:
        return _numbers(cells, question.error)
    label, answer = (question.column(field) for field in ('label', 'answer'))
    error = _numbers(cells, answer) - _numbers(cells, label)
    if not question.threshold:
        raise InputError(
            f'{cells.path}: {label} and {answer} are numbers: expected --threshold, below which a '
            'difference is right (0.5 for classes that are whole numbers).'
        )
    return error


def _named(cells: _Cells, name: str) -> bool:
    """Whether a column holds names of classes: text, or true and false."""
    return all(isinstance(value, str | bool) for value in cells.column(name))


def _truth(cells: _Cells, name: str) -> np.ndarray:
    found = []
    for at, value in enumerate(cells.column(name)):
        key = value.lower() if isinstance(value, str) else value
        if not isinstance(key, str | int | float) or key not in _TRUTH:
            raise cells.odd(name, at, '0 or 1, or false or true', value)
        found.append(_TRUTH[key])
    return np.array(found)


def _numbers(cells: _Cells, name: str) -> np.ndarray:
    values = cells.column(name)
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise cells.odd(name, at, 'a number', value)
        if not np.isfinite(value):
            raise cells.odd(name, at, 'a finite number', value)
    return np.array(values, np.float64)
