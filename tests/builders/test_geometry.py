"""Does a place stay where it is, from raster file and table to the position in the stored tile?"""

import csv
import io
import zipfile

import numpy as np
import pytest
import rasterio
import rasterio.warp
from PIL import Image
from scipy import spatial

from gair_jax.builders import photos
from gair_jax.builders.eurosat_rgb import builder as eurosat
from gair_jax.config import DataConfig
from gair_jax.geo import tiles, windows
from gair_jax.input import store
from tests.builders import scenes
from tests.shared import shared

STEP = 8.983152841195215e-05  # Degrees: 10 m of latitude, as in the published example tiles.
SIDE = 160
MARK = (37, 101)  # Row and column.


def write_marked(folder, corner, crs):
    """One raster with a bright pixel, as it is and warped to UTM, and the mark's lon and lat."""
    values = np.full((12, SIDE, SIDE), 100, np.uint16)
    values[:, MARK[0], MARK[1]] = 4000
    source = scenes.write_tile(folder / 'wgs84.tif', values, corner, step=STEP)
    with rasterio.open(source) as opened:
        transform, width, height = rasterio.warp.calculate_default_transform(
            opened.crs, crs, SIDE, SIDE, *opened.bounds, resolution=10
        )
        warped = np.zeros((12, height, width), np.uint16)
        rasterio.warp.reproject(
            values,
            warped,
            src_transform=opened.transform,
            src_crs=opened.crs,
            dst_transform=transform,
            dst_crs=crs,
            resampling=rasterio.warp.Resampling.bilinear,
        )
    size = {'count': 12, 'height': height, 'width': width, 'dtype': np.uint16}
    with rasterio.open(
        folder / 'utm.tif', 'w', driver='GTiff', crs=crs, transform=transform, nodata=0, **size
    ) as sink:
        sink.write(warped)
    return corner[0] + (MARK[1] + 0.5) * STEP, corner[1] - (MARK[0] + 0.5) * STEP


# rasterio's warp still multiplies transforms with a star.
@pytest.mark.filterwarnings('ignore:Use `@` matmul:PendingDeprecationWarning')
@pytest.mark.parametrize(
    ('corner', 'crs'),
    [
        ((139.7460578479397, 35.675154204352204), 'EPSG:32654'),
        ((-70.66, -33.43), 'EPSG:32719'),
        ((5.95, 60.39), 'EPSG:32631'),  # At the edge of its zone, turned by 2.6 degrees.
        ((-0.0045, 0.0045), 'EPSG:32630'),  # Over the equator and the prime meridian.
    ],
)
def test_a_photo_stands_on_the_same_mark_in_any_crs(tmp_path, corner, crs):
    lon, lat = write_marked(tmp_path, corner, crs)
    rows = [{'id': 'p', 'tile': 'wgs84.tif;utm.tif', 'lon': repr(lon), 'lat': repr(lat)}]
    table = scenes.write_table(tmp_path / 'table.csv', rows)
    photos.build(table, {}, tmp_path, data_dir=tmp_path)
    source = store.Store(DataConfig(dir=str(tmp_path), name='photos', variant='default'))
    photo = source.photos('train')[0]
    assert tuple(photo.lonlat) == (lon, lat)
    assert {source.tiles[row].crs for row in photo.acquisitions} == {'EPSG:4326', crs}
    for row in photo.acquisitions:
        tile = source.tiles[row]
        shape = tile.bands.shape[:2]
        tile_xy = tiles.place_in_tile(photo.lonlat, tile.bounds, tile.crs, tile.id)
        window = windows.window_xy(tile_xy, shape, 7, 30, 96)
        again = windows.tile_xy_from_window(window, shape, 7, 30, 96)
        back = tiles.tile_xy_to_lonlat(again, tile.bounds, tile.crs)
        assert np.abs((back - photo.lonlat) / STEP).max() < 0.01
        # Continuous column and row, pixel centres at a half.
        column_row = (tile_xy + 1) / 2 * np.array(shape[::-1])
        brightest = np.unravel_index(tile.bands[..., 0].argmax(), shape)
        assert np.abs(np.array(brightest[::-1]) + 0.5 - column_row).max() <= 1


def neighbours(boxes, step):
    """Pairs of chips of one zone whose boxes lie `step` metres apart, within 15 m."""
    tree = spatial.cKDTree(boxes[:, :2])
    hits = tree.query_ball_point(boxes[:, :2] + step, 15)
    return [(first, second) for first, found in enumerate(hits) for second in found]


@pytest.mark.parametrize(
    ('step', 'facing'),
    [
        ((640.0, 0.0), lambda chip: (chip[:, -1], chip[:, 0])),  # East of it.
        ((0.0, -640.0), lambda chip: (chip[-1], chip[0])),  # South of it.
    ],
)
def test_neighbouring_chips_are_continuous_where_their_boxes_touch(step, facing):
    """Measured on 300 pairs: edges differ by 7 grey levels, by 16 swapped, by 29 when unrelated."""
    root = shared('data/eurosat-rgb-geo')
    with (root / 'index.csv').open(newline='') as file:
        rows = [row for row in csv.DictReader(file)]
    places = [np.array([float(row['lon']), float(row['lat'])]) for row in rows]
    located = [eurosat.chip_box(place) for place in places]
    boxes = np.array([box for box, _ in located])
    zones = np.array([int(crs[-2:]) for _, crs in located])
    boxes[:, 0] += zones * 1e7  # Keeps zones apart.
    pairs = neighbours(boxes, np.array(step))
    pairs = np.random.default_rng(0).permutation(pairs)[:300]
    assert len(pairs) == 300
    archives = {name: zipfile.ZipFile(root / name) for name in {row['zip'] for row in rows}}

    def chip(index):
        data = archives[rows[index]['zip']].read(rows[index]['name'])
        return np.asarray(Image.open(io.BytesIO(data))).astype(float)

    chips = {index: chip(index) for index in pairs.flat}
    touching, swapped, unrelated = [], [], []
    for number, (first, second) in enumerate(pairs):
        (end, start), (other_end, other_start) = facing(chips[first]), facing(chips[second])
        touching.append(np.abs(end - other_start).mean())
        swapped.append(np.abs(other_end - start).mean())
        stranger = facing(chips[pairs[(number + 40) % len(pairs)][1]])[1]
        unrelated.append(np.abs(end - stranger).mean())
    for archive in archives.values():
        archive.close()
    print(np.mean(touching), np.mean(swapped), np.mean(unrelated))
    assert np.mean(touching) < 9 < 13 < np.mean(swapped) < np.mean(unrelated)
