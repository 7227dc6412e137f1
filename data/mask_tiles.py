"""Tiles with a mask of classes, as benchmarks of remote sensing keep them, as staged records.

A tile becomes one `photos` record without an image, at the middle of the tile, and one acquisition
a date, each with the mask: uint8, classes from 0, `IGNORED` where the truth is unknown.
"""

import contextlib
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import rasterio
import rasterio.errors
from jaxtyping import Bool, Float, Integer, Shaped, UInt8

from gair_jax.builders import prepared, staging
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input import raster_files
from gair_jax.input.raster_files import Georeference
from gair_jax.input.warning_filters import filtered

IGNORED = 255


class Tile(NamedTuple):
    """What all dates of a tile share.

    id: unique in the data set.
    split: train, val or test.
    group: what lies together or was seen together; or ''.
    licence: of the data set.
    lonlat: degrees, WGS84, of its middle; nan where nobody knows.
    place: its box and CRS.
    label: name of the mask.
    mask: classes, `IGNORED` where unknown.
    """

    id: str
    split: str
    group: str
    licence: str
    lonlat: Float[np.ndarray, '2']
    place: Georeference
    label: str
    mask: UInt8[np.ndarray, 'h w']


def add(
    chunk: staging.Chunk,
    tile: Tile,
    band_names: tuple[str, ...],
    images: Sequence[tuple[str, Shaped[np.ndarray, 'h w c']]],
) -> None:
    """Adds the records of a tile to a chunk; `images` are (ISO date or '', pixels)."""
    chunk.photos.append(
        {
            'id': tile.id,
            'photo': b'',
            'lonlat': tile.lonlat,
            'heading': np.nan,
            'date': '',
            'licence': tile.licence,
            'group': tile.group,
            'tile_key': tile.id,
            'split': tile.split,
            'labels': {},
        }
    )
    for number, (date, bands) in enumerate(images):
        chunk.acquisitions.append(
            {
                'id': tile.id if len(images) == 1 else f'{tile.id}#{number}',
                'tile_key': tile.id,
                'date': date,
                'cloud': np.nan,
                'bands': bands,
                'band_names': band_names,
                'bounds': tile.place.bounds,
                'crs': tile.place.crs,
                'transform': tile.place.transform,
                'labels': {tile.label: tile.mask},
            }
        )


def content(
    bands: Sequence[str],
    pixel_m: float,
    name: str,
    classes: Sequence[str],
    *,
    dates: str = 'first',
    shares: Sequence[float],
    mean: Sequence[float],
    std: Sequence[float],
    protocol: dict[str, Any],
    georeferenced: bool = True,
) -> prepared.Content:
    """Metadata of a data set whose one task is a mask.

    Beside `bands`, `pixel_m` and `synthetic` it holds

      georeferenced   false: crs is '', places are nan, and boxes count metres from the tile's
                      lower left corner
      tasks           name -> encoder 'rs', label (the same name), on 'tile', kind 'mask', and
        classes       names, in the order of the mask's values
        dates         'first', or 'all' where a tile has a series
        ignore        the mask's value for unknown truth, 255
        shares        of each class among the known pixels of the whole set, as published
        statistics    mean and std of each of `bands`, in stored units
        protocol      what PANGAEA does with it:
          crop        side of the random crop in training, pixels; 0: the whole tile
          evaluation  'sliding' windows of the encoder's size, or the 'whole' tile
          loss        'cross_entropy' or 'dice'
          logits      number of outputs; 1: the second class against the first
          selection   validation score that picks the epoch: 'miou', or 'iou_1' of class 1
          repeat      how often a tile is listed in train and val
          dates       dates the model sees, the latest, newest first, zeros where there are fewer
                      (`gair_jax.input.latest_dates`)
    """
    task = {
        'encoder': 'rs',
        'label': name,
        'on': 'tile',
        'kind': 'mask',
        'classes': list(classes),
        'dates': dates,
        'ignore': IGNORED,
        'shares': list(shares),
        'statistics': {'mean': list(mean), 'std': list(std)},
        'protocol': protocol,
    }
    metadata = {
        'bands': list(bands),
        'pixel_m': pixel_m,
        'synthetic': False,
        'georeferenced': georeferenced,
        'tasks': {name: task},
    }
    return prepared.Content(labels={}, tile_labels=(name,), metadata=metadata)


def names(folder: pathlib.Path, suffix: str) -> list[str]:
    """What stands before the suffix in the names of a folder's files, by name; hidden ones left."""
    if not folder.is_dir():
        raise InputError(f'{folder}: expected a folder with files *{suffix}, found no such folder.')
    found = (path.name for path in folder.iterdir() if path.name.endswith(suffix))
    return [name.removesuffix(suffix) for name in sorted(found) if not name.startswith('.')]


def require_pairs(folder: pathlib.Path, images: Iterable[str], masks: Iterable[str]) -> None:
    """Raises InputError unless images and masks have the same names, and there are any."""
    images, masks = set(images), set(masks)
    if odd := sorted(images ^ masks):
        lacks = 'a mask' if odd[0] in images else 'an image'
        raise InputError(
            f'{folder}: {odd[0]}: expected an image and its mask, found it lacks {lacks}.'
        )
    if not images:
        raise InputError(f'{folder}: expected images and masks, found none.')


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Any]:
    """An open GeoTIFF; InputError names a file that cannot be opened, or read while it is open."""
    try:
        with filtered(error=None, ignore=rasterio.errors.NotGeoreferencedWarning):
            source = rasterio.open(path, driver='GTiff')
        with source:
            yield source
    except rasterio.errors.RasterioError as error:
        raise InputError(f'{path}: cannot be read: {error}.') from error


def place(source: Any) -> tuple[Georeference, Float[np.ndarray, '2']]:
    """Box and CRS of an open GeoTIFF, and the lonlat of its middle; InputError names the file."""
    try:
        found = raster_files.placed(source, (), '')
    except InputError as error:
        raise InputError(f'{source.name}: {error}') from error
    if found is None:
        raise InputError(f'{source.name}: expected a georeference, found none.')
    return found, tiles.tile_xy_to_lonlat(np.zeros(2), found.bounds, found.crs)


def read_mask(path: pathlib.Path, shape: tuple[int, int]) -> Shaped[np.ndarray, 'h w']:
    """The one band of a mask, as stored; InputError unless it is one, of the image's `shape`."""
    with opened(path) as source:
        if source.count != 1 or source.shape != shape:
            expected, found = (f'{h} x {w}' for h, w in (shape, source.shape))
            raise InputError(
                f'{path}: expected one band of {expected} pixels as its image has, found '
                f'{source.count} of {found}.'
            )
        return source.read(1)


def require_classes(
    mask: Shaped[np.ndarray, 'h w'], known: Sequence[int], path: pathlib.Path
) -> None:
    """Raises InputError for a mask with another value than those known."""
    odd: Bool[np.ndarray, 'h w'] = ~np.isin(mask, known)
    if odd.any():
        listed = ', '.join(str(value) for value in known)
        raise InputError(f'{path}: expected a class of {listed}, found {mask[odd][0]}.')


def storable(
    values: Shaped[np.ndarray, 'h w c'], path: pathlib.Path
) -> Shaped[np.ndarray, 'h w c']:
    """Pixels in a type that records hold: uint8, uint16 and float32 as they are, else float32.

    Raises:
      InputError: a pixel is nan or infinite.
    """
    if values.dtype.name not in ('uint8', 'uint16', 'float32'):
        values = values.astype(np.float32)
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        raise InputError(f'{path}: expected finite pixels, found nan or infinity.')
    return values


def channels_last(stored: Shaped[np.ndarray, 'c h w']) -> Shaped[np.ndarray, 'h w c']:
    """Band-first pixels as records have them."""
    return np.ascontiguousarray(np.moveaxis(stored, 0, -1))


def filled(mask: Integer[np.ndarray, 'h w'], unknown: int) -> UInt8[np.ndarray, 'h w']:
    """The mask as uint8, with `IGNORED` where it holds `unknown`."""
    return np.where(mask == unknown, IGNORED, mask).astype(np.uint8)
