"""Photos as they are stored: upright RGB JPEG without a position in their EXIF."""

import datetime
import io
import math
import pathlib
import warnings
from typing import Any, NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gair_jax.config import InputError

QUALITY = 95
# Eight bits a channel; Pillow would clip the others when it makes them RGB.
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')


class Picture(NamedTuple):
    """A photo as stored, with what its EXIF told.

    jpeg: the encoded image.
    lonlat: degrees, WGS84; (nan, nan) if the EXIF does not say.
    date: ISO, '' if it does not say.
    """

    jpeg: bytes
    lonlat: tuple[float, float]
    date: str


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


def _shrink(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    if not side or scale >= 1:
        return image
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _convert(data: bytes, side: int) -> Picture:
    image = Image.open(io.BytesIO(data), formats=('JPEG', 'PNG'))
    if image.mode not in _MODES:
        raise InputError(f'photo unreadable: expected 8 bits a channel, found mode {image.mode}')
    exif = image.getexif()
    # Copied first: turning the image edits its EXIF.
    lonlat, date = _gps(exif), _date(exif)
    image.load()
    kept = image.format == 'JPEG' and image.mode == 'RGB'
    kept &= exif.get(ExifTags.Base.Orientation, 1) == 1 and ExifTags.IFD.GPSInfo not in exif
    if kept and _shrink(image, side) is image:
        return Picture(data, lonlat, date)
    upright = _shrink(ImageOps.exif_transpose(image).convert('RGB'), side)
    clean, buffer = Image.frombytes('RGB', upright.size, upright.tobytes()), io.BytesIO()
    clean.save(buffer, 'JPEG', quality=QUALITY)
    return Picture(buffer.getvalue(), lonlat, date)


def read(path: pathlib.Path, side: int) -> Picture:
    """Reads a JPEG or PNG file, turned upright by its EXIF and made RGB.

    An upright RGB JPEG without EXIF GPS is kept byte for byte; any other is encoded anew as JPEG of
    quality 95, without EXIF.

    Args:
      path: the file.
      side: the shorter side of a larger photo is reduced to this many pixels; 0 keeps the size.

    Raises:
      InputError: unreadable, truncated, over 8 bits a channel, or larger than Pillow will unpack.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            warnings.filterwarnings('ignore', category=UserWarning)  # Corrupt EXIF: taken as none.
            return _convert(path.read_bytes(), side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f'photo too large: {path}: {error}') from error
    except UnidentifiedImageError as error:
        raise InputError(f'photo unreadable: {path} is no JPEG or PNG') from error
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f'photo unreadable: {path}: {error}') from error
