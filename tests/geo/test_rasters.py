"""Geometry on rasters: a marked pixel warped to UTM, and real neighbouring chips."""

import csv
import io
import zipfile

import numpy as np
import pytest
import rasterio.transform
import rasterio.warp
from PIL import Image

from gair_jax.geo.sphere import great_circle_m
from gair_jax.geo.tiles import lonlat_to_tile_xy, place_in_tile, tile_xy_to_lonlat
from gair_jax.geo.windows import place_window, tile_xy_from_window, window_xy
from tests.shared import shared

# rasterio 1.4 multiplies affine transforms the old way.


def box(transform, shape):
    left, bottom, right, top = rasterio.transform.array_bounds(*shape, transform)
    return np.array([left, top, right, bottom])


def pixel(tile_xy, shape):
    """(row, col) of a position, in pixels from the upper left corner."""
    return (tile_xy[::-1] + 1) / 2 * shape


@pytest.mark.parametrize(('place', 'utm'), [((139.746, 35.658), 32654), ((-70.65, -33.44), 32719)])
def test_a_marked_raster_in_degrees_and_in_utm(place, utm):
    """A bright pixel at the photo's place, warped: xy in both leads back and hits the mark."""
    photo, shape = np.array(place), (200, 160)
    step = 1e-4
    transform = rasterio.transform.from_origin(
        place[0] - 61.3 * step, place[1] + 87.6 * step, step, step
    )
    marked = np.zeros(shape, np.float32)
    marked[87, 61] = 1
    warped_transform, width, height = rasterio.warp.calculate_default_transform(
        'EPSG:4326', utm, shape[1], shape[0], *box(transform, shape)[[0, 3, 2, 1]], resolution=10
    )
    warped = np.zeros((height, width), np.float32)
    rasterio.warp.reproject(
        marked, warped, src_transform=transform, src_crs='EPSG:4326',
        dst_transform=warped_transform, dst_crs=utm, resampling=rasterio.warp.Resampling.bilinear,
    )  # fmt: skip
    for raster, affine, crs in (
        (marked, transform, 'EPSG:4326'),
        (warped, warped_transform, f'EPSG:{utm}'),
    ):
        bounds = box(affine, raster.shape)
        tile_xy = place_in_tile(photo, bounds, crs, 'photo')
        row, col = place_window(tile_xy, raster.shape, 96, 'random', np.random.default_rng(0))
        xy = window_xy(tile_xy, raster.shape, row, col, 96)
        window = raster[row : row + 96, col : col + 96]
        brightest = np.unravel_index(window.argmax(), window.shape)
        assert np.abs(pixel(xy, window.shape) - 0.5 - brightest).max() <= 1
        back = tile_xy_to_lonlat(tile_xy_from_window(xy, raster.shape, row, col, 96), bounds, crs)
        assert great_circle_m(back, photo) < 0.01 * 10


def chips(names, folder):
    with open(folder / 'index.csv', newline='') as file:
        rows = {row['name']: row for row in csv.DictReader(file)}
    for name in names:
        with zipfile.ZipFile(folder / rows[name]['zip']) as archive:
            entry = next(e for e in archive.namelist() if e.endswith('/' + name) or e == name)
            with Image.open(io.BytesIO(archive.read(entry))) as image:
                yield np.asarray(image, np.float32)


def neighbours(folder, axis, count=40):
    """Pairs (chip, the chip 640 m to its east or south) by our own geometry of UTM tiles."""
    with open(folder / 'index.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    lonlat = np.array([[float(row['lon']), float(row['lat'])] for row in rows])
    zones = np.floor((lonlat[:, 0] + 180) / 6).astype(int) + 1
    step = np.array([1, 0] if axis == 'east' else [0, 1])
    pairs = []
    for zone in np.unique(zones):
        members = np.flatnonzero(zones == zone)
        # A tile of 1280 m, so that tile_xy counts 640 m; chips lie far outside it.
        bounds = np.array([5e5 - 640, 6e6 + 640, 5e5 + 640, 6e6 - 640])
        at = lonlat_to_tile_xy(lonlat[members], bounds, f'EPSG:{32600 + zone}')
        off = np.abs(at[None] - at[:, None] - step).max(axis=-1)
        pairs += [
            (rows[members[i]]['name'], rows[members[j]]['name']) for i, j in np.argwhere(off < 0.02)
        ]
    return pairs[:: max(1, len(pairs) // count)][:count]


@pytest.mark.slow
@pytest.mark.parametrize('axis', ['east', 'south'])
def test_orientation_on_real_neighbouring_chips(axis):
    """Chips that our x (y) says lie to the east (south) continue at that edge and at no other."""
    folder = shared('data/eurosat-rgb-geo')
    right, wrong = [], []
    for pair in neighbours(folder, axis):
        a, b = chips(pair, folder)
        if axis == 'south':
            a, b = a.transpose(1, 0, 2), b.transpose(1, 0, 2)
        right.append(np.abs(a[:, -1] - b[:, 0]).mean())
        wrong.append(np.abs(a[:, 0] - b[:, -1]).mean())
    assert len(right) == 40
    # Over 300 pairs of the whole set: 7.2 and 6.9 at the right edge, 16.2 and 16.8 at the other.
    assert np.mean(right) < 10 and np.mean(wrong) > 1.5 * np.mean(right)
