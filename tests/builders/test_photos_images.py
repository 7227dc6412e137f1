import io
import math
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gair_jax.builders.photos import images
from gair_jax.config import InputError
from tests.builders import scenes

# What a camera stores so that each EXIF orientation shows the same picture (EXIF 2.3, tag 274):
# the inverse of the operation that the tag asks of the viewer.
STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


def decode(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == 'JPEG' and image.mode == 'RGB'
    return np.asarray(image).astype(int)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_photos_are_turned_upright(tmp_path, orientation):
    upright, exif = scenes.quadrants(), Image.Exif()
    exif[274] = orientation
    stored = STORED[orientation](upright)
    (tmp_path / 'a.jpg').write_bytes(scenes.jpeg(stored, exif=exif))
    picture = images.read(tmp_path / 'a.jpg', 0)
    difference = np.abs(decode(picture.jpeg) - np.asarray(upright))
    assert (difference <= 12).mean() > 0.8  # All but the seams, where JPEG mixes colours.
    assert Image.open(io.BytesIO(picture.jpeg)).getexif().get(274, 1) == 1


def test_an_upright_rgb_jpeg_is_kept_byte_for_byte(tmp_path):
    data = scenes.jpeg(scenes.quadrants(), quality=71)
    (tmp_path / 'a.jpg').write_bytes(data)
    assert images.read(tmp_path / 'a.jpg', 0).jpeg == data
    assert images.read(tmp_path / 'a.jpg', 16).jpeg == data  # No larger than asked for.


@pytest.mark.parametrize(('lon', 'lat'), [(13.377704, 52.516275), (-70.5, -33.45)])
def test_the_place_is_read_from_exif_and_not_stored(tmp_path, lon, lat):
    exif = scenes.exif_with_gps(lon, lat)
    (tmp_path / 'a.jpg').write_bytes(scenes.jpeg(scenes.quadrants(), exif=exif))
    picture = images.read(tmp_path / 'a.jpg', 0)
    # Thousandths of a second of arc, as written.
    np.testing.assert_allclose(picture.lonlat, (lon, lat), atol=0.0005 / 3600 * 1.01)
    assert not Image.open(io.BytesIO(picture.jpeg)).getexif()


def test_without_exif_there_is_no_place_and_no_date(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(scenes.jpeg(scenes.quadrants()))
    picture = images.read(tmp_path / 'a.jpg', 0)
    assert all(map(math.isnan, picture.lonlat)) and picture.date == ''


def test_the_date_is_read_from_exif(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0x9003: '2021:07:09 12:34:56'}
    (tmp_path / 'a.jpg').write_bytes(scenes.jpeg(scenes.quadrants(), exif=exif))
    assert images.read(tmp_path / 'a.jpg', 0).date == '2021-07-09T12:34:56'


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGBA', 'RGB', '1'])
def test_png_of_any_8_bit_mode_becomes_rgb_jpeg(tmp_path, mode):
    options = {'palette': Image.Palette.ADAPTIVE, 'dither': Image.Dither.NONE}
    image = scenes.quadrants().convert(mode, **options)
    image.save(tmp_path / 'a.png')
    expected = np.asarray(image.convert('RGB')).astype(int)
    found = decode(images.read(tmp_path / 'a.png', 0).jpeg)
    assert np.abs(found - expected).mean() < 8  # JPEG at quality 95 with subsampled colour.


def test_larger_photos_are_reduced_to_the_shorter_side(tmp_path):
    scenes.quadrants((320, 160)).save(tmp_path / 'a.png')
    assert decode(images.read(tmp_path / 'a.png', 80).jpeg).shape == (80, 160, 3)


def test_unusable_photos_are_refused_by_kind(tmp_path):
    whole = scenes.jpeg(Image.effect_noise((200, 200), 50).convert('RGB'))
    broken = {
        'text.jpg': (b'this is no photo', 'photo unreadable'),
        'empty.jpg': (b'', 'photo unreadable'),
        'short.jpg': (whole[: len(whole) // 2], 'photo unreadable'),
    }
    for name, (data, kind) in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f'^{kind}: .*{name}'):
            images.read(tmp_path / name, 0)


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / 'deep.png')
    with pytest.raises(InputError, match='8 bits a channel'):
        images.read(tmp_path / 'deep.png', 0)


def test_a_decompression_bomb_is_refused(tmp_path):
    def part(name, data):
        check = struct.pack('>I', zlib.crc32(name + data))
        return struct.pack('>I', len(data)) + name + data + check

    for side in (10_000, 30_000):  # Pillow warns of the first and refuses the second.
        header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
        png = b'\x89PNG\r\n\x1a\n' + part(b'IHDR', header) + part(b'IDAT', b'') + part(b'IEND', b'')
        (tmp_path / 'bomb.png').write_bytes(png)
        with pytest.raises(InputError, match='photo too large'):
            images.read(tmp_path / 'bomb.png', 0)
