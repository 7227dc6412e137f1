"""Bands, order, unit, offset and nodata of tiles: each rule on a tile with and one without it."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gair_jax import sensors
from gair_jax.serve import doctor
from gair_jax.serve.doctor import rasters
from tests.builders.scenes import write_tile
from tests.serve.doctor.made import LEVELS, fine, levels_of_13, only, pixels

UTM, CORNER = 'EPSG:32632', (500_000.0, 5_300_000.0)


def tile(folder, values=None, names=sensors.BAND_ORDERS[12], **options):
    values = pixels() if values is None else values
    options = {'corner': CORNER, 'crs': UTM, 'step': 10.0, **options}
    return write_tile(folder / 'tile.tif', values, names=names, **options)


def test_a_sound_tile_is_fine(tmp_path):
    assert fine(tile(tmp_path))
    assert fine(tile(tmp_path, names=()))
    assert fine(tile(tmp_path, pixels()[:10], names=sensors.TEN_BANDS))


def test_a_file_cut_short(tmp_path):
    path = tile(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    only(path, 'unusable', 'cut short')
    path.write_bytes(whole[:6])
    only(path, 'unusable', 'cut short')


def test_a_scene_cut_short_shows_in_its_corner(tmp_path):
    path = tile(tmp_path, np.full((12, 1500, 300), 900, np.uint16))
    path.write_bytes(path.read_bytes()[:-60_000])
    only(path, 'unusable', 'cut short')


def test_too_few_bands_and_bands_without_names(tmp_path):
    only(tile(tmp_path, pixels()[:3], names=()), 'unusable', '3 bands without names', 'B8A')
    only(tile(tmp_path, pixels()[:2], names=('VV', 'VH')), 'unusable', 'described as VV, VH')


def test_a_band_of_the_contract_that_is_absent_or_twice(tmp_path):
    names = sensors.BAND_ORDERS[12]
    only(tile(tmp_path, pixels()[:11], names=names[:11]), 'unusable', 'no B12', 'sentinel2_10')
    only(tile(tmp_path, names=(*names[:11], 'B11')), 'unusable', 'no B12')
    twice = tile(tmp_path, names=('B02', *names[1:]))
    only(twice, 'unusable', 'B02 twice')
    rgb = doctor.expected_by(sensor='sentinel2_rgb')
    assert fine(tile(tmp_path, pixels(levels=(900, 1000, 1100))[:3], names=('B4', 'B3', 'B2')), rgb)


def test_thirteen_bands_in_the_order_of_eurosat(tmp_path):
    nominal, eurosat = pixels(levels=levels_of_13()), pixels(levels=levels_of_13(eurosat=True))
    assert fine(tile(tmp_path, nominal, names=()))
    only(tile(tmp_path, eurosat, names=()), 'suspicious', '--band-order eurosat', 'B8A')
    # Some distributions name the bands in nominal order all the same.
    only(tile(tmp_path, eurosat, names=sensors.BAND_ORDERS[13]), 'suspicious', 'eurosat')
    assert fine(tile(tmp_path, eurosat, names=sensors.BAND_ORDERS['eurosat']))


def test_reflectance_instead_of_dn(tmp_path):
    reflectance = (pixels() / 10_000).astype(np.float32)
    only(tile(tmp_path, reflectance), 'unusable', 'multiply by 10000')
    assert fine(tile(tmp_path, pixels().astype(np.float32)))


def test_eight_bits(tmp_path):
    only(tile(tmp_path, (pixels() // 16).astype(np.uint8)), 'unusable', '8-bit')
    only(tile(tmp_path, pixels() // 16), 'suspicious', 'no value above')


def test_the_offset_of_newer_products(tmp_path):
    only(tile(tmp_path, pixels() + 1000), 'suspicious', '--offset 1000', '04.00')


def test_a_contract_that_subtracts_an_offset_the_data_lacks(tmp_path):
    contract = sensors.CONTRACTS['sentinel2_10']
    late = doctor.Expected(sensor=contract.__class__(**{**vars(contract), 'offset': 1000.0}))
    only(tile(tmp_path), 'suspicious', '--offset 0', expected=late)
    assert fine(tile(tmp_path, pixels() + 1000), late)


def test_nodata(tmp_path):
    values = pixels()
    values[:, :, :40] = 0
    only(tile(tmp_path, values), 'suspicious', 'found 38%')
    only(tile(tmp_path, np.zeros_like(values)), 'unusable', 'found none')
    values = pixels()
    values[:, :, :20] = 0
    assert fine(tile(tmp_path, values))


def test_the_offset_shows_beside_nodata(tmp_path):
    values = pixels() + 1000
    values[:, :, :20] = 0
    only(tile(tmp_path, values), 'suspicious', '--offset 1000')


def test_nodata_that_the_file_does_not_name(tmp_path):
    values = pixels().astype(np.int16)
    values[:, :, :10] = -9999
    only(tile(tmp_path, values, nodata=None), 'suspicious', '-9999', 'a_nodata')
    assert fine(tile(tmp_path, values, nodata=-9999))


def test_nan_and_infinite_pixels(tmp_path):
    values = pixels().astype(np.float32)
    values[3, 5, :] = np.nan
    only(tile(tmp_path, values, nodata=None), 'suspicious', 'nan in 1.56%')
    assert fine(tile(tmp_path, values, nodata=float('nan')))
    values[3, 5, 6] = np.inf
    values[3, 5, 7] = 0
    values[:] = np.nan_to_num(values, nan=900.0, posinf=np.inf)
    only(tile(tmp_path, values, nodata=None), 'unusable', 'infinite')


def test_values_that_the_contract_clips(tmp_path):
    only(tile(tmp_path, pixels(levels=[9000] * 12)), 'suspicious', 'above', 'clouds')
    half = pixels()
    half[:, :, 32:] = 9000
    assert fine(tile(tmp_path, half))


def test_a_tile_smaller_than_the_window(tmp_path):
    wide = doctor.Expected(window=96)
    only(tile(tmp_path), 'unusable', '96 x 96', '64 x 64', expected=wide)
    assert fine(tile(tmp_path, pixels(96, 96)), wide)


@pytest.mark.parametrize('length', [64, 256, 1280, 1281, 12_000])
def test_windows_reach_both_ends(length):
    starts = rasters._starts(length)
    assert starts[0] == 0
    assert starts[-1] + rasters.SIDE >= length
    assert len(starts) <= rasters.WINDOWS


@hypothesis.given(
    arrays.arrays(np.uint16, (20, 20, 4), elements=st.integers(1, 20_000)), st.integers(0, 2000)
)
def test_an_offset_is_told_by_the_darkest_pixels(bands, lift):
    """Oracle: sort each band and interpolate between neighbours at 0.5 % of the way."""
    bands = bands.astype(np.int64) + lift
    ordered = np.sort(bands.reshape(-1, 4), axis=0)
    at = 0.005 * (len(ordered) - 1)
    darkest = ordered[int(at)] + (at - int(at)) * (ordered[int(at) + 1] - ordered[int(at)])
    assert rasters.looks_offset(bands) == bool((darkest >= 850).all())
    empty = np.concatenate([bands, np.zeros_like(bands)])
    assert rasters.looks_offset(empty) == rasters.looks_offset(bands)


def test_no_pixels_no_offset():
    assert not rasters.looks_offset(np.zeros((4, 4, 3)))
    assert not rasters.looks_offset(np.full((4, 4, 3), np.nan))


@hypothesis.given(st.floats(0.2, 3), st.integers(0, 2000))
def test_the_order_is_told_in_any_light(light, offset):
    for eurosat in (False, True):
        levels = [max(1, level * light) + offset for level in levels_of_13(eurosat)]
        bands = np.broadcast_to(np.array(levels), (5, 5, 13))
        assert rasters.looks_eurosat(bands) == eurosat


def test_the_order_needs_both_signs():
    """A bare field may be as bright in B12 as in B08, and dark water as dark in B09 as in B10."""
    field, water = list(levels_of_13()), [20] * 13
    field[12] = field[7]
    water[7], water[8], water[9], water[10], water[12] = 25, 24, 5, 8, 1
    for levels in (field, water):
        assert not rasters.looks_eurosat(np.broadcast_to(np.array(levels), (5, 5, 13)))


def test_levels_are_those_of_a_field():
    """What the made tiles rest on: within the statistics that the contract has."""
    contract = sensors.CONTRACTS['sentinel2_10']
    chosen = np.array(LEVELS)[contract.select(sensors.BAND_ORDERS[12])]
    assert (abs(chosen - contract.mean) < 2 * np.array(contract.std)).all()
