"""HLS Burn Scars (IBM and NASA): 804 scenes of 512 x 512 pixels at 30 m, with burn scar masks.

Origin: `ibm-nasa-geospatial/hls_burn_scars` on the Hugging Face hub, CC BY 4.0. Source: the folder
of its archive, with `training/` and `validation/`, where `X_merged.tif` (six bands of HLS
reflectance, 0 to 1) goes with `X.mask.tif` (0 not burnt, 1 burn scar, -1 unknown). Pixels of 9999
hold no data and are stored as 0, as PANGAEA feeds them.

Splits as in PANGAEA-Bench: test is `validation/`; val and train are a seeded permutation of the
sorted files of `training/`, which does not separate places or fires.
"""

import datetime
import math
import os
import pathlib
import re
from typing import NamedTuple, Unpack

import numpy as np
from jaxtyping import Int, Shaped

from gair_jax.builders import (
    build_options,
    build_report,
    mask_builds,
    mask_tiles,
    prepared,
    staging,
)
from gair_jax.config import InputError

BANDS = ('B02', 'B03', 'B04', 'B8A', 'B11', 'B12')
LABEL = 'burn_scars'
NO_DATA = 9999
UNKNOWN = -1
CHUNK_TILES = 16  # 100 MB of pixels
IMAGE, MASK = '_merged.tif', '.mask.tif'
_SEED = 23


class HlsBurnScars(prepared.PreparedBuilder):
    """HLS scenes with masks of burn scars, as remote sensing."""


class _Item(NamedTuple):
    """A scene: its split, the folder of the source it lies in, and its name without suffix."""

    split: str
    folder: str
    name: str


def split_order(count: int) -> tuple[Int[np.ndarray, ' v'], Int[np.ndarray, ' t']]:
    """Positions of val and train in the sorted files of `training/`: MT19937, seed 23."""
    order = np.random.RandomState(_SEED).permutation(count)
    held_out = math.ceil(0.1 * count)
    return order[:held_out], order[held_out:]


def _names(folder: pathlib.Path) -> list[str]:
    images = mask_tiles.names(folder, IMAGE)
    mask_tiles.require_pairs(folder, images, mask_tiles.names(folder, MASK))
    return images


def _items(source: pathlib.Path) -> list[_Item]:
    training, test = _names(source / 'training'), _names(source / 'validation')
    if len(training) < 2:
        raise InputError(f'{source / "training"}: expected two scenes or more, found one.')
    if both := sorted(set(training) & set(test)):
        raise InputError(f'{source}: {both[0]} lies in training and in validation.')
    val, train = split_order(len(training))
    return [
        *(_Item('train', 'training', training[i]) for i in train),
        *(_Item('val', 'training', training[i]) for i in val),
        *(_Item('test', 'validation', name) for name in test),
    ]


def _files(source: pathlib.Path, item: _Item) -> tuple[pathlib.Path, pathlib.Path]:
    image, mask = (source / item.folder / f'{item.name}{suffix}' for suffix in (IMAGE, MASK))
    return image, mask


def _granule(name: str) -> tuple[str, str]:
    """MGRS tile and ISO date in the name of an HLS granule, which has year and day of year."""
    found = re.search(r'\.(T\d\d[A-Z]{3})\.(\d{4})(\d{3})', name, re.ASCII)
    if not found:
        return '', ''
    first = datetime.date(max(int(found[2]), 1), 1, 1)
    return found[1], (first + datetime.timedelta(int(found[3]) - 1)).isoformat()


def without_no_data(stored: Shaped[np.ndarray, 'c h w']) -> Shaped[np.ndarray, 'c h w']:
    """The pixels with 0 wherever a band holds 9999."""
    return np.where(stored == NO_DATA, stored.dtype.type(0), stored)


def _add(chunk: staging.Chunk, source: pathlib.Path, item: _Item) -> None:
    path, mask_path = _files(source, item)
    with mask_tiles.opened(path) as image:
        if image.count != len(BANDS):
            raise InputError(f'{path}: expected {len(BANDS)} bands, found {image.count}.')
        place, lonlat = mask_tiles.place(image)
        stored = without_no_data(image.read())
    bands = mask_tiles.storable(mask_tiles.channels_last(stored), path)
    mask = mask_tiles.read_mask(mask_path, bands.shape[:2])
    mask_tiles.require_classes(mask, (0, 1, UNKNOWN), mask_path)
    group, date = _granule(item.name)
    tile = mask_tiles.Tile(
        id=item.name,
        split=item.split,
        group=group,
        licence='CC BY 4.0',
        lonlat=lonlat,
        place=place,
        label=LABEL,
        mask=mask_tiles.filled(mask, UNKNOWN),
    )
    mask_tiles.add(chunk, tile, BANDS, [(date, bands)])


def _content() -> prepared.Content:
    """Shares and statistics as PANGAEA-Bench publishes them."""
    return mask_tiles.content(
        BANDS,
        30.0,
        LABEL,
        ('not burnt', 'burn scar'),
        shares=(0.88889, 0.11111),
        mean=(
            0.033349706741586264,
            0.05701185520536176,
            0.05889748132001316,
            0.2323245113436119,
            0.1972854853760658,
            0.11944914225186566,
        ),
        std=(
            0.02269135568823774,
            0.026807560223070237,
            0.04004109844362779,
            0.07791732423672691,
            0.08708738838140137,
            0.07241979477437814,
        ),
        protocol={
            'crop': 96,
            'evaluation': 'sliding',
            'loss': 'cross_entropy',
            'logits': 2,
            'selection': 'miou',
            'repeat': 1,
            'dates': 1,
        },
    )


def build(
    source: str | os.PathLike, **options: Unpack[build_options.Options]
) -> build_report.BuildReport:
    """Prepares the data set `hls_burn_scars`: remote sensing with masks, PANGAEA's splits.

    Args:
      source: folder with `training/` and `validation/`.
      **options: `build_options.Options`.

    Raises:
      InputError: a file is missing, damaged or not as described above, or nothing can be written.
    """
    source = pathlib.Path(source)
    items = _items(source)
    files = [path for item in items for path in _files(source, item)]
    found = mask_builds.Source(source, items, files, _add, CHUNK_TILES)
    return mask_builds.prepare(HlsBurnScars, found, _content(), **options)
