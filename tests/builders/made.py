"""The smallest samples of the benchmark data sets, in their official layouts."""

import datetime
import json
import pathlib

import numpy as np
import rasterio

from gair_jax.config import DataConfig
from gair_jax.input import store
from tests.builders import scenes

UTM = 'EPSG:32632'
CORNER = (500_000.0, 5_300_000.0)  # on the zone's central meridian, 9 degrees east
HLS_NAME = 'subsetted_512x512_HLS.S30.T10SFE.{day}.v1.4'
PARTITIONS = (0, 1, 2, 0, 1, 2)


def opened(folder, name, variant='default'):
    return store.Store(DataConfig(dir=str(folder), name=name, variant=variant))


def tiles_of(source, split):
    """Photo record and acquisitions of each tile of a split."""
    return {
        photo.id: (photo, [source.tiles[row] for row in photo.acquisitions])
        for photo in source.photos(split)
    }


def write_tif(path, values, *, interleave='band', names=(), crs=UTM, step=10.0):
    """A GeoTIFF of [bands, rows, columns]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    place = {'crs': crs, 'transform': rasterio.Affine(step, 0, CORNER[0], 0, -step, CORNER[1])}
    size = {'count': count, 'height': height, 'width': width, 'dtype': values.dtype}
    with rasterio.open(path, 'w', driver='GTiff', interleave=interleave, **size, **place) as sink:
        sink.write(values)
        if names:
            sink.descriptions = names
    return path


def hls_image(seed):
    """6 x 32 x 32 reflectance in 0..0.5 with one pixel of 9999."""
    values = np.random.default_rng(seed).uniform(0, 0.5, (6, 32, 32)).astype(np.float32)
    values[:, 3, 5] = 9999
    return values


def hls_mask(seed):
    return np.random.default_rng(seed + 100).integers(-1, 2, (1, 32, 32)).astype(np.int16)


def write_hls(root, training=10, validation=2):
    """`training` and `validation` pairs; the images are numbered from 0 over both folders."""
    for number in range(training + validation):
        folder = root / ('training' if number < training else 'validation')
        name = HLS_NAME.format(day=2020001 + number)
        image = folder / f'{name}_merged.tif'
        write_tif(image, hls_image(number), interleave='pixel', step=30.0)
        write_tif(folder / f'{name}.mask.tif', hls_mask(number), step=30.0)
    (root / 'training' / 'index.csv').write_text('not read')
    (root / 'training' / '._x_merged.tif').write_bytes(b'not read')
    return root


def farms_image(number, shape=(32, 32), bands=4):
    """Digital numbers: uint16 for tile 0, float32 with a nan for others."""
    values = scenes.pixels(bands, *shape, dtype=np.uint16, seed=number)
    if number == 0:
        return values
    values = values.astype(np.float32) + 0.25
    values[1, 2, 3] = np.nan
    return values


def farms_mask(number, shape=(32, 32)):
    return np.random.default_rng(number).choice([0, 255], (1, *shape)).astype(np.uint8)


def write_farms(root, val='val'):
    for split in ('train', val, 'test'):
        for number in range(2):
            write_farm(root, f'{split}/{{}}/{number}.tif', number)
    return root


def write_farm(root, path, number, shape=(32, 32)):
    """An image and its mask; `path` has {} for the kind of file."""
    folder = root / 'sentinel-2-asia'
    write_tif(folder / path.format('images'), farms_image(number, shape))
    write_tif(folder / path.format('masks'), farms_mask(number, shape))


def crop_dates(count):
    """A month apart from the first of January 2017."""
    return [datetime.date(2017, month + 1, 1).isoformat() for month in range(count)]


def crop_s2(number, count):
    """10 x 16 x 16 x count; image t holds values from 1000 t on, so that dates can be told."""
    values = np.random.default_rng(number).integers(0, 1000, (10, 16, 16, count))
    return (values + 1000 * np.arange(1, count + 1)).astype(np.uint16)


def crop_truth(number):
    return np.random.default_rng(number + 50).integers(0, 7, (16, 16)).astype(np.float32)


def crop_count(number):
    return 4 if number % 2 == 0 else 10


def crop_name(number):
    return f'southsudan_{number:06d}'


def write_crops(root):
    """Six fields of partitions 0, 1, 2 twice, with 4 or 10 images."""
    folder = root / 'southsudan'
    for kind in ('npy', 'truth', 's1', 's2'):
        (folder / kind).mkdir(parents=True)
    rows = [{'id': number, 'partition': part} for number, part in enumerate(PARTITIONS)]
    scenes.write_table(folder / 'list_eval_partition.csv', rows)
    for number in range(len(PARTITIONS)):
        write_crop(folder, number)
    return root


def write_crop(folder, number):
    name, count = crop_name(number), crop_count(number)
    radar = np.zeros((3, 16, 16, 5 if count == 4 else 9), np.float32)
    np.savez(folder / 'npy' / name, s1=radar, s2=crop_s2(number, count))
    np.savez(folder / 'truth' / name, truth=crop_truth(number))
    for kind, dates in (('s1', radar.shape[3]), ('s2', count)):
        text = json.dumps({'dates': crop_dates(dates)})
        (folder / kind / f'{kind}_{name}.json').write_text(text)


def truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
