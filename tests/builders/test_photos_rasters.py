import numpy as np
import pytest
import rasterio

from gair_jax import sensors
from gair_jax.builders.photos import rasters
from gair_jax.config import InputError
from tests.builders import scenes

TEN = sensors.TEN_BANDS
BOX = [9.0, 48.0, 9.024, 47.98]


def read(path, box=(), crs='', order='', sensor='sentinel2_10', max_nodata=0.5):
    reading = rasters.Reading(sensor=sensor, band_order=order, max_nodata=max_nodata)
    return rasters.read(path, reading, list(box), crs)


def test_bands_are_taken_by_description_in_contract_order(tmp_path):
    names = tuple(reversed(scenes.L2A))
    values = scenes.pixels()
    found = read(scenes.write_tile(tmp_path / 'a.tif', values, names=names))
    expected = np.stack([values[names.index(band)] for band in TEN], axis=-1)
    np.testing.assert_array_equal(found.bands, expected)
    assert found.bands.dtype == np.uint16


# Indices of the ten bands.
@pytest.mark.parametrize(
    ('count', 'order', 'indices'),
    [
        (10, '', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (12, '', [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]),
        (13, '', [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]),
        (13, 'eurosat', [1, 2, 3, 4, 5, 6, 7, 12, 10, 11]),
    ],
)
@pytest.mark.parametrize('names', [(), 'junk'])
def test_bands_without_names_are_taken_by_known_order(tmp_path, count, order, indices, names):
    values = scenes.pixels(count)
    names = names and tuple(f'stackstac-{band}' for band in range(count))
    found = read(scenes.write_tile(tmp_path / 'a.tif', values, names=names), order=order)
    np.testing.assert_array_equal(found.bands, np.moveaxis(values[indices], 0, -1))


@pytest.mark.parametrize(
    ('bands', 'names', 'order', 'message'),
    [
        (9, (), '', 'missing band: expected band descriptions, .* found 9 bands described as None'),
        (12, (), 'eurosat', 'missing band: order eurosat is of 13 bands, found 12'),
        (3, ('B4', 'B3', 'B2'), '', 'missing band: band B05 is missing: found B4, B3, B2'),
        (12, ('B2', *scenes.L2A[1:]), '', 'missing band: band B02 is there twice'),
    ],
)
def test_missing_bands_are_named(tmp_path, bands, names, order, message):
    path = scenes.write_tile(tmp_path / 'a.tif', scenes.pixels(bands), names=names)
    with pytest.raises(InputError, match=message):
        read(path, order=order)


def test_the_georeference_is_read_in_full_precision(tmp_path):
    corner = (139.7460578479397, 35.675154204352204)
    found = read(scenes.write_tile(tmp_path / 'a.tif', corner=corner, step=8.983152841195215e-05))
    assert tuple(found.bounds[:2]) == corner and found.crs == 'EPSG:4326'
    with rasterio.open(tmp_path / 'a.tif') as source:
        np.testing.assert_array_equal(found.bounds, np.array(source.bounds)[[0, 3, 2, 1]])
        np.testing.assert_array_equal(found.transform, source.transform[:6])


def test_a_tile_without_georeference_takes_the_box_of_the_table(tmp_path):
    path = scenes.write_tile(tmp_path / 'a.tif', crs='')
    found = read(path, BOX, 'EPSG:4326')
    assert list(found.bounds) == BOX and found.crs == 'EPSG:4326'
    np.testing.assert_allclose(found.transform, [0.001, 0, 9, 0, -0.001, 48], atol=1e-12)
    with pytest.raises(InputError, match='^no georeference'):
        read(path)


def test_its_own_georeference_goes_before_the_box(tmp_path):
    path = scenes.write_tile(tmp_path / 'a.tif', corner=(1.0, 2.0))
    assert read(path, BOX, 'EPSG:4326').bounds[0] == 1.0


def test_a_turned_or_mirrored_raster_is_refused(tmp_path):
    path = scenes.write_tile(tmp_path / 'a.tif')
    for transform in ((1e-3, 1e-4, 9, 0, -1e-3, 48), (1e-3, 0, 9, 0, 1e-3, 48)):
        with rasterio.open(path, 'r+') as source:
            source.transform = rasterio.Affine(*transform)
        with pytest.raises(InputError, match='^not north up'):
            read(path)


def test_a_zero_in_one_band_is_data_and_in_all_bands_is_not(tmp_path):
    values = scenes.pixels()
    values[3] = 0
    values[:, :11] = 0  # 11 of 20 rows.
    path = scenes.write_tile(tmp_path / 'a.tif', values)
    assert read(path, max_nodata=0.55).bands[:11].max() == 0
    with pytest.raises(InputError, match='^too little data: 55% of the pixels'):
        read(path, max_nodata=0.5)


def test_nodata_of_the_file_becomes_that_of_the_contract(tmp_path):
    values = scenes.pixels(dtype=np.int16)
    values[:, 0, :3] = -9999
    found = read(scenes.write_tile(tmp_path / 'a.tif', values, nodata=-9999))
    assert found.bands.dtype == np.uint16 and (found.bands[0, :3] == 0).all()
    assert (found.bands[0, 3:] > 0).all()


def test_nan_in_any_band_is_no_data(tmp_path):
    values = scenes.pixels(dtype=np.float32)
    values[4, :, :12] = np.nan  # Half of the pixels, in one band.
    path = scenes.write_tile(tmp_path / 'a.tif', values, nodata=None)
    found = read(path).bands
    assert found.dtype == np.float32 and np.isfinite(found).all() and (found[:, :12] == 0).all()
    with pytest.raises(InputError, match='^too little data: 50% .* at most 49%'):
        read(path, max_nodata=0.49)


def test_infinite_pixels_are_refused(tmp_path):
    values = scenes.pixels(dtype=np.float32)
    values[4, 2, 2] = np.inf
    with pytest.raises(InputError, match='^infinite pixels'):
        read(scenes.write_tile(tmp_path / 'a.tif', values, nodata=None))


def test_what_is_no_raster_is_refused(tmp_path):
    path = scenes.write_tile(tmp_path / 'a.tif', scenes.pixels(height=200, width=200))
    data = path.read_bytes()
    for content in (b'no raster', b'', data[: len(data) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match='^tile unreadable'):
            read(path)


def test_a_raster_too_large_for_a_record_is_refused(tmp_path):
    values = np.ones((10, 1, rasters.MAX_SIDE + 1), np.uint8)
    with pytest.raises(InputError, match='^tile too large: 2049 x 1 pixels'):
        read(scenes.write_tile(tmp_path / 'a.tif', values, names=()))


@pytest.mark.parametrize(
    ('box', 'crs', 'message'),
    [
        (
            [9.0, 47.0, 9.1, 48.0],
            'EPSG:4326',
            '^tile bounds: expected left < right and bottom < top',
        ),
        ([9.1, 48.0, 9.0, 47.0], 'EPSG:4326', '^tile bounds'),
        (BOX, 'EPSG:999999', "^crs: expected a name like EPSG:32633, found 'EPSG:999999'"),
        (
            [5e5, 5.31e6, 5.1e5, 5.3e6],
            'EPSG:4326',
            '^wrong crs: the box 500000, 5310000, .* no place',
        ),
    ],
)
def test_a_box_that_is_nowhere_is_refused(tmp_path, box, crs, message):
    path = scenes.write_tile(tmp_path / 'a.tif', crs='')
    with pytest.raises(InputError, match=message):
        read(path, box, crs)
