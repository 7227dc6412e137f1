import math

import numpy as np
import pytest
from PIL import Image

from gair_jax.builders.streetscapes import photos_images, photos_panorama
from tests.shared import shared

SAMPLE = 'data/global-streetscapes-sample/images'


def colour(azimuth, elevation):
    """A colour of every direction (degrees), smooth, another everywhere: [..., 3] in 0..255."""
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    x = np.cos(elevation) * np.sin(azimuth)
    z = np.cos(elevation) * np.cos(azimuth)
    return 127.5 + 120 * np.stack(np.broadcast_arrays(x, np.sin(elevation), z), -1)


def panorama(width):
    """Drawn from the centre of each pixel; the centre of the picture looks along azimuth 0."""
    azimuth = (np.arange(width) + 0.5) / width * 360 - 180
    elevation = 90 - (np.arange(width // 2) + 0.5) / (width // 2) * 180
    return np.round(colour(azimuth[None], elevation[:, None])).astype(np.uint8)


def directions(fov, side, yaw):
    """Azimuth and elevation of a pinhole camera's pixels by its rays, [side, side] degrees."""
    plane = math.tan(math.radians(fov) / 2) * ((np.arange(side) + 0.5) * 2 / side - 1)
    right, up = plane[None] + 0 * plane[:, None], -plane[:, None] + 0 * plane[None]
    turn = math.radians(yaw)
    east = right * math.cos(turn) + math.sin(turn)
    north = math.cos(turn) - right * math.sin(turn)
    return np.degrees(np.arctan2(east, north)), np.degrees(np.arctan2(up, np.hypot(east, north)))


@pytest.mark.parametrize('yaw', [0.0, 90.0, 180.0, 270.0, 33.3])
@pytest.mark.parametrize(('fov', 'side'), [(90.0, 96), (60.0, 64), (120.0, 41)])
def test_a_view_is_what_a_pinhole_camera_sees(yaw, fov, side):
    view = photos_panorama.view(panorama(128), yaw, fov, side)
    difference = view - colour(*directions(fov, side, yaw))
    # Half a step of rounding twice, and bilinear samples of a function that is nearly straight;
    # half a pixel of the panorama is a change of 2.9.
    assert np.abs(difference).max() < 1.5


def test_a_column_of_shift_shows():
    """The closed form forgives nothing: the panorama is turned by one of its pixels."""
    view = photos_panorama.view(np.roll(panorama(128), 1, axis=1), 0.0, 90.0, 96)
    assert np.abs(view - colour(*directions(90.0, 96, 0.0))).max() > 3


def test_four_views_join_without_seam():
    """The last column of a view and the first of the next look 90 / side degrees apart, as any
    two neighbours about the corner do."""
    views = [
        photos_panorama.view(panorama(1024), yaw, 90.0, 128).astype(int)
        for yaw in photos_panorama.yaws(4, 0.0)
    ]
    for view, following in zip(views, views[1:] + views[:1], strict=True):
        inside = np.abs(view[:, -1] - view[:, -2]).max()
        assert np.abs(following[:, 0] - view[:, -1]).max() <= inside + 1


def test_fine_stripes_are_averaged_not_sampled():
    stripes = np.zeros((512, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    view = photos_panorama.view(stripes, 0.0, 90.0, 32).astype(int)
    assert np.abs(view[:, 12:20] - 127).max() < 60  # each has 10 pixels of the panorama


def test_a_native_side_keeps_the_scale():
    assert photos_panorama.native_side(2048, 90.0) == 512


def test_yaws():
    assert photos_panorama.yaws(4, 0.7) == (0.0, 90.0, 180.0, 270.0)
    assert photos_panorama.yaws(1, 0.25) == (90.0,)


@pytest.mark.parametrize(
    ('size', 'whole'), [((2048, 1024), True), ((1024, 513), True), ((2048, 1000), False)]
)
def test_a_whole_panorama_is_two_to_one(size, whole):
    assert photos_panorama.is_panorama(*size) == whole


def test_views_of_a_real_panorama_join_as_its_neighbours_do():
    path = shared(f'{SAMPLE}/')
    images = (photos_images.decode(file.read_bytes()) for file in sorted(path.iterdir()))
    image = next(image for image in images if photos_panorama.is_panorama(*image.size))
    pixels = np.asarray(image.resize((1024, 512), Image.Resampling.BOX))
    views = [
        photos_panorama.view(pixels, yaw, 90.0, 256).astype(float)
        for yaw in photos_panorama.yaws(4, 0.0)
    ]
    for view, following in zip(views, views[1:] + views[:1], strict=True):
        inside = np.abs(view[:, -1] - view[:, -2]).mean()
        assert np.abs(following[:, 0] - view[:, -1]).mean() < 2 * inside + 1
