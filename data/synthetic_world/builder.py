"""The synthetic world as a prepared data set: tiles, street views, labels of all nine tasks.

`gair_jax.input.synthetic` makes it by rule from a seed; nothing in it is real, its scores are never
mixed with real ones. `tiny` is the quickstart's, `small` serves ablations.
"""

import dataclasses
import functools
import math
import os
import pathlib
from typing import Any

import numpy as np

from gair_jax.builders import build_report, prepared, staging
from gair_jax.config import InputError
from gair_jax.input.synthetic import globe, labels, materials, raster, tiles

# Counts up whenever the same seed gives another world, so that an old build is not taken for new.
EDITION = 1
CHUNK_TILES = 8


class SyntheticWorld(prepared.PreparedBuilder):
    """Tiles and street views of a made-up world."""


def _make(seed: int, size: tiles.Size, index: int) -> staging.Chunk:
    chunk = staging.Chunk([], [], [])
    for tile in range(index * CHUNK_TILES, min((index + 1) * CHUNK_TILES, size.tiles)):
        made = tiles.make_tile(seed, size, tile)
        chunk.photos.extend(made.photos)
        chunk.acquisitions.extend(made.acquisitions)
    return chunk


def _task(encoder: str, label: str, on: str, kind: str, classes: tuple[str, ...]) -> dict[str, Any]:
    return {'encoder': encoder, 'label': label, 'on': on, 'kind': kind, 'classes': list(classes)}


def _tasks() -> dict[str, dict[str, Any]]:
    """The nine tasks; `classes` of a regression names its values."""
    crops = ('none', *materials.CROPS)
    found = [
        _task('sv', 'indicators', 'photo', 'regression', labels.INDICATORS),
        _task('sv', 'perception', 'photo', 'regression', labels.PERCEPTION),
        _task('sv', 'direction', 'photo', 'class', labels.DIRECTIONS),
        _task('sv', 'platform', 'photo', 'class', labels.PLATFORMS),
        _task('rs', 'burn_scars', 'tile', 'mask', ('unburnt', 'burnt')),
        _task('rs', 'crop_type', 'tile', 'mask', crops),
        _task('rs', 'field_boundaries', 'tile', 'mask', ('other', 'boundary')),
        _task('location', 'place_regression', 'photo', 'regression', globe.REGRESSIONS),
        _task('location', 'place_class', 'photo', 'class', globe.SPECIES),
    ]
    tasks = {task['label']: task for task in found}
    tasks['crop_type']['dates'] = 'all'  # no single date tells the crops apart
    return tasks


def _content() -> prepared.Content:
    tasks = _tasks()
    shapes = {
        task['label']: ((), np.int64)
        if task['kind'] == 'class'
        else ((len(task['classes']),), np.float32)
        for task in tasks.values()
        if task['on'] == 'photo'
    }
    return prepared.Content(
        labels=shapes,
        tile_labels=tuple(name for name, task in tasks.items() if task['on'] == 'tile'),
        metadata={
            'bands': list(materials.BANDS),
            'pixel_m': raster.PIXEL,
            'synthetic': True,
            'tasks': tasks,
        },
    )


def build(
    *,
    variant: str = 'tiny',
    data_dir: str | os.PathLike = 'prepared',
    seed: int = 0,
    workers: int = 1,
) -> build_report.BuildReport:
    """Prepares the data set `synthetic_world`.

    Args:
      variant: 'tiny' (5 952 photos of 64 x 96 pixels, tiles of 96 pixels) or 'small' (20 000 photos
        of 224 x 320, tiles of 128); both have 8 photos and 4 dates a tile.
      data_dir: folder that holds prepared data sets.
      seed: of the world, 0 or more.
      workers: processes; never changes the result.

    Raises:
      InputError: there is no such variant, it holds another build, or nothing can be written.
    """
    if variant not in tiles.SIZES:
        known = ' or '.join(tiles.SIZES)
        raise InputError(f'variant: synthetic_world knows {known}, found {variant!r}')
    if seed < 0:
        raise InputError(f'seed: expected 0 or more, found {seed}')
    size, data_dir = tiles.SIZES[variant], pathlib.Path(data_dir)
    metadata = prepared.prepare(
        SyntheticWorld,
        variant=variant,
        data_dir=data_dir,
        fingerprint={'edition': EDITION, 'seed': seed, **dataclasses.asdict(size)},
        content=_content(),
        chunks=math.ceil(size.tiles / CHUNK_TILES),
        make=functools.partial(_make, seed, size),
        workers=workers,
    )
    notes = ['This world is synthetic: its scores say nothing about real places.']
    return build_report.report(data_dir, SyntheticWorld.name, variant, metadata, notes)
