"""Results of `gair transfer` as rows of a CSV: those of one run, or of many in one file."""

import csv
import datetime
import fcntl
import io
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gair_jax.config import InputError
from gair_jax.serve.weights import Origin
from gair_jax.transfer.scoring import METRICS

Entry = Mapping[str, Any]

COLUMNS = (
    'task', 'kind', 'features', 'labels', 'protocol', 'metric', 'trained', 'random_init', 'floor',
    'nearest', 'train_rows', 'test_rows', 'test_groups',
)  # fmt: skip
INTERVALS = (
    'trained_interval', 'random_init_interval', 'gain_interval', 'floor_interval',
    'nearest_interval',
)  # fmt: skip
SCORES = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))  # of trained
HEADER = (
    *COLUMNS, *(f'{name}_{end}' for name in INTERVALS for end in ('low', 'high')), *SCORES,
)  # fmt: skip
RUN = ('checkpoint', 'step', 'data', 'date')
_KEY = ('checkpoint', 'data', 'task', 'features', 'labels', 'protocol')

Rows = list[dict[str, str]]


def write(entries: Sequence[Entry], path: pathlib.Path) -> None:
    """A row an entry; intervals as two columns, ..._low and ..._high; other kinds' scores empty."""
    _replace(path, HEADER, [_row(entry) for entry in entries])


def append(entries: Sequence[Entry], path: pathlib.Path, origin: Origin, data: str) -> None:
    """Adds a run to a table of many, which is there before or after, whole.

    Rows of the same checkpoint (by its sha256), data, task, features, labels and protocol are
    replaced. Runs that end together wait for each other.

    Args:
        entries: of the run.
        path: of the table; made if it is not there.
        origin: of the parameters.
        data: name/variant.

    Raises:
        InputError: the file has other columns.
    """
    date = datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')
    run = {'checkpoint': origin.sha256, 'step': str(origin.step), 'data': data, 'date': date}
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        rows = {_key(row): row for row in read(path)}
        rows |= {_key(row): row for row in ({**run, **_row(entry)} for entry in entries)}
        _replace(path, (*RUN, *HEADER), list(rows.values()))


def read(path: pathlib.Path) -> Rows:
    """The rows of a table of many runs; none where there is no file.

    Raises:
        InputError: the file has other columns.
    """
    if not path.exists():
        return []
    with path.open(encoding='utf-8', newline='') as file:
        table = csv.DictReader(file)
        expected, found = [*RUN, *HEADER], list(table.fieldnames or [])
        if found != expected:
            odd = next((c for c in found if c not in expected), '')
            lacking = next((c for c in expected if c not in found), '')
            what = f'{odd!r}' if odd else f'none {lacking!r}' if lacking else 'another order'
            raise InputError(
                f'{path}: expected the columns of a table of gair transfer, found {what}.'
            )
        rows = list(table)
    if short := [i for i, row in enumerate(rows) if None in row or None in row.values()]:
        raise InputError(
            f'{path}, row {short[0] + 1}: expected {len(expected)} values, found another number.'
        )
    return rows


def _row(entry: Entry) -> dict[str, str]:
    scores = entry['scores']['trained']
    values = {name: entry[name] for name in COLUMNS}
    for name in INTERVALS:
        values[f'{name}_low'], values[f'{name}_high'] = entry[name]
    return {
        name: str(value)
        for name, value in {**values, **{n: scores.get(n, '') for n in SCORES}}.items()
    }


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in _KEY)


def _replace(path: pathlib.Path, header: Sequence[str], rows: Rows) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, header, lineterminator='\n')
    table.writeheader()
    table.writerows(rows)
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)


@contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
    """Holds the folder: the file itself is replaced, and no lock file stays behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
