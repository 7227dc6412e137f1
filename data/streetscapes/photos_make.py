"""From the picture of a photo to the files that are kept of it."""

import dataclasses
import hashlib
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gair_jax.builders.streetscapes import (
    keys,
    photos_files,
    photos_images,
    photos_panorama,
    whole_files,
)
from gair_jax.builders.streetscapes.photos_requests import LostError
from gair_jax.builders.streetscapes.photos_source import Facts

LEAST_SIDE = 128  # pixels; a smaller picture shows too little of a street


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """What the bytes of a photo depend on, beside the photo.

    Attributes:
      width: of the picture that a service is asked for, pixels.
      side: shorter side that is kept, pixels; 0: as it comes.
      quality: of the JPEG.
      views: of a panorama, 1 or 4.
      field_of_view: of a view, degrees.
      seed: of the direction of a single view.
    """

    width: int
    side: int
    quality: int
    views: int
    field_of_view: float
    seed: int


class Planned(NamedTuple):
    """What the plan says of a photo: its key, source, id there, heading (degrees; nan), shape."""

    key: str
    source: str
    orig_id: str
    heading: float
    panorama: bool


class Shot(NamedTuple):
    """One file: the number of the view and its yaw in degrees (-1 and 0 without), the picture."""

    view: int
    yaw: float
    picture: photos_images.Kept


def shots(image: Image.Image, photo: Planned, camera: str, how: How) -> list[Shot]:
    """The pictures that are kept of a photo: itself, or views of a panorama.

    Args:
      image: upright, RGB.
      photo: as planned.
      camera: as the source says; '' leaves it to the plan whether this is a panorama.
      how: sizes and views.

    Raises:
      LostError: it is too small, or a panorama that is not 2:1.
    """
    if min(image.size) < LEAST_SIDE:
        raise LostError('dropped', f'too small: {image.width} x {image.height}')
    if camera != 'spherical' and (camera or not photo.panorama):
        return [
            Shot(-1, 0.0, photos_images.encode(photos_images.shrink(image, how.side), how.quality))
        ]
    if not photos_panorama.is_panorama(*image.size):
        raise LostError('dropped', f'panorama not 2:1: {image.width} x {image.height}')
    pixels = np.asarray(image)
    native = photos_panorama.native_side(image.width, how.field_of_view)
    side = min(how.side or native, native)  # Like photos, views are never enlarged.
    draw = keys.order(how.seed, f'yaw:{photo.key}') / 2**keys.BITS
    found = []
    for number, yaw in enumerate(photos_panorama.yaws(how.views, draw)):
        view = photos_panorama.view(pixels, yaw, how.field_of_view, side)
        found.append(Shot(number, yaw, photos_images.encode(Image.fromarray(view), how.quality)))
    return found


def store(out: pathlib.Path, photo: Planned, found: list[Shot]) -> tuple[str, int]:
    """Writes the files of a photo; their SHA-256, one behind the other, and their bytes.

    Raises:
      InputError: they cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    for shot in found:
        whole_files.write(out / photos_files.path_of(photo.key, shot.view), shot.picture.jpeg)
        digest.update(shot.picture.jpeg)
        size += len(shot.picture.jpeg)
    return digest.hexdigest(), size


def record(photo: Planned, facts: Facts, found: list[Shot], how: How) -> dict[str, Any]:
    """Where a photo comes from and what was done to it; an unknown heading is None.

    The heading is the plan's, the source's where the plan has none; that of a view is its yaw more.
    """
    heading = facts.heading if math.isnan(photo.heading) else photo.heading
    views = found[0].view >= 0
    transform: dict[str, Any] = {'side': how.side, 'quality': how.quality, 'exif': 'removed'}
    if views:
        transform |= {'views': how.views, 'field_of_view': how.field_of_view, 'pitch': 0.0}
    return {
        'source': photo.source,
        'orig_id': photo.orig_id,
        'page': facts.page,
        'creator': facts.creator,
        'captured_at': facts.captured_at,
        'licence': facts.licence,
        'camera': facts.camera,
        'transform': transform,
        'files': [_file(photo.key, shot, heading) for shot in found],
    }


def _file(key: str, shot: Shot, heading: float) -> dict[str, Any]:
    turned = (heading + shot.yaw) % 360
    return {
        'file': photos_files.path_of(key, shot.view).as_posix(),
        'sha256': hashlib.sha256(shot.picture.jpeg).hexdigest(),
        'width': shot.picture.width,
        'height': shot.picture.height,
        'yaw': shot.yaw,
        'heading': None if math.isnan(turned) else turned,
    }
