"""Examines a photo: whether it can be read, its colours and shape, and the place in its EXIF."""

import math
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from gair_jax.config import InputError
from gair_jax.input import photo_files
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable

PANORAMA, PANORAMA_TOLERANCE = 2.0, 0.01  # width by height of the whole sphere
SAMPLE = 256  # pixels along each side that colours are counted on
FEW_COLOURS = 256  # of 65 536; photographs have thousands
GREY = 1.0  # mean difference of the channels, levels: what JPEG makes of a grey picture


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a JPEG or PNG file."""
    try:
        photo = photo_files.read(path)
    except InputError as error:
        return [
            unusable(
                path, f'expected a whole JPEG or PNG of 8 bits a channel: {_reason(path, error)}'
            )
        ]
    found = [*_shape(path, photo.image.size, expected.photo_side)]
    with Image.open(path, formats=('JPEG', 'PNG')) as stored:
        found += [*_colours(path, stored, photo.image), *_exif(path, stored.getexif(), photo)]
    width, height = photo.image.size
    lon, lat = photo.lonlat
    place = 'no place in its EXIF' if math.isnan(lon) else f'EXIF places it at {lon:.5f}, {lat:.5f}'
    return or_fine(path, found, f'a photo of {width} x {height} pixels, {place}')


def _reason(path: pathlib.Path, error: InputError) -> str:
    return str(error).removeprefix('photo unreadable: ').replace(f'{path}: ', '').rstrip('.')


def _shape(path: pathlib.Path, size: tuple[int, int], side: int) -> Iterator[Finding]:
    width, height = size
    if min(size) < side:
        yield suspicious(
            path,
            f'expected at least {side} x {side} pixels, what the encoder sees, found {width} x '
            f'{height}, which must be enlarged',
        )
    if abs(width / height / PANORAMA - 1) < PANORAMA_TOLERANCE:
        yield suspicious(
            path,
            f'expected a perspective photo, found {width} x {height}, the shape of a panorama of '
            'the whole sphere; cut a perspective view out of it first',
        )


def _colours(path: pathlib.Path, stored: Image.Image, image: Image.Image) -> Iterator[Finding]:
    if stored.mode == 'CMYK':
        yield suspicious(
            path, 'expected RGB, found CMYK, made for printing; its colours will differ'
        )
    opaque = 'A' not in stored.getbands() or np.asarray(stored.getchannel('A')).min() == 255
    if not opaque or 'transparency' in stored.info:
        yield suspicious(
            path, 'expected opaque pixels, found transparent ones, whose colour is chance'
        )
    pixels = np.asarray(image.resize((SAMPLE, SAMPLE), Image.Resampling.NEAREST)).astype(np.int16)
    count = len(np.unique(pixels.reshape(-1, 3), axis=0))
    if count < FEW_COLOURS and not _grey(pixels):
        yield suspicious(
            path, f'expected a photograph, found {count} colours: a drawing, map or mask'
        )
    elif _grey(pixels):
        kind = 'a blank picture' if count < 3 else 'a grey picture'
        yield suspicious(path, f'expected a photograph in colour, found {kind}')


def _grey(pixels: np.ndarray) -> bool:
    return bool(np.abs(pixels[..., 1:] - pixels[..., :1]).mean() < GREY)


def _exif(path: pathlib.Path, exif: Image.Exif, photo: photo_files.PhotoFile) -> Iterator[Finding]:
    turned = exif.get(ExifTags.Base.Orientation, 1)
    if turned not in range(1, 9):
        yield suspicious(
            path, f'expected an EXIF orientation of 1 to 8, found {turned!r}, which is not followed'
        )
    lon, lat = photo.lonlat
    if math.isnan(lon):
        if exif.get_ifd(ExifTags.IFD.GPSInfo).keys() & {
            ExifTags.GPS.GPSLongitude,
            ExifTags.GPS.GPSLatitude,
        }:
            yield suspicious(
                path, 'its EXIF position cannot be read: expected degrees, minutes, seconds'
            )
    elif abs(lon) > 180 or abs(lat) > 90:
        yield suspicious(
            path,
            'expected an EXIF position with longitude in [-180, 180] and latitude in [-90, 90], '
            f'found {lon:g}, {lat:g}; give lon and lat in a table',
        )
    elif (lon, lat) == (0, 0):
        yield suspicious(
            path,
            'its EXIF says longitude 0, latitude 0, where cameras without a fix write it; '
            'give lon and lat in a table',
        )
