import io

import numpy as np
import pytest
from PIL import Image

from gair_jax.builders.streetscapes import photos_images
from gair_jax.builders.streetscapes.photos_images import BrokenError
from tests.builders import scenes
from tests.builders.test_photos_images import STORED

JPEG = scenes.jpeg(scenes.quadrants((64, 32)))


def test_a_whole_jpeg_is_taken():
    image = photos_images.from_service(JPEG)
    assert image.mode == 'RGB' and image.size == (64, 32)


@pytest.mark.parametrize(
    ('body', 'reason'),
    [
        (b'', 'no JPEG'),
        (b'<html>Please log in</html>', 'a page'),
        (b'\n <!DOCTYPE html>', 'a page'),
        (b'{"error": {}}', 'no JPEG'),
        (b'\x89PNG\r\n\x1a\n' + bytes(40), 'no JPEG'),
        (JPEG[:-2], 'cut off'),
        (JPEG[: len(JPEG) // 2], 'cut off'),
        (JPEG[: len(JPEG) // 2] + b'\xff\xd9', 'cannot be decoded'),
        (JPEG[:40] + b'\xff\xd9', 'neither JPEG nor PNG|cannot be decoded'),
    ],
)
def test_what_is_no_whole_jpeg_is_refused(body, reason):
    with pytest.raises(BrokenError, match=reason):
        photos_images.from_service(body)


def test_padding_after_the_end_does_no_harm():
    photos_images.from_service(JPEG + bytes(16))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_turned_upright_and_lose_their_exif(orientation):
    upright, exif = scenes.quadrants(), scenes.exif_with_gps(9.0, 48.0)
    exif[274] = orientation
    image = photos_images.from_service(scenes.jpeg(STORED[orientation](upright), exif=exif))
    kept = photos_images.encode(image, 95)
    again = Image.open(io.BytesIO(kept.jpeg))
    difference = np.abs(np.asarray(again).astype(int) - np.asarray(upright))
    assert (difference <= 40).mean() > 0.8  # All but the seams, where JPEG mixes colours.
    assert not again.getexif() and set(again.info) <= {'jfif', 'jfif_version', 'jfif_unit'} | {
        'jfif_density'
    }


@pytest.mark.parametrize(
    ('size', 'side', 'expected'),
    [
        ((1024, 768), 336, (448, 336)),
        ((600, 800), 300, (300, 400)),
        ((300, 200), 336, (300, 200)),
        ((300, 200), 0, (300, 200)),
    ],
)
def test_the_shorter_side_is_reduced_and_nothing_enlarged(size, side, expected):
    kept = photos_images.encode(photos_images.shrink(Image.new('RGB', size), side), 90)
    assert (kept.width, kept.height) == expected == Image.open(io.BytesIO(kept.jpeg)).size


def test_quality_acts_and_equal_pictures_have_equal_bytes():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    assert len(photos_images.encode(image, 50).jpeg) < len(photos_images.encode(image, 90).jpeg)
    assert photos_images.encode(image, 90) == photos_images.encode(image.copy(), 90)


def test_grey_and_cmyk_become_rgb():
    for mode in ('L', 'CMYK'):
        body = scenes.jpeg(Image.new(mode, (8, 8)))
        assert photos_images.from_service(body).mode == 'RGB'


def test_sixteen_bits_and_bombs_are_refused(monkeypatch):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(buffer, 'PNG')
    with pytest.raises(BrokenError, match='8 bits'):
        photos_images.decode(buffer.getvalue())
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(BrokenError, match='too many pixels'):
        photos_images.decode(JPEG)
