import colorsys
import io
import json

import numpy as np
import pytest
from PIL import Image

from gair_jax import sensors
from gair_jax.input import codecs, transforms
from tests.input import toy
from tests.shared import shared

RNG = np.random.default_rng
CONTRACT = sensors.CONTRACTS['sentinel2_10']
SV = sensors.CONTRACTS['street_view_rgb']


def bands(seed=0):
    return RNG(seed).integers(200, 3000, (8, 9, 10)).astype(np.uint16)


def test_arrays_become_the_input_of_the_release():
    """Numbers of the release itself: 12 stored bands and a photo, plain cubic kernel."""
    case = np.load(shared('parity/gair/preprocess_synthetic.npz'))
    meta = json.loads(str(case['meta']))
    kwargs, tolerance = meta['kwargs'], meta['tolerance']
    stored = np.moveaxis(case['in/rs'], 0, -1)[..., CONTRACT.select(sensors.BAND_ORDERS[12])]
    rs = transforms.rs_input(stored, CONTRACT, kwargs['rs_size'], 'cubic')
    sv = transforms.sv_input(case['in/sv'], SV, kwargs['sv_size'], 'cubic')
    for name, ours in (('rs', rs), ('sv', sv)):
        reference = np.moveaxis(case[f'out/{name}'], 0, -1)
        np.testing.assert_allclose(ours, reference, atol=tolerance[name][0], rtol=0)


def test_jitter_changes_the_named_bands_alone():
    x = bands()
    seen = np.zeros(x.shape[:2], bool)
    out = transforms.jitter_bands(x, np.array([0, 2]), seen, 0.2, 0.2, RNG(1))
    changed = [(out[..., band] != x[..., band]).any() for band in range(10)]
    assert changed == [True, False, True] + [False] * 7


def test_jitter_is_brightness_then_contrast_about_the_mean():
    x = bands()
    draws = RNG(4).uniform(-1, 1, 2)
    bright, contrast = 1 + 0.3 * draws[0], 1 + 0.5 * draws[1]
    v = x[..., 3] * bright
    expected = (v - v.mean()) * contrast + v.mean()
    nothing = np.zeros(x.shape[:2], bool)
    out = transforms.jitter_bands(x, np.array([3]), nothing, 0.3, 0.5, RNG(4))
    np.testing.assert_allclose(out[..., 3], expected, rtol=1e-5)


def test_jitter_leaves_missing_pixels_as_they_are_and_out_of_the_mean():
    x = bands()
    x[:4] = 0
    missing = CONTRACT.missing(x)
    assert missing.sum() == 4 * 9
    out = transforms.jitter_bands(x, np.array([0]), missing, 0.2, 0.2, RNG(1))
    assert (out[:4] == 0).all()
    alone = transforms.jitter_bands(x[4:], np.array([0]), missing[4:], 0.2, 0.2, RNG(1))
    np.testing.assert_allclose(out[4:], alone, rtol=1e-6)
    nowhere = transforms.jitter_bands(x, np.array([0]), np.ones_like(missing), 0.2, 0.2, RNG(1))
    np.testing.assert_array_equal(nowhere, x)


def photo(seed=0):
    return RNG(seed).integers(40, 200, (6, 7, 3)).astype(np.uint8)


def test_no_colour_jitter_is_the_identity():
    out = transforms.jitter_colours(photo(), 0, 0, 0, 0, RNG(0))
    np.testing.assert_allclose(out, photo(), atol=1e-3)


def test_colour_jitter_one_by_one_has_its_closed_form():
    x = photo().astype(np.float64)
    grey = x @ transforms.LUMA
    for place, expected in enumerate(
        [
            lambda f: x * f,
            lambda f: (x - grey.mean()) * f + grey.mean(),
            lambda f: (x - grey[..., None]) * f + grey[..., None],
        ]
    ):
        amounts = [0.0, 0.0, 0.0, 0.0]
        amounts[place] = 0.3
        factor = 1 + 0.3 * RNG(2).uniform(-1, 1, 3)[place]
        out = transforms.jitter_colours(photo(), *amounts, RNG(2))
        np.testing.assert_allclose(out, np.clip(expected(factor), 0, 255), atol=1e-2)


def test_hue_turns_colour_and_keeps_luma_and_grey():
    muted = (photo() // 4 + 90).astype(np.uint8)  # far from the ends, so that nothing is cut
    out = transforms.jitter_colours(muted, 0, 0, 0, 0.5, RNG(3))
    np.testing.assert_allclose(out @ transforms.LUMA, muted @ transforms.LUMA, atol=0.05)
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in (muted[0, 0] / 255, out[0, 0] / 255)]
    assert abs(hues[0] - hues[1]) > 0.02
    grey = np.full((2, 2, 3), 77, np.uint8)
    out = transforms.jitter_colours(grey, 0, 0, 0, 0.5, RNG(3))
    np.testing.assert_allclose(out, grey, atol=1e-2)


def test_colour_jitter_stays_in_range():
    x = RNG(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    for seed in range(10):
        out = transforms.jitter_colours(x, 1, 1, 1, 0.5, RNG(seed))
        assert out.min() >= 0
        assert out.max() <= 255


def test_flip_moves_a_marked_pixel_under_its_xy():
    x = np.zeros((8, 8, 1))
    x[2, 6] = 1
    xy = np.array([(2 * 6 + 1) / 8 - 1, (2 * 2 + 1) / 8 - 1])
    col, row = np.floor((transforms.flip_xy(xy) + 1) / 2 * 8).astype(int)
    assert transforms.flip(x)[row, col, 0] == 1


def test_photos_become_rgb_whatever_they_are():
    grey, alpha = Image.new('L', (3, 2), 9), Image.new('RGBA', (3, 2), (1, 2, 3, 255))
    for image, pixel in ((grey, [9, 9, 9]), (alpha, [1, 2, 3])):
        file = io.BytesIO()
        image.save(file, 'PNG')
        decoded = transforms.decode_photo(file.getvalue())
        assert decoded.shape == (2, 3, 3)
        np.testing.assert_array_equal(decoded[0, 0], pixel)


@pytest.mark.parametrize(
    'data', [b'no photo', toy.jpeg(0, (64, 64), 'JPEG')[:900], b'\xff\xd8\xff']
)
def test_what_is_no_photo_is_corrupt(data):
    with pytest.raises(codecs.CorruptError, match='its photo does not decode'):
        transforms.decode_photo(data)
