"""Photos: each rule on a photo that has it and one that does not."""

import numpy as np
import pytest
from PIL import Image

from gair_jax.serve import doctor
from tests.builders.scenes import exif_with_gps
from tests.serve.doctor.made import fine, only, texts


def image(width=320, height=240, seed=0):
    """Colours enough for a photograph."""
    draw = np.random.default_rng(seed)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), np.uint8))


def save(folder, picture, name='photo.jpg', **options):
    path = folder / name
    picture.save(path, **options)
    return path


def test_a_sound_photo_is_fine(tmp_path):
    path = save(tmp_path, image())
    assert fine(path)
    assert 'no place in its EXIF' in texts(path)[0]
    placed = save(tmp_path, image(), exif=exif_with_gps(-70.5, 40.25))
    assert fine(placed)
    assert '-70.50000, 40.25000' in texts(placed)[0]


def test_a_photo_turned_by_its_exif_is_fine(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, image(), exif=exif)
    assert fine(path)
    assert '240 x 320' in texts(path)[0]
    exif[0x0112] = 9
    only(save(tmp_path, image(), exif=exif), 'suspicious', 'orientation', '9')


def test_photos_that_cannot_be_read(tmp_path):
    path = save(tmp_path, image())
    path.write_bytes(path.read_bytes()[:3000])
    only(path, 'unusable', 'truncated')
    only(save(tmp_path, image(), 'photo.bmp'), 'unusable', 'no JPEG or PNG')
    deep = Image.fromarray(np.arange(240 * 320, dtype=np.uint16).reshape(240, 320))
    only(save(tmp_path, deep, 'deep.png'), 'unusable', 'I;16')


def test_colours(tmp_path):
    only(save(tmp_path, image().convert('L')), 'suspicious', 'grey')
    only(save(tmp_path, image().convert('L').convert('RGB')), 'suspicious', 'grey')
    only(save(tmp_path, image().convert('CMYK')), 'suspicious', 'CMYK')
    only(save(tmp_path, Image.new('RGB', (300, 300), (90, 90, 90))), 'suspicious', 'blank')
    drawn = image().quantize(20).convert('RGB')
    only(save(tmp_path, drawn, 'map.png'), 'suspicious', '20 colours')


def test_alpha(tmp_path):
    opaque = image().convert('RGBA')
    assert fine(save(tmp_path, opaque, 'opaque.png'))
    opaque.putpixel((3, 3), (10, 20, 30, 0))
    only(save(tmp_path, opaque, 'clear.png'), 'suspicious', 'transparent')


def test_small_and_panoramic(tmp_path):
    only(save(tmp_path, image(300, 200)), 'suspicious', '224 x 224', '300 x 200')
    assert fine(save(tmp_path, image(300, 200)), doctor.Expected(photo_side=64))
    only(save(tmp_path, image(600, 300)), 'suspicious', 'panorama')
    assert fine(save(tmp_path, image(590, 300)))


@pytest.mark.parametrize(
    ('lon', 'lat', 'word'), [(0, 0, 'longitude 0'), (200, 10, '[-180, 180]'), (10, 95, '95')]
)
def test_places_that_are_none(tmp_path, lon, lat, word):
    only(save(tmp_path, image(), exif=exif_with_gps(lon, lat)), 'suspicious', 'EXIF', word)


def test_a_position_that_cannot_be_read(tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {2: (48.0, 0.0, 0.0), 4: (9.0, 0.0, 0.0)}  # without N or S, E or W
    only(save(tmp_path, image(), exif=exif), 'suspicious', 'cannot be read')
    exif[0x8825] = {29: '2024:01:01'}  # a date alone is no position
    assert fine(save(tmp_path, image(), exif=exif))
