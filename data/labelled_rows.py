"""Labelled photos and tiles: a frame of rows -> a plan on disk -> staged chunks.

A frame (pandas) has a row for each photo or tile, with the columns of `COLUMNS` and a column
`label:NAME` for each label of the photo. Builders fill it from their own tables; a row that cannot
be used carries the reason in `problem`. Rows are kept in columns, so that millions fit in memory.
"""

import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from gair_jax import sensors
from gair_jax.builders import build_report, failed_rows, mask_tiles, prepared, staging, variants
from gair_jax.builders.photos import images, rasters
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.tables import listed

CHUNK_ROWS = 64
LABEL = 'label:'
# row: 1 is the first of the source. photo, tile, mask: paths under the root, '' for none; of a tile
# of several dates their files with ; between. lon, lat: degrees, nan where not told. date: ISO or
# ''; tile_date: one for each file of a tile, with ; between, or '' for that of the row. problem:
# 'kind: details', '' if there is none.
TEXTS = ('id', 'photo', 'tile', 'tile_date', 'mask', 'date', 'licence', 'group', 'split', 'problem')
NUMBERS = ('lon', 'lat', 'heading')
COLUMNS = ('row', *TEXTS, *NUMBERS)


class Job(NamedTuple):
    """What every chunk needs to know.

    plan: Arrow file with one batch of rows a chunk.
    root: folder of the files that the rows name.
    labels: name -> (shape, dtype) of the labels of a photo.
    placed: off: no row says where it is, and that is fine.
    sensor: contract whose bands are taken from tiles.
    band_order: of tiles, as `rasters.Reading` has it.
    side: rows and columns of every tile; 0: any.
    mask: name of the label raster of a tile; '' for none.
    classes: number of classes of that mask.
    """

    plan: pathlib.Path
    root: pathlib.Path
    labels: prepared.Labels
    placed: bool = True
    sensor: str = 'sentinel2_10'
    band_order: str = ''
    side: int = 0
    mask: str = ''
    classes: int = 0


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


def _lonlat(row: dict[str, Any], placed: bool, tile: dict[str, Any] | None) -> np.ndarray:
    lonlat = np.array([row['lon'], row['lat']])
    if not placed:
        return np.full(2, np.nan)
    if np.isnan(lonlat).all() and tile is not None:
        return tiles.tile_xy_to_lonlat(np.zeros(2), tile['bounds'], tile['crs'])
    if np.isnan(lonlat).any():
        raise InputError('no position: lon or lat is empty')
    tiles.check_lonlat(lonlat, 'not a place on earth')
    if tile is not None:
        tiles.place_in_tile(lonlat, tile['bounds'], tile['crs'], 'point outside its tile')
    return lonlat


def _raster(job: Job, file: str) -> rasters.Raster:
    reading = rasters.Reading(sensor=job.sensor, band_order=job.band_order, max_nodata=0.5)
    raster = rasters.read(job.root / file, reading, [], '')
    height, width = raster.bands.shape[:2]
    if job.side and (height, width) != (job.side, job.side):
        expected = f'{job.side} x {job.side}'
        raise InputError(f'wrong size: expected {expected} pixels, found {height} x {width}')
    return raster


def _rasters(job: Job, files: Sequence[str]) -> list[rasters.Raster]:
    """The dates of a tile, which lie on the same pixels."""
    first, *others = found = [_raster(job, file) for file in files]
    for file, other in zip(files[1:], others, strict=True):
        place = (first.bands.shape, first.crs, first.transform.tolist())
        if (other.bands.shape, other.crs, other.transform.tolist()) != place:
            raise InputError(f'dates do not match: {file} lies on other pixels than {files[0]}')
    return found


def _masks(job: Job, row: dict[str, Any], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    if not job.mask:
        return {}
    path = job.root / row['mask']
    mask = mask_tiles.read_mask(path, shape)
    mask_tiles.require_classes(mask, (*range(job.classes), mask_tiles.IGNORED), path)
    return {job.mask: mask.astype(np.uint8)}


def _acquisitions(job: Job, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The staged dates of a tile, each with its mask; none without a tile."""
    files = listed(row['tile'])
    if not files:
        return []
    found = _rasters(job, files)
    masks = _masks(job, row, found[0].bands.shape[:2])
    dates = listed(row['tile_date']) or [row['date']] * len(files)
    return [
        {
            **dataclasses.asdict(raster),
            'id': file,
            'tile_key': row['tile'],
            'date': date,
            'cloud': math.nan,
            'band_names': sensors.contract(job.sensor).bands,
            'labels': masks,
        }
        for file, date, raster in zip(files, dates, found, strict=True)
    ]


def _labels(job: Job, row: dict[str, Any]) -> dict[str, np.ndarray]:
    return {
        name: np.array(row[LABEL + name], dtype).reshape(shape)
        for name, (shape, dtype) in job.labels.items()
    }


def _add(job: Job, row: dict[str, Any], chunk: staging.Chunk) -> None:
    dates = _acquisitions(job, row)
    photo = images.read(job.root / row['photo'], 0) if row['photo'] else None
    copied = ('id', 'heading', 'date', 'licence', 'group', 'split')
    chunk.photos.append(
        {
            **{name: row[name] for name in copied},
            'photo': photo.jpeg if photo else b'',
            'lonlat': _lonlat(row, job.placed, dates[0] if dates else None),
            'tile_key': row['tile'],
            'labels': _labels(job, row),
        }
    )
    chunk.acquisitions.extend(dates)


def make(job: Job, index: int) -> staging.Chunk:
    """Chunk `index` of the plan; what cannot be used is in `dropped`, with the reason."""
    with pa.memory_map(str(job.plan)) as source:
        rows = pa.ipc.open_file(source).get_batch(index).to_pylist()
    chunk = staging.Chunk([], [], [])
    for row in rows:
        try:
            if row['problem']:
                raise InputError(row['problem'])
            _add(job, row, chunk)
        except InputError as error:
            reason = str(error).rstrip('.')
            chunk.dropped.append({'row': row['row'], 'id': row['id'], 'reason': reason})
    return chunk


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
    job: Job,
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
        make=functools.partial(make, job),
        workers=workers,
        accept=functools.partial(_accept, total=len(rows), limit=limit, targets=targets),
    )
    failed = metadata['failed']
    why = [f'{failed} rows could not be used; {limit.report} says why.'] if failed else []
    return build_report.report(data_dir, builder.name, variant, metadata, [*why, *notes])
