import csv
import io
import zipfile

import numpy as np
import pyproj
import pytest
import rasterio
from PIL import Image

from gair_jax.builders import eurosat_rgb
from gair_jax.builders.eurosat_rgb import builder
from gair_jax.config import DataConfig, InputError
from gair_jax.geo import tiles
from gair_jax.input import store
from tests.builders import scenes
from tests.shared import shared

CLASSES = ('River', 'Forest')


def write_source(folder, chips=3):
    """A folder as the source's: `chips` of each of two classes, in three splits."""
    rows = []
    for label in CLASSES:
        with zipfile.ZipFile(folder / f'{label}.zip', 'w') as archive:
            for number in range(chips):
                name = f'{label}_{number}.jpg'
                pixels = np.random.default_rng(number).integers(1, 256, (8, 8, 3), np.uint8)
                image = Image.fromarray(pixels.repeat(8, 0).repeat(8, 1))
                archive.writestr(name, scenes.jpeg(image, quality=100))
                rows.append(
                    {
                        'name': name,
                        'class': label,
                        'lat': 44.0 + number,
                        'lon': 28.559116,
                        'split': ('train', 'val', 'test')[number],
                        'block': f'{44 + number}_28',
                        'zip': f'{label}.zip',
                    }
                )
    scenes.write_table(folder / 'index.csv', rows)
    return rows


def test_chips_become_tiles_with_places_classes_and_the_given_splits(tmp_path):
    rows = write_source(tmp_path)
    report = eurosat_rgb.build(tmp_path, data_dir=tmp_path / 'prepared')
    assert report.splits == {'train': 2, 'val': 2, 'test': 2} and report.tiles == report.rows == 6
    source = store.Store(
        DataConfig(dir=str(tmp_path / 'prepared'), name='eurosat_rgb', variant='default')
    )
    classes = source.metadata['tasks']['land_cover']['classes']
    expected = {row['name']: row for row in rows}
    for split in source.splits:
        for photo in source.photos(split):
            row = expected.pop(photo.id)
            assert (split, photo.group, photo.photo) == (row['split'], row['block'], b'')
            assert tuple(photo.lonlat) == (row['lon'], row['lat'])
            assert classes[photo.labels['land_cover']] == row['class']
            tile = source.tiles[photo.acquisitions[0]]
            assert tile.id == photo.id and tile.band_names == ('B04', 'B03', 'B02')
            with zipfile.ZipFile(tmp_path / row['zip']) as archive:
                values = np.asarray(Image.open(io.BytesIO(archive.read(photo.id)))).astype(float)
            # The formula of the source's README, one way and back.
            again = np.clip(np.round(tile.bands / 2750 * 254 + 1), 1, 255)
            np.testing.assert_array_equal(again, np.maximum(values, 1))
    assert not expected


def test_the_place_marks_the_centre_of_pixel_32_32():
    lonlat = np.array([28.559116, 44.035174])
    bounds, crs = builder.chip_box(lonlat)
    assert crs == 'EPSG:32635'  # 24 to 30 degrees east.
    tile_xy = tiles.lonlat_to_tile_xy(lonlat, bounds, crs)
    np.testing.assert_allclose((tile_xy + 1) / 2 * 64, [32.5, 32.5], atol=1e-6)
    assert bounds[2] - bounds[0] == bounds[1] - bounds[3] == 640
    # pyproj, asked directly, as the oracle.
    x, y = pyproj.Transformer.from_crs(4326, 32635, always_xy=True).transform(*lonlat)
    np.testing.assert_allclose(bounds[:2], [x - 325, y + 325])


@pytest.mark.parametrize(
    ('lonlat', 'crs'),
    [((-180.0, 1.0), 'EPSG:32601'), ((179.9, -1.0), 'EPSG:32760'), ((180.0, 0.0), 'EPSG:32601')],
)
def test_zones_follow_longitude_and_hemisphere(lonlat, crs):
    assert builder.chip_box(np.array(lonlat))[1] == crs


def test_grey_levels_become_digital_numbers():
    values = np.array([[[0, 1, 128, 255]]], np.uint8)
    # (v - 1) / 254 * 2750 by hand: 0, 0, 1375, 2750.
    assert builder.digital_numbers(values).tolist() == [[[0, 0, 1375, 2750]]]


def change(folder, column, value):
    with (folder / 'index.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    rows[-1][column] = value
    scenes.write_table(folder / 'index.csv', rows)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda folder: (folder / 'index.csv').unlink(), 'index.csv: cannot be read'),
        (lambda folder: (folder / 'index.csv').write_text('name,zip\n'), "with a column 'name'"),
        (lambda folder: (folder / 'Forest.zip').unlink(), 'Forest.zip: cannot be read'),
        (lambda folder: (folder / 'Forest.zip').write_bytes(b'x'), 'Forest.zip: cannot be read'),
        (lambda folder: change(folder, 'name', 'none.jpg'), 'chip none.jpg cannot be read'),
        (lambda folder: change(folder, 'class', 'Lake'), "row 6: unknown class 'Lake'"),
        (lambda folder: change(folder, 'lat', '144'), 'expected lon in'),
        (lambda folder: change(folder, 'lon', 'east'), 'lon or lat is no number'),
    ],
)
def test_a_damaged_source_is_named(tmp_path, spoil, message):
    write_source(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        eurosat_rgb.build(tmp_path, data_dir=tmp_path / 'prepared')
    assert not list((tmp_path / 'prepared').rglob('*.array_record*'))


def test_the_real_index_is_understood():
    rows = builder.read_index(shared('data/eurosat-rgb-geo') / 'index.csv')
    # Counts of its README.
    counts = [sum(row['split'] == split for row in rows) for split in ('train', 'val', 'test')]
    assert counts == [6000, 2000, 1937]


def test_boxes_agree_with_the_georeferenced_originals():
    with (shared('data/s2-eotdl-sample') / 'index.csv').open(newline='') as file:
        originals = {row['eurosat_rgb_name']: row['file'] for row in csv.DictReader(file)}
    rows = builder.read_index(shared('data/eurosat-rgb-geo') / 'index.csv')
    compared = 0
    for row in rows:
        if row['name'] in originals:
            with rasterio.open(shared('data/s2-eotdl-sample') / originals[row['name']]) as original:
                bounds, crs = builder.chip_box(builder._place(row))
                left, bottom, right, top = original.bounds
                assert crs == original.crs.to_string()
            # Half a metre: the table has six decimals (0.1 m), and pixels are 9.99 to 10.01 m.
            np.testing.assert_allclose(bounds, [left, top, right, bottom], atol=0.5)
            compared += 1
    assert compared >= 3
