"""EuroSAT RGB chips with coordinates: 64 x 64 Sentinel-2 Level-1C true colour, ten land covers.

Source: a folder of one zip of JPEG files a class and `index.csv` (name, class, lat, lon, split,
block, zip). Its lat and lon mark the centre of pixel (32, 32), half a pixel south-east of its
centre, and its splits are whole 1-degree blocks, kept as they are. Chips have pixels of 10 m in the
UTM zone of the place. The 8-bit values were made from DN by
`value = clip(round(DN / 2750 * 254 + 1), 1, 255)`; the inverse is stored, rounded, as uint16.
"""

import functools
import hashlib
import io
import math
import os
import pathlib
import zipfile
from typing import Any

import numpy as np
import pyproj
from jaxtyping import Float, UInt8, UInt16
from PIL import Image

from gair_jax import sensors
from gair_jax.builders import build_report, columns, prepared, staging
from gair_jax.config import InputError
from gair_jax.geo import tiles

SIDE = 64
PIXEL_M = 10.0
MARK = 32.5  # Columns and rows from the corner to the place that lat and lon mark.
INDEX = 'index.csv'
COLUMNS = ('name', 'class', 'lat', 'lon', 'split', 'block', 'zip')
CLASSES = (
    'AnnualCrop',
    'Forest',
    'HerbaceousVegetation',
    'Highway',
    'Industrial',
    'Pasture',
    'PermanentCrop',
    'Residential',
    'River',
    'SeaLake',
)
LABEL = 'land_cover'
LAND_COVER = {
    'encoder': 'rs',
    'label': LABEL,
    'on': 'photo',
    'kind': 'class',
    'classes': list(CLASSES),
}
CHUNK_ROWS = 512


class EurosatRgb(prepared.PreparedBuilder):
    """EuroSAT RGB chips with coordinates, as remote sensing + place."""


def digital_numbers(values: UInt8[np.ndarray, 'h w c']) -> UInt16[np.ndarray, 'h w c']:
    """Level-1C reflectance x 10000 of 8-bit values 1..255; 0, which none should have, gives 0."""
    scaled = (np.maximum(values.astype(np.float64), 1) - 1) / 254 * 2750
    return np.round(scaled).astype(np.uint16)


@functools.cache
def _to_crs(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(tiles.WGS84, crs, always_xy=True)


def chip_box(lonlat: Float[np.ndarray, '2']) -> tuple[np.ndarray, str]:
    """Bounds (left, top, right, bottom), metres, and CRS of the chip whose mark is given."""
    zone = math.floor((lonlat[0] + 180) / 6) % 60 + 1
    crs = f'EPSG:{(32600 if lonlat[1] >= 0 else 32700) + zone}'
    x, y = _to_crs(crs).transform(*lonlat)
    left, top = x - MARK * PIXEL_M, y + MARK * PIXEL_M
    return np.array([left, top, left + SIDE * PIXEL_M, top - SIDE * PIXEL_M]), crs


def read_index(path: pathlib.Path) -> list[dict[str, str]]:
    """The rows of index.csv; InputError for a table that cannot be used."""
    rows = columns.rows(path, COLUMNS)
    for number, row in enumerate(rows, 1):
        if row['class'] not in CLASSES or row['split'] not in prepared.SPLITS:
            raise InputError(
                f'{path}: row {number}: unknown class {row["class"]!r} or split {row["split"]!r}.'
            )
    return rows


def _read_chip(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        image = Image.open(io.BytesIO(archive.read(name)), formats=('JPEG',))
        values = np.asarray(image)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f'{archive.filename}: chip {name} cannot be read: {error}.') from error
    if values.shape != (SIDE, SIDE, 3):
        raise InputError(
            f'{archive.filename}: chip {name}: expected {SIDE} x {SIDE} x 3, found {values.shape}.'
        )
    return values


def _place(row: dict[str, str]) -> np.ndarray:
    try:
        lonlat = np.array([float(row['lon']), float(row['lat'])])
    except ValueError as error:
        raise InputError(f'index.csv: {row["name"]}: lon or lat is no number.') from error
    tiles.check_lonlat(lonlat, row['name'])
    return lonlat


def _records(
    archive: zipfile.ZipFile, row: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The staged photo (which has no image) and the staged acquisition of one chip."""
    lonlat = _place(row)
    bounds, crs = chip_box(lonlat)
    shared = {'id': row['name'], 'tile_key': row['name'], 'date': ''}
    photo = {
        **shared,
        'photo': b'',
        'lonlat': lonlat,
        'heading': math.nan,
        'licence': 'MIT',
        'group': row['block'],
        'split': row['split'],
        'labels': {LABEL: np.array(CLASSES.index(row['class']), np.int32)},
    }
    acquisition = {
        **shared,
        'cloud': math.nan,
        'bands': digital_numbers(_read_chip(archive, row['name'])),
        'band_names': sensors.contract('sentinel2_rgb').bands,
        'bounds': bounds,
        'crs': crs,
        'transform': np.array([PIXEL_M, 0, bounds[0], 0, -PIXEL_M, bounds[1]]),
        'labels': {},
    }
    return photo, acquisition


def _make(source: pathlib.Path, index: int) -> staging.Chunk:
    chunk = staging.Chunk([], [], [])
    rows = read_index(source / INDEX)[index * CHUNK_ROWS : (index + 1) * CHUNK_ROWS]
    for name in sorted({row['zip'] for row in rows}):
        try:
            archive = zipfile.ZipFile(source / name)
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f'{source / name}: cannot be read: {error}.') from error
        with archive:
            for row in rows:
                if row['zip'] == name:
                    photo, acquisition = _records(archive, row)
                    chunk.photos.append(photo)
                    chunk.acquisitions.append(acquisition)
    return chunk


def _content() -> prepared.Content:
    return prepared.Content(
        labels={LABEL: ((), np.int32)},
        tile_labels=(),
        metadata={
            'bands': list(sensors.contract('sentinel2_rgb').bands),
            'pixel_m': PIXEL_M,
            'synthetic': False,
            'tasks': {LABEL: LAND_COVER},
        },
    )


def build(
    source: str | os.PathLike,
    *,
    data_dir: str | os.PathLike = 'prepared',
    variant: str = 'default',
    workers: int = 1,
) -> build_report.BuildReport:
    """Prepares the data set `eurosat_rgb`: remote sensing + place, with the source's own splits.

    Args:
      source: folder with index.csv and the zips it names.
      data_dir: folder that holds prepared data sets.
      variant: name of this build.
      workers: processes; never changes the result.

    Raises:
      InputError: a file is missing or damaged, or nothing can be written.
    """
    source, data_dir = pathlib.Path(source), pathlib.Path(data_dir)
    rows = read_index(source / INDEX)
    metadata = prepared.prepare(
        EurosatRgb,
        variant=variant,
        data_dir=data_dir,
        fingerprint={'index': hashlib.sha256((source / INDEX).read_bytes()).hexdigest()},
        content=_content(),
        chunks=math.ceil(len(rows) / CHUNK_ROWS),
        make=functools.partial(_make, source),
        workers=workers,
    )
    return build_report.report(data_dir, EurosatRgb.name, variant, metadata, [])
