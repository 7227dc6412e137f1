"""Rows of a source that a build could not use: how many may fail, and the file that lists them."""

import collections
import csv
import pathlib
import shutil
from typing import Any, NamedTuple

from gair_jax.builders import staging
from gair_jax.config import InputError


class Limit(NamedTuple):
    """How much of a table may fail, 0..1, and the file that lists what did."""

    source: pathlib.Path
    max_failed: float
    report: pathlib.Path


def _write_report(path: pathlib.Path, dropped: list[dict[str, Any]]) -> None:
    part = path.with_suffix('.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, ('row', 'id', 'reason'))
            writer.writeheader()
            writer.writerows(sorted(dropped, key=lambda line: line['row']))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f'{path}: cannot be written: {error.strerror}') from error


def refuse(dropped: list[dict[str, Any]], total: int, limit: Limit) -> None:
    """If more rows failed than may, lists them and raises InputError with the commonest reason."""
    if len(dropped) < total and len(dropped) <= limit.max_failed * total:
        return
    _write_report(limit.report, dropped)
    kinds = collections.Counter(line['reason'].partition(':')[0] for line in dropped)
    kind, count = kinds.most_common(1)[0]
    first = min((x for x in dropped if x['reason'].startswith(kind)), key=lambda x: x['row'])
    raise InputError(
        f'{limit.source}: {len(dropped)} of {total} rows cannot be used, and at most '
        f'{limit.max_failed:.0%} may fail; {count} of them for the reason of row {first["row"]}: '
        f'{first["reason"]} (all are listed in {limit.report}).'
    )


def accept(folder: pathlib.Path, *, total: int, limit: Limit) -> dict[str, Any]:
    """For `prepared.prepare`: writes the list of failed rows, or refuses the build.

    Args:
      folder: of the staged chunks; removed with a refused build.
      total: rows of the source.
      limit: how many may fail.

    Returns:
      `failed`, their number.

    Raises:
      InputError: too many failed, or all.
    """
    dropped = list(staging.read(folder, 'dropped'))
    try:
        refuse(dropped, total, limit)
    except InputError:
        # Nothing of a refused build stays, but for the list of reasons.
        shutil.rmtree(folder)
        raise
    _write_report(limit.report, dropped)
    return {'failed': len(dropped)}
