"""Photos as people keep them: JPEG or PNG, turned by their EXIF, in any colour mode of 8 bits."""

import datetime
import io
import math
import os
import pathlib
from typing import Any, NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gair_jax.config import InputError
from gair_jax.input.warning_filters import filtered

# Eight bits a channel; Pillow would clip the others when it makes them RGB.
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')


class PhotoFile(NamedTuple):
    """A photo, with what its EXIF told.

    image: upright, RGB.
    lonlat: degrees, WGS84; (nan, nan) if the EXIF does not say.
    date: ISO, '' if it does not say.
    data: the bytes of the file.
    plain: the file is itself an upright RGB JPEG without a position in its EXIF.
    """

    image: Image.Image
    lonlat: tuple[float, float]
    date: str
    data: bytes
    plain: bool


def read(path: str | os.PathLike[str]) -> PhotoFile:
    """Reads a JPEG or PNG file.

    Raises:
      InputError: unreadable, truncated, over 8 bits a channel, or larger than Pillow will unpack.
    """
    path = pathlib.Path(path)
    try:
        return _decode(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'photo too large: {path}: {error}') from error
    except UnidentifiedImageError as error:
        raise InputError(f'photo unreadable: {path} is no JPEG or PNG') from error
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f'photo unreadable: {path}: {error}') from error


def _decode(path: pathlib.Path) -> PhotoFile:
    data = path.read_bytes()
    # Corrupt EXIF is taken as none. Pixels are unpacked outside, where threads run side by side.
    with filtered(error=Image.DecompressionBombWarning, ignore=UserWarning):
        image = Image.open(io.BytesIO(data), formats=('JPEG', 'PNG'))
        exif = image.getexif()
        # Copied first: turning the image edits its EXIF.
        lonlat, date = _gps(exif), _date(exif)
    if image.mode not in _MODES:
        raise InputError(
            f'photo unreadable: {path}: expected 8 bits a channel, found mode {image.mode}'
        )
    image.load()
    plain = image.format == 'JPEG' and image.mode == 'RGB'
    plain &= exif.get(ExifTags.Base.Orientation, 1) == 1 and ExifTags.IFD.GPSInfo not in exif
    upright = image if plain else ImageOps.exif_transpose(image).convert('RGB')
    return PhotoFile(upright, lonlat, date, data, plain)


def _degrees(value: Any, reference: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in value)
    sign = -1 if str(reference).upper() in ('S', 'W') else 1
    return sign * (degrees + minutes / 60 + seconds / 3600)


def _gps(exif: Image.Exif) -> tuple[float, float]:
    gps, tag = exif.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPS
    try:
        lon = _degrees(gps[tag.GPSLongitude], gps[tag.GPSLongitudeRef])
        lat = _degrees(gps[tag.GPSLatitude], gps[tag.GPSLatitudeRef])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return math.nan, math.nan
    return lon, lat


def _date(exif: Image.Exif) -> str:
    text = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal, '')
    try:
        return datetime.datetime.strptime(str(text), '%Y:%m:%d %H:%M:%S').isoformat()
    except ValueError:
        return ''
