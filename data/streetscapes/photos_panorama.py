"""Perspective views of an equirectangular panorama.

The panorama is 2:1: its column u of W looks along the azimuth 360 (u + 1/2) / W - 180 degrees from
its centre column, its row v of H along the elevation 90 - 180 (v + 1/2) / H. A view of `fov`
degrees has its image plane at distance 1: pixel (i, j) of n x n, at

    x = t (2 (i + 1/2) / n - 1),  y = t (1 - 2 (j + 1/2) / n),  t = tan(fov / 2),

looks along the azimuth yaw + atan(x) and the elevation atan(y / sqrt(1 + x^2)); the pitch is 0.
That a panorama's centre column looks along its compass angle is how services describe it.
"""

import functools
import math

import numpy as np
from jaxtyping import Float, UInt8

ASPECT = 0.01  # relative; by how much a panorama may miss 2:1


def is_panorama(width: int, height: int) -> bool:
    """Whether a picture has the shape of a whole equirectangular panorama, 2:1."""
    return abs(width / (2 * height) - 1) <= ASPECT


def yaws(views: int, draw: float) -> tuple[float, ...]:
    """Where the views of a panorama look, degrees clockwise from its centre column.

    Args:
      views: 4 for all around, 1 for one anywhere.
      draw: 0..1, which decides where the one looks.
    """
    if views == 1:
        return (360 * draw,)
    return tuple(360 * index / views for index in range(views))


def native_side(width: int, fov: float) -> int:
    """Side of a view that is as wide in pixels as the panorama is over the same angle."""
    return max(1, round(width * fov / 360))


def view(
    panorama: UInt8[np.ndarray, 'h w 3'], yaw: float, fov: float, side: int
) -> UInt8[np.ndarray, 'n n 3']:
    """One perspective view, pitch 0.

    Every pixel is the mean of bilinear samples, as many as the panorama has pixels in it: without,
    fine things flicker where the panorama is finer than the view.

    Args:
      panorama: equirectangular, RGB.
      yaw: degrees clockwise from the centre column.
      fov: field of view, degrees, in (0, 180).
      side: n, pixels.
    """
    height, width, _ = panorama.shape
    # In the middle a pixel of the view covers most of the panorama: 2 t / n radians.
    samples = max(1, round(2 * math.tan(math.radians(fov / 2)) / side * width / (2 * math.pi)))
    azimuth, elevation = _directions(fov, side * samples)
    columns = (azimuth + yaw + 180) / 360 * width - 0.5
    rows = (90 - elevation) / 180 * height - 0.5
    fine = _bilinear(panorama, rows, columns)
    cells = fine.reshape(side, samples, side, samples, 3).mean((1, 3))
    return (cells + 0.5).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _directions(fov: float, side: int) -> tuple[Float[np.ndarray, '1 n'], Float[np.ndarray, 'n n']]:
    """Azimuth from the view's axis and elevation of its pixels, degrees; the same for all views."""
    plane = math.tan(math.radians(fov / 2)) * (2 * (np.arange(side) + 0.5) / side - 1)
    azimuth = np.degrees(np.arctan(plane))[None]
    elevation = np.degrees(np.arctan(-plane[:, None] / np.sqrt(1 + plane**2)))
    return azimuth.astype(np.float32), elevation.astype(np.float32)


def _bilinear(
    image: UInt8[np.ndarray, 'h w 3'],
    rows: Float[np.ndarray, 'n n'],
    columns: Float[np.ndarray, '1 n'],
) -> Float[np.ndarray, 'n n 3']:
    """Values at pixel positions; columns go around, rows end at the poles."""
    height, width, _ = image.shape
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    above, below = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
    here, next_one = left % width, (left + 1) % width
    upper = image[above, here] * (1 - right) + image[above, next_one] * right
    lower = image[below, here] * (1 - right) + image[below, next_one] * right
    return upper * (1 - down) + lower * down
