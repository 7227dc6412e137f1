"""AI4SmallFarms: 62 Sentinel-2 tiles of about 5 km in Cambodia and Vietnam, with field masks.

Origin: DANS data station, DOI 10.17026/dans-xy6-ngg6, CC BY 4.0. Source: the folder that holds
`sentinel-2-asia/{train,val,test}/{images,masks}/*.tif` (`validate` is read as `val`). An image
goes with the mask of its own file name; tiles differ in size and need not be square. Pixels are
digital numbers, nan is stored as 0. A mask's value v is class trunc(v / 255): 255 is a field, every
other value background.

Bands B02, B03, B04, B08 are taken by the names in the file where it has them. Without names, four
bands are these four; ten bands are taken to start B01, B02, ... in ESA's order, as the one
description of such files says (red, green, blue in bands 4, 3, 2): bands 2, 3, 4 and 8.
"""

import os
import pathlib
from typing import Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Shaped, UInt8

from gair_jax import sensors
from gair_jax.builders import (
    build_options,
    build_report,
    mask_builds,
    mask_tiles,
    prepared,
    staging,
)
from gair_jax.config import InputError

BANDS = ('B02', 'B03', 'B04', 'B08')
LABEL = 'field_boundaries'
UNNAMED = {4: (0, 1, 2, 3), 10: (1, 2, 3, 7)}  # where the bands stand in files without names
FOLDER = 'sentinel-2-asia'
FOLDERS = {'train': ('train',), 'val': ('val', 'validate'), 'test': ('test',)}
CHUNK_TILES = 8


class Ai4smallfarms(prepared.PreparedBuilder):
    """Sentinel-2 tiles with masks of small fields, as remote sensing."""


class _Item(NamedTuple):
    """A tile: its split, the folder of that split under the source, and its name."""

    split: str
    folder: str
    name: str


def _folder(root: pathlib.Path, split: str) -> pathlib.Path:
    found = [root / name for name in FOLDERS[split] if (root / name).is_dir()]
    if len(found) != 1:
        wanted = ' or '.join(FOLDERS[split])
        listed = ' and '.join(path.name for path in found) or 'none'
        raise InputError(f'{root}: expected one folder {wanted}, found {listed}.')
    return found[0]


def _items(source: pathlib.Path) -> list[_Item]:
    items = []
    for split in prepared.SPLITS:
        folder = _folder(source / FOLDER, split)
        images = mask_tiles.names(folder / 'images', '.tif')
        mask_tiles.require_pairs(folder, images, mask_tiles.names(folder / 'masks', '.tif'))
        items += [_Item(split, f'{FOLDER}/{folder.name}', name) for name in images]
    return items


def _band_indices(source: Any) -> list[int]:
    """Where `BANDS` stand in an open file, counted from 1."""
    if source.count not in UNNAMED:
        raise InputError(f'{source.name}: expected 4 or 10 bands, found {source.count}.')
    described = [sensors.canonical(text or '') for text in source.descriptions]
    named = set(BANDS) <= set(described)
    indices = sensors.band_indices(described, BANDS) if named else UNNAMED[source.count]
    return [int(index) + 1 for index in indices]


def field_mask(stored: Shaped[np.ndarray, 'h w']) -> UInt8[np.ndarray, 'h w']:
    """Class 1 where the mask holds 255, else 0."""
    return (stored == 255).astype(np.uint8)


def _image(source: Any) -> Shaped[np.ndarray, 'h w c']:
    stored = source.read(_band_indices(source))
    if stored.dtype.kind == 'f':
        stored = np.where(np.isnan(stored), stored.dtype.type(0), stored)
    return mask_tiles.storable(mask_tiles.channels_last(stored), pathlib.Path(source.name))


def _files(source: pathlib.Path, item: _Item) -> tuple[pathlib.Path, pathlib.Path]:
    image, mask = (source / item.folder / k / f'{item.name}.tif' for k in ('images', 'masks'))
    return image, mask


def _add(chunk: staging.Chunk, source: pathlib.Path, item: _Item) -> None:
    path, mask_path = _files(source, item)
    with mask_tiles.opened(path) as image:
        bands = _image(image)
        place, lonlat = mask_tiles.place(image)
    stored = mask_tiles.read_mask(mask_path, bands.shape[:2])
    tile = mask_tiles.Tile(
        id=f'{item.split}/{item.name}',
        split=item.split,
        group='',
        licence='CC BY 4.0',
        lonlat=lonlat,
        place=place,
        label=LABEL,
        mask=field_mask(stored),
    )
    mask_tiles.add(chunk, tile, BANDS, [('', bands)])


def _content() -> prepared.Content:
    """Shares and statistics as PANGAEA-Bench publishes them."""
    return mask_tiles.content(
        BANDS,
        10.0,
        LABEL,
        ('background', 'field'),
        shares=(0.72676, 0.27324),
        mean=(750.2136, 1032.7277, 1165.1279, 2416.0448),
        std=(283.3842, 332.7280, 518.9025, 702.3791),
        protocol={
            'crop': 96,
            'evaluation': 'sliding',
            'loss': 'dice',
            'logits': 1,
            'selection': 'iou_1',
            'repeat': 2,
            'dates': 1,
        },
    )


def build(
    source: str | os.PathLike, **options: Unpack[build_options.Options]
) -> build_report.BuildReport:
    """Prepares the data set `ai4smallfarms`: remote sensing with masks, the source's own splits.

    Args:
      source: folder that holds `sentinel-2-asia/`.
      **options: `build_options.Options`.

    Raises:
      InputError: a file is missing, damaged or not as described above, or nothing can be written.
    """
    source = pathlib.Path(source)
    items = _items(source)
    files = [path for item in items for path in _files(source, item)]
    found = mask_builds.Source(source, items, files, _add, CHUNK_TILES)
    return mask_builds.prepare(Ai4smallfarms, found, _content(), **options)
