"""Photos as they come, checked, and as they are kept: upright RGB JPEG without EXIF."""

import io
from typing import NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from gair_jax.input.warning_filters import filtered

# Eight bits a channel; Pillow would clip the others when it makes them RGB.
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')
_START, _END = b'\xff\xd8\xff', b'\xff\xd9'  # markers SOI (and the next one's first byte) and EOI


class BrokenError(Exception):
    """The bytes are no whole picture; the message says in a few words why."""


class Kept(NamedTuple):
    """A picture as it is stored.

    jpeg: the file.
    width, height: pixels.
    """

    jpeg: bytes
    width: int
    height: int


def from_service(body: bytes) -> Image.Image:
    """The picture that a service sent: a whole JPEG, upright, RGB.

    The last marker must be there: decoders are content with a picture that lacks its end.

    Raises:
      BrokenError: it is none.
    """
    if body.lstrip()[:1] == b'<':
        raise BrokenError('a page in the place of a picture')
    if not body.startswith(_START):
        raise BrokenError('no JPEG')
    if not body.rstrip(b'\0').endswith(_END):
        raise BrokenError('JPEG cut off')
    return decode(body)


def decode(body: bytes) -> Image.Image:
    """A JPEG or PNG file unpacked to its last pixel, turned as its EXIF says, RGB.

    Raises:
      BrokenError: unreadable, over 8 bits a channel, or larger than Pillow will unpack.
    """
    try:
        with filtered(error=Image.DecompressionBombWarning, ignore=UserWarning):
            image = Image.open(io.BytesIO(body), formats=('JPEG', 'PNG'))
            image.getexif()  # Corrupt EXIF is taken as none, with a warning.
        if image.mode not in _MODES:
            raise BrokenError(f'more than 8 bits a channel, mode {image.mode}')
        image.load()
        return ImageOps.exif_transpose(image).convert('RGB')
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BrokenError('too many pixels') from error
    except UnidentifiedImageError as error:
        raise BrokenError('neither JPEG nor PNG') from error
    except (OSError, SyntaxError, ValueError) as error:
        raise BrokenError(f'cannot be decoded, {error}') from error


def shrink(image: Image.Image, side: int) -> Image.Image:
    """The picture with a shorter side of `side` pixels; 0 and smaller pictures stay as they are."""
    if not side or min(image.size) <= side:
        return image
    scale = side / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, quality: int) -> Kept:
    """A JPEG file of the pixels alone: no EXIF, no comment, no colour profile."""
    buffer = io.BytesIO()
    clean = Image.frombytes('RGB', image.size, image.tobytes())
    clean.save(buffer, 'JPEG', quality=quality)
    return Kept(buffer.getvalue(), *image.size)
