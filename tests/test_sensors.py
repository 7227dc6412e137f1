import json

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.sensors import BAND_ORDERS, CONTRACTS, SensorContract, band_indices, contract
from tests.shared import shared

TEN = CONTRACTS['sentinel2_10']


@pytest.mark.parametrize(
    ('order', 'indices'),
    [
        (10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (12, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]),
        (13, [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]),
        ('eurosat', [1, 2, 3, 4, 5, 6, 7, 12, 10, 11]),
    ],
)
def test_the_ten_bands_in_every_stored_order(order, indices):
    """The table of the real-data page, whose rows were checked on the files."""
    np.testing.assert_array_equal(TEN.select(BAND_ORDERS[order]), indices)
    assert len(BAND_ORDERS[order]) == len(set(BAND_ORDERS[order]))


def test_names_are_matched_however_they_are_written():
    np.testing.assert_array_equal(band_indices(['b8a', 'B4', ' B11'], ['B04', 'B8A']), [1, 0])
    np.testing.assert_array_equal(CONTRACTS['sentinel2_rgb'].select(['B2', 'B3', 'B4']), [2, 1, 0])


def test_a_missing_band_is_named():
    with pytest.raises(InputError, match=r'band B8A is missing: found B02, B03'):
        TEN.select(('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B11', 'B12'))
    with pytest.raises(InputError, match='band B04 is there twice'):
        band_indices(['B04', 'B4'], ['B04'])
    with pytest.raises(InputError, match="sensor: expected one of .*found 'sentinel3'"):
        contract('sentinel3')


def test_two_sigma_scaling_is_the_formula_in_whole_levels():
    rng = np.random.default_rng(0)
    v = rng.integers(0, 6000, (50, 40, 10)).astype(np.uint16)
    m, s = np.array(TEN.mean), np.array(TEN.std)
    level = np.clip((v - (m - 2 * s)) / (4 * s) * 255, 0, 255)
    ours = TEN.normalize(v)
    assert ours.dtype == np.float32
    # float32 and float64 may disagree only where the level is a whole number but for rounding.
    odd = np.rint(ours * 255) != np.trunc(level)
    assert (np.abs(level - np.rint(level))[odd] < 1e-4).all() and odd.mean() < 1e-3
    assert ours.min() == 0 and ours.max() == 1


def test_z_score_scaling():
    sv = CONTRACTS['street_view_rgb']
    v = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    np.testing.assert_allclose(sv.normalize(v), (v - np.array(sv.mean)) / sv.std, atol=1e-6)


def test_the_offset_is_taken_off_first():
    shifted = SensorContract.from_dict({**TEN.to_dict(), 'offset': 1000.0})
    v = np.random.default_rng(0).integers(0, 5000, (8, 8, 10)).astype(np.uint16)
    np.testing.assert_array_equal(shifted.normalize(v + np.uint16(1000)), TEN.normalize(v))


def test_nodata_is_decided_over_all_bands():
    v = np.full((2, 2, 10), 900.0, np.float32)
    v[0, 0] = 0
    v[0, 1, 3] = 0  # a true zero in one band
    v[1, 0, 5] = np.nan
    np.testing.assert_array_equal(TEN.missing(v), [[True, False], [True, False]])
    np.testing.assert_array_equal(TEN.missing(np.zeros((1, 10), np.uint16)), [True])
    black = np.zeros((3, 3, 3), np.uint8)
    assert not CONTRACTS['street_view_rgb'].missing(black).any()
    assert np.isfinite(TEN.normalize(v)).all() and TEN.normalize(v)[1, 0, 5] == 0


@pytest.mark.parametrize('name', CONTRACTS)
def test_a_contract_survives_json(name):
    text = json.dumps(CONTRACTS[name].to_dict(), allow_nan=False)
    again = SensorContract.from_dict(json.loads(text))
    assert again.to_dict() == CONTRACTS[name].to_dict()
    v = np.random.default_rng(0).integers(0, 256, (2, 2, len(again.bands)))
    np.testing.assert_array_equal(again.normalize(v), CONTRACTS[name].normalize(v))


def test_statistics_of_the_image_itself_are_those_of_its_pixels_with_data():
    sensor = CONTRACTS['sentinel2_12']
    v = np.random.default_rng(0).integers(1, 6000, (2, 9, 8, 12)).astype(np.float32)
    v[1] *= 0.5
    whole = sensor.normalize(v)
    m, s = v[1].mean((0, 1)), v[1].std((0, 1), ddof=1)
    level = np.clip((v[1] - (m - 2 * s)) / (4 * s) * 255, 0, 255)
    odd = np.rint(whole[1] * 255) != np.trunc(level)
    assert (np.abs(level - np.rint(level))[odd] < 1e-3).all() and odd.mean() < 1e-2
    holed = np.concatenate([v[1], np.zeros((9, 3, 12), np.float32)], axis=1)
    np.testing.assert_array_equal(sensor.normalize(holed)[:, :8], whole[1])
    flat = sensor.normalize(np.full((4, 4, 12), 700, np.uint16))  # no spread at all
    np.testing.assert_array_equal(flat, 0)
    with pytest.raises(InputError, match='expected a whole image'):
        sensor.normalize(np.zeros((5, 12)))
    with pytest.raises(InputError, match='expects no mean and std'):
        SensorContract.from_dict({**TEN.to_dict(), 'scaling': 'image_two_sigma_uint8'})


def test_photo_statistics_are_of_values_up_to_255():
    white = np.full((1, 1, 3), 255, np.uint8)
    np.testing.assert_allclose(CONTRACTS['street_view_half'].normalize(white), 1)
    expected = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(
        CONTRACTS['street_view_imagenet'].normalize(white)[0, 0], expected, rtol=1e-6
    )


def test_broken_contracts_are_refused():
    values = TEN.to_dict()
    with pytest.raises(InputError, match='one mean and std for each of its 10 bands, found 9'):
        SensorContract.from_dict({**values, 'mean': values['mean'][:9]})
    with pytest.raises(InputError, match="found 'minmax'"):
        SensorContract.from_dict({**values, 'scaling': 'minmax'})
    with pytest.raises(InputError, match="field 'unit' is absent or unknown"):
        SensorContract.from_dict({k: v for k, v in values.items() if k != 'unit'})
    with pytest.raises(InputError, match='expected 10 bands, found 12'):
        TEN.normalize(np.zeros((2, 2, 12)))


def test_statistics_of_true_colour_are_those_of_the_chips():
    """One class in ten, 60 chips of each: within the scatter of such a sample."""
    import csv
    import io
    import zipfile

    from PIL import Image

    folder = shared('data/eurosat-rgb-geo')
    with open(folder / 'index.csv', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    chips = []
    for name in sorted({row['zip'] for row in rows}):
        with zipfile.ZipFile(folder / name) as archive:
            where = {entry.split('/')[-1]: entry for entry in archive.namelist()}
            for row in [row for row in rows if row['zip'] == name][::10]:
                with Image.open(io.BytesIO(archive.read(where[row['name']]))) as image:
                    chips.append(np.asarray(image, np.float32))
    dn = (np.stack(chips) - 1) / 254 * 2750
    rgb = CONTRACTS['sentinel2_rgb']
    np.testing.assert_allclose(dn.mean(axis=(0, 1, 2), dtype=np.float64), rgb.mean, rtol=0.05)
    np.testing.assert_allclose(dn.std(axis=(0, 1, 2), dtype=np.float64), rgb.std, rtol=0.1)
