"""Crop types of South Sudan (SustainBench; Rustowicz et al., CVPRW 2019): Sentinel-2 series, masks.

Source: the folder `africa_crop_type_mapping_v1.0`, of which `southsudan/` is read:

    list_eval_partition.csv          columns id and partition (0 train, 1 val, 2 test)
    npy/southsudan_000123.npz        s2 [10, 64, 64, T], Sentinel-2 bands at 10 m
    truth/southsudan_000123.npz      truth [64, 64]
    s2/s2_southsudan_000123.json     {"dates": ["2017-01-15", ...]}, one an image

Radar (s1: VV, VH) and planet are left out. Every image becomes an acquisition, in the order of
dates; what a model sees is `gair_jax.input.latest_dates` of them. Labels 1 to 4 become classes 0
to 3, every other value is unknown. The files do not say where the fields are: no CRS, no places.

A field of which a file cannot be read is left out, and the build says which; PANGAEA-Bench repeats
its neighbour instead.
"""

import datetime
import functools
import json
import os
import pathlib
import shutil
import zipfile
import zlib
from typing import Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Shaped, UInt8

from gair_jax import sensors
from gair_jax.builders import (
    build_options,
    build_report,
    columns,
    mask_builds,
    mask_tiles,
    prepared,
    staging,
)
from gair_jax.config import InputError
from gair_jax.input.raster_files import Georeference

BANDS = sensors.TEN_BANDS
LABEL = 'crop_type'
CLASSES = ('sorghum', 'maize', 'rice', 'groundnut')
PIXEL_M = 10.0
FOLDER, LIST = 'southsudan', 'list_eval_partition.csv'
COLUMNS = ('id', 'partition')
CHUNK_FIELDS = 16


class CropTypeSouthSudan(prepared.PreparedBuilder):
    """Sentinel-2 series of fields in South Sudan with masks of crops, as remote sensing."""


class Item(NamedTuple):
    """A field: its row in the list, counted from 1, its name, and its split."""

    row: int
    name: str
    split: str


class _UnreadableError(Exception):
    """A file of a field cannot be read, so that the field is left out."""


def _item(path: pathlib.Path, number: int, row: dict[str, str]) -> Item:
    # Digits alone: the id becomes part of a path.
    id_, partition = (str(row[name] or '').strip() for name in COLUMNS)
    if not (id_.isascii() and id_.isdecimal()):
        raise InputError(f'{path}: row {number}: expected a number as id, found {id_!r}.')
    if partition not in ('0', '1', '2'):
        raise InputError(
            f'{path}: row {number}: expected partition 0, 1 or 2, found {partition!r}.'
        )
    return Item(number, f'southsudan_{int(id_):06d}', prepared.SPLITS[int(partition)])


def items(root: pathlib.Path) -> list[Item]:
    """The fields that `southsudan/` lists; InputError for a list that cannot be used."""
    path = root / LIST
    found = [_item(path, number, row) for number, row in enumerate(columns.rows(path, COLUMNS), 1)]
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{path}: expected each id once, found {twice} twice.')
    return found


def files(root: pathlib.Path, item: Item) -> tuple[pathlib.Path, pathlib.Path, pathlib.Path]:
    """Images, truth and dates of a field."""
    return (
        root / 'npy' / f'{item.name}.npz',
        root / 'truth' / f'{item.name}.npz',
        root / 's2' / f's2_{item.name}.json',
    )


def _array(path: pathlib.Path, name: str) -> np.ndarray:
    """An array of an npz archive, which may hold plain numbers only."""
    if not zipfile.is_zipfile(path):
        raise _UnreadableError(f'{path}: no archive, or one cut short')
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name not in archive.files:
                raise InputError(
                    f'{path}: expected an array {name!r}, found {", ".join(archive.files)}.'
                )
            stored = archive[name]
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise _UnreadableError(f'{path}: {error}') from error
    if stored.dtype.kind not in 'uif':
        raise InputError(f'{path}: {name}: expected numbers, found {stored.dtype}.')
    return stored


def _dates(path: pathlib.Path) -> list[str]:
    """ISO dates of the images, in stored order."""
    try:
        dates = json.loads(path.read_text(encoding='utf-8'))['dates']
    except (OSError, ValueError) as error:
        raise _UnreadableError(f'{path}: {error}') from error
    except (KeyError, TypeError) as error:
        raise InputError(f'{path}: expected a list "dates".') from error
    try:
        return [datetime.date.fromisoformat(date).isoformat() for date in dates]
    except (TypeError, ValueError) as error:
        raise InputError(f'{path}: expected dates like 2017-01-15: {error}.') from error


def _images(
    path: pathlib.Path, dated: pathlib.Path
) -> list[tuple[str, Shaped[np.ndarray, 'h w c']]]:
    """Date and pixels of each image of a field, in stored order; packing sorts them by date."""
    stored = _array(path, 's2')
    dates = _dates(dated)
    if stored.ndim != 4 or stored.shape[0] != len(BANDS) or 0 in stored.shape:
        raise InputError(f'{path}: expected s2 [{len(BANDS)}, h, w, dates], found {stored.shape}.')
    if len(dates) != stored.shape[3]:
        raise InputError(
            f'{path}: expected a date for each of {stored.shape[3]} images, found {len(dates)}.'
        )
    pixels = [mask_tiles.channels_last(stored[..., i]) for i in range(len(dates))]
    return [(date, mask_tiles.storable(x, path)) for date, x in zip(dates, pixels, strict=True)]


def crop_mask(truth: Shaped[np.ndarray, 'h w']) -> UInt8[np.ndarray, 'h w']:
    """Classes 0 to 3 of labels 1 to 4, of any type of number; unknown elsewhere."""
    mask = np.full(truth.shape, mask_tiles.IGNORED, np.uint8)
    for index in range(len(CLASSES)):
        mask[truth == index + 1] = index
    return mask


def _mask(path: pathlib.Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, 'h w']:
    truth = _array(path, 'truth')
    if truth.shape != shape:
        raise InputError(f'{path}: expected truth {shape} as its images, found {truth.shape}.')
    return crop_mask(truth)


def local_grid(shape: tuple[int, ...]) -> Georeference:
    """Metres from the lower left corner, without a CRS."""
    height, width = (PIXEL_M * side for side in shape)
    return Georeference(
        bounds=np.array([0.0, height, width, 0.0]),
        crs='',
        transform=np.array([PIXEL_M, 0.0, 0.0, 0.0, -PIXEL_M, height]),
    )


def _add_whole(chunk: staging.Chunk, root: pathlib.Path, item: Item) -> None:
    pixels, truth, dated = files(root, item)
    images = _images(pixels, dated)
    shape = images[0][1].shape[:2]
    tile = mask_tiles.Tile(
        id=item.name,
        split=item.split,
        group='',
        licence='',
        lonlat=np.full(2, np.nan),
        place=local_grid(shape),
        label=LABEL,
        mask=_mask(truth, shape),
    )
    mask_tiles.add(chunk, tile, BANDS, images)


def _add(chunk: staging.Chunk, root: pathlib.Path, item: Item) -> None:
    try:
        _add_whole(chunk, root, item)
    except _UnreadableError as error:
        chunk.dropped.append({'row': item.row, 'id': item.name, 'reason': str(error)})


def _accept(folder: pathlib.Path, *, total: int) -> dict[str, Any]:
    skipped = [f'{lost["id"]}: {lost["reason"]}' for lost in staging.read(folder, 'dropped')]
    if len(skipped) == total:
        shutil.rmtree(folder)
        raise InputError(f'none of {total} fields can be read; the first: {skipped[0]}.')
    return {'failed': len(skipped), 'skipped': skipped}


def _content() -> prepared.Content:
    """Shares and statistics as PANGAEA-Bench publishes them."""
    return mask_tiles.content(
        BANDS,
        PIXEL_M,
        LABEL,
        CLASSES,
        dates='all',
        shares=(0.6795, 0.0851, 0.0690, 0.0598),
        mean=(
            2031.16920682,
            1961.43060316,
            1979.41012191,
            2145.66313603,
            2700.28841168,
            3006.88002707,
            2870.5346053,
            3215.05569934,
            2367.76517845,
            1645.22422113,
        ),
        std=(
            2112.21251357,
            2027.46443505,
            2136.80409481,
            2100.72540842,
            2082.19262389,
            2142.97310584,
            2071.28295354,
            2152.28899028,
            1334.5474462,
            1059.03926125,
        ),
        protocol={
            'crop': 0,
            'evaluation': 'whole',
            'loss': 'cross_entropy',
            'logits': 4,
            'selection': 'miou',
            'repeat': 1,
            'dates': 6,
        },
        georeferenced=False,
    )


def build(
    source: str | os.PathLike, **options: Unpack[build_options.Options]
) -> build_report.BuildReport:
    """Prepares the data set `crop_type_south_sudan`: series with masks, the source's own splits.

    Args:
      source: folder that holds `southsudan/`.
      **options: `build_options.Options`.

    Raises:
      InputError: the list or a field is not as described above, no field can be read, or nothing
        can be written.
    """
    root = pathlib.Path(source) / FOLDER
    fields = items(root)
    return mask_builds.prepare(
        CropTypeSouthSudan,
        mask_builds.Source(
            root,
            fields,
            files=[path for item in fields for path in files(root, item)],
            add=_add,
            per_chunk=CHUNK_FIELDS,
            noted={'fields': [list(item) for item in fields]},
        ),
        _content(),
        accept=functools.partial(_accept, total=len(fields)),
        **options,
    )
