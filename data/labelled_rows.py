"""Labelled photos and tiles: a frame of rows -> a plan on disk -> staged chunks.

A frame (pandas) has a row for each photo or tile, with the columns of `COLUMNS` and a column
`label:NAME` for each label of the photo. Builders fill it from their own tables; a row that cannot
be used carries the reason in `problem`. Rows are kept in columns, so that millions fit in memory.
"""

import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gair_jax import sensors
from gair_jax.builders import (
    build_report,
    failed_rows,
    labelled_chunks,
    prepared,
    staging,
    variants,
)
from gair_jax.config import InputError
from gair_jax.input.tables import listed

CHUNK_ROWS = 64
# row: 1 is the first of the source. photo, tile, mask: paths under the root, '' for none; of a tile
# of several dates their files with ; between. lon, lat: degrees, nan where not told. date: ISO or
# ''; tile_date: one for each file of a tile, with ; between, or '' for that of the row. problem:
# 'kind: details', '' if there is none.
TEXTS = ('id', 'photo', 'tile', 'tile_date', 'mask', 'date', 'licence', 'group', 'split', 'problem')
NUMBERS = ('lon', 'lat', 'heading')
COLUMNS = ('row', *TEXTS, *NUMBERS)


def frame(rows: int, **columns: Any) -> pd.DataFrame:
    """A frame of that many rows with the columns given, and the others empty."""
    made = pd.DataFrame({'row': np.arange(1, rows + 1)})
    for name in TEXTS:
        made[name] = columns.pop(name, '')
    for name in NUMBERS:
        made[name] = columns.pop(name, math.nan)
    return made.assign(**columns)


def mark(rows: pd.DataFrame, where: Any, problem: Any) -> None:
    """Gives the reason `problem` (text, or a series of texts) to rows that have none yet."""
    where = where & (rows['problem'] == '')
    texts = problem[where] if isinstance(problem, pd.Series) else problem
    rows.loc[where, 'problem'] = texts


def _write_plan(path: pathlib.Path, rows: pd.DataFrame) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not from_pandas, which makes nan null.
        table = pa.table({name: pa.array(list(rows[name])) for name in rows})
        with pa.OSFile(str(path), 'wb') as sink, pa.ipc.new_file(sink, table.schema) as writer:
            for start in range(0, len(rows), CHUNK_ROWS):
                part = table.slice(start, CHUNK_ROWS).combine_chunks()
                writer.write_table(part)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f'{path}: cannot be written: {error.strerror or error}') from error


def digest(rows: pd.DataFrame, root: pathlib.Path) -> str:
    """Of what the rows say and of the sizes of the files that they name."""
    found = hashlib.sha256(' '.join(rows.columns).encode())
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows.iloc[start : start + CHUNK_ROWS]
        found.update(part.to_json(orient='values', double_precision=15).encode())
    for name in ('photo', 'tile', 'mask'):
        for cell in rows[name]:
            for file in listed(cell):
                found.update(f'{file} {os.stat(root / file).st_size}'.encode())
    return found.hexdigest()


def train_statistics(folder: pathlib.Path, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Count, mean and std (of the population) of the known values of labels in staged train."""
    sums = {name: np.zeros(3) for name in names}
    for row in staging.read(folder, 'photos', ('labels',), split='train'):
        for name in names:
            value = float(row['labels'][name])
            if math.isfinite(value):
                sums[name] += (1, value, value**2)
    found = {}
    for name, (count, total, squares) in sums.items():
        if not count:
            raise InputError(f'target {name}: expected values in train, found none.')
        mean = total / count
        std = math.sqrt(max(squares / count - mean**2, 0))
        found[name] = {'count': int(count), 'mean': mean, 'std': std}
    return found


def _accept(
    folder: pathlib.Path, *, total: int, limit: failed_rows.Limit, targets: Sequence[str]
) -> dict[str, Any]:
    accepted = failed_rows.accept(folder, total=total, limit=limit)
    if not targets:
        return accepted
    return {**accepted, 'train_statistics': train_statistics(folder, targets)}


def prepare(
    builder: type[prepared.PreparedBuilder],
    rows: pd.DataFrame,
    job: labelled_chunks.Job,
    tasks: dict[str, dict[str, Any]],
    *,
    source: pathlib.Path,
    targets: Sequence[str] = (),
    notes: Sequence[str] = (),
    data_dir: str | os.PathLike = 'prepared',
    variant: str = 'default',
    max_failed: float = 0.2,
    workers: int = 1,
) -> build_report.BuildReport:
    """Prepares a data set from its rows.

    Args:
      builder: class of the data set.
      rows: see above, in their final order.
      job: as chunks need it; `plan` is filled in here.
      tasks: of the metadata.
      source: what errors call the source.
      targets: labels of which the metadata keep count, mean and std over train
        (`train_statistics`).
      notes: sentences for the user.
      data_dir: folder that holds prepared data sets.
      variant: name of this build.
      max_failed: largest share of rows that may fail, 0..1.
      workers: processes; never changes the result.

    Raises:
      InputError: more rows fail than may, or nothing can be written.
    """
    data_dir = pathlib.Path(data_dir)
    variants.check_variant(variant)
    if not 0 <= max_failed <= 1:
        raise InputError(f'max_failed: expected a share from 0 to 1, found {max_failed}.')
    job = job._replace(plan=variants.staging_dir(data_dir, builder.name, variant) / 'plan.arrow')
    fingerprint = {'rows': digest(rows, job.root), 'job': [job.sensor, job.mask, job.placed]}
    if not variants.built(data_dir, builder.name, variant):
        _write_plan(job.plan, rows)
    limit = failed_rows.Limit(source, max_failed, data_dir / builder.name / f'{variant}_report.csv')
    bands = list(sensors.contract(job.sensor).bands) if (rows['tile'] != '').any() else []
    metadata = prepared.prepare(
        builder,
        variant=variant,
        data_dir=data_dir,
        fingerprint={**fingerprint, 'tasks': tasks},
        content=prepared.Content(
            labels=job.labels,
            tile_labels=(job.mask,) if job.mask else (),
            metadata={
                'bands': bands,
                'pixel_m': 10.0,
                'synthetic': False,
                'georeferenced': job.placed,
                'tasks': tasks,
            },
        ),
        chunks=math.ceil(len(rows) / CHUNK_ROWS),
        make=functools.partial(labelled_chunks.make, job),
        workers=workers,
        accept=functools.partial(_accept, total=len(rows), limit=limit, targets=targets),
    )
    failed = metadata['failed']
    why = [f'{failed} rows could not be used; {limit.report} says why.'] if failed else []
    return build_report.report(data_dir, builder.name, variant, metadata, [*why, *notes])
