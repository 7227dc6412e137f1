"""One chunk of labelled rows: photos and tiles read from their files, as staged records.

The plan has a batch of rows a chunk, with the columns of `labelled_rows`.
"""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gair_jax import sensors
from gair_jax.builders import mask_tiles, prepared, staging
from gair_jax.builders.photos import images, rasters
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.tables import listed

LABEL = 'label:'


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
