"""Photos as they are stored: upright RGB JPEG without a position in their EXIF."""

import io
import pathlib
from typing import NamedTuple

from PIL import Image

from gair_jax.input import photo_files

QUALITY = 95


class Picture(NamedTuple):
    """A photo as stored, with what its EXIF told.

    jpeg: the encoded image.
    lonlat: degrees, WGS84; (nan, nan) if the EXIF does not say.
    date: ISO, '' if it does not say.
    """

    jpeg: bytes
    lonlat: tuple[float, float]
    date: str


def read(path: pathlib.Path, side: int) -> Picture:
    """Reads a JPEG or PNG file, turned upright by its EXIF and made RGB.

    An upright RGB JPEG without EXIF GPS is kept byte for byte; any other is encoded anew as JPEG of
    quality 95, without EXIF.

    Args:
      path: the file.
      side: the shorter side of a larger photo is reduced to this many pixels; 0 keeps the size.

    Raises:
      InputError: `photo_files.read` cannot use it.
    """
    photo = photo_files.read(path)
    image = _shrink(photo.image, side)
    jpeg = photo.data if photo.plain and image is photo.image else _encode(image)
    return Picture(jpeg, photo.lonlat, photo.date)


def _shrink(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    if not side or scale >= 1:
        return image
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _encode(image: Image.Image) -> bytes:
    """A JPEG file of the pixels alone."""
    clean, buffer = Image.frombytes('RGB', image.size, image.tobytes()), io.BytesIO()
    clean.save(buffer, 'JPEG', quality=QUALITY)
    return buffer.getvalue()
