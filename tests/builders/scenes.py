"""Small photos, tiles and tables that the builder tests import."""

import csv
import io
import warnings

import numpy as np
import rasterio
import rasterio.errors
from PIL import Image

from gair_jax import sensors

L2A = sensors.BAND_ORDERS[12]
PLACE = (9.0, 48.0)  # On the central meridian of UTM zone 32 (EPSG:32632).
DEGREES = 0.001


def pixels(bands=12, height=20, width=24, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(1, 4000, (bands, height, width)).astype(dtype)


def write_tile(path, values=None, corner=PLACE, crs='EPSG:4326', names=L2A, nodata=0, step=DEGREES):
    """A GeoTIFF with its upper left corner at `corner` and square pixels of `step`."""
    values = pixels() if values is None else values
    bands, height, width = values.shape
    place = {}
    if crs:
        left, top = corner
        place = {'crs': crs, 'transform': rasterio.Affine(step, 0, left, 0, -step, top)}
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {'driver': 'GTiff', 'dtype': values.dtype, 'nodata': nodata, **place}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, 'w', count=bands, height=height, width=width, **options) as sink:
            sink.write(values)
            if names:
                sink.descriptions = names
    return path


def quadrants(size=(32, 16)):
    """An image whose four quarters tell how it is turned."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (250, 10, 10)
    image[: height // 2, width // 2 :] = (10, 250, 10)
    image[height // 2 :, : width // 2] = (10, 10, 250)
    image[height // 2 :, width // 2 :] = (240, 240, 240)
    return Image.fromarray(image)


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', **{'quality': 95, 'subsampling': 0, **options})
    return buffer.getvalue()


def exif_with_gps(lon, lat):
    """EXIF that holds this place, to a thousandth of a second; south and west are letters."""
    exif = Image.Exif()

    def sexagesimal(value):
        minutes, seconds = divmod(abs(value) * 3600, 60)
        degrees, minutes = divmod(minutes, 60)
        return degrees, minutes, round(seconds, 3)

    exif[0x8825] = {
        1: 'S' if lat < 0 else 'N',
        2: sexagesimal(lat),
        3: 'W' if lon < 0 else 'E',
        4: sexagesimal(lon),
    }
    return exif


def write_table(path, rows):
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def inside(number, corner=PLACE):
    """A place inside the tile of `write_tile` with that corner, another for every number."""
    column, row = 0.5 + number * 7 % 23, 0.5 + number * 5 % 19
    return round(corner[0] + column * DEGREES, 7), round(corner[1] - row * DEGREES, 7)


def write_set(root, tiles=4, photos=3):
    """`tiles` tiles of `photos` photos each, and their table: a data set without a fault."""
    rows = []
    for tile in range(tiles):
        corner = (PLACE[0] + 0.1 * tile, PLACE[1])
        write_tile(root / f'tiles/t{tile}.tif', pixels(seed=tile), corner)
        for number in range(photos):
            lon, lat = inside(number, corner)
            name = f'photos/p{tile}_{number}.jpg'
            (root / 'photos').mkdir(exist_ok=True)
            image = Image.new('RGB', (40, 30), (tile * 20 % 256, number * 40, 100))
            (root / name).write_bytes(jpeg(image))
            rows.append(
                {
                    'id': f'p{tile}_{number}',
                    'photo': name,
                    'tile': f'tiles/t{tile}.tif',
                    'lon': lon,
                    'lat': lat,
                    'date': '2024-05-01',
                    'heading': 90 * number,
                    'licence': 'CC0',
                    'group': f'city{tile % 2}',
                }
            )
    return rows
