"""What happens to pixels between record and batch: plain functions of arrays and random numbers.

Jitter acts on stored units, before normalisation, as colour does in the world. (The authors' early
training code jittered z-scored photos, which its library then clamped to [0, 1].)
"""

import io

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from PIL import Image

from gair_jax.input import codecs
from gair_jax.input.benchmark_inputs import Stored, prepare
from gair_jax.input.resize import resize
from gair_jax.sensors import SensorContract

# Rec. 601, what torchvision and Pillow call grey.
LUMA = np.array([0.299, 0.587, 0.114])

# RGB -> luma and two axes of chroma; turning the chroma plane changes hue and keeps luma.
_TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def decode_photo(data: bytes) -> UInt8[np.ndarray, 'h w 3']:
    """RGB pixels of a JPEG or PNG file; CorruptError if it is neither, or cut short."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert('RGB'))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise codecs.CorruptError(f'its photo does not decode ({error})') from error


def flip(image: Shaped[np.ndarray, '*dates h w c']) -> Shaped[np.ndarray, '*dates h w c']:
    """East and west exchanged."""
    return image[..., ::-1, :]


def flip_xy(xy: Float[np.ndarray, '2']) -> Float[np.ndarray, '2']:
    """Where a point of the image comes to lie when `flip` flips it."""
    return xy * np.array([-1.0, 1.0])


def jitter_bands(
    bands: Shaped[np.ndarray, 'h w c'],
    indices: Int[np.ndarray, ' k'],
    missing: Bool[np.ndarray, 'h w'],
    brightness: float,
    contrast: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, 'h w c']:
    """Brightness, then contrast, of some bands, by one factor each for all of them.

    Args:
      bands: pixels in stored units.
      indices: the bands that change.
      missing: pixels without data, which stay as they are and out of the mean.
      brightness: the factor is uniform in 1 +- this.
      contrast: the factor by which a band's distance to its mean changes is uniform in 1 +- this.
      rng: draws two numbers.

    Returns:
      float32 pixels, unbounded: the sensor contract bounds them.
    """
    bright, contrasting = _factor(brightness, rng), _factor(contrast, rng)
    out = bands.astype(np.float32)
    seen = ~missing
    if not seen.any():
        return out
    for index in indices:
        values = out[..., index][seen] * np.float32(bright)
        mean = values.mean()
        out[..., index][seen] = (values - mean) * np.float32(contrasting) + mean
    return out


def jitter_colours(
    photo: Shaped[np.ndarray, 'h w 3'],
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, 'h w 3']:
    """Brightness, contrast, saturation and hue of a photo, in this order and as one affine map.

    Hue turns chroma around the grey axis, which keeps luma; torchvision turns HSV hue instead and
    shuffles the order, at ten times the cost.

    Args:
      photo: values in [0, 255].
      brightness: the factor is uniform in 1 +- this.
      contrast: the factor of the distance to the mean grey is uniform in 1 +- this.
      saturation: the factor of the distance to a pixel's own grey is uniform in 1 +- this.
      hue: the turn is uniform in +- this share of the circle.
      rng: draws four numbers.

    Returns:
      float32 in [0, 255]; what leaves the range is cut.
    """
    factors = [_factor(amount, rng) for amount in (brightness, contrast, saturation)]
    turn = 2 * np.pi * rng.uniform(-hue, hue)
    # One contiguous plane a channel: several times faster than three values a pixel.
    planes = np.moveaxis(photo, -1, 0).astype(np.float32, order='C')
    grey = factors[0] * float(planes.mean(axis=(1, 2), dtype=np.float64) @ LUMA)
    colour = _turned(turn) @ _saturated(factors[2])
    scale = (factors[0] * factors[1] * colour).astype(np.float32)
    # Grey stays grey under `colour`, so the offset of the contrast is the same in every channel.
    offset = np.float32((1 - factors[1]) * grey)
    mixed = np.stack(
        [row[0] * planes[0] + row[1] * planes[1] + row[2] * planes[2] for row in scale]
    )
    return np.moveaxis(np.clip(mixed + offset, 0, 255), 0, -1)


def rs_input(
    bands: Shaped[np.ndarray, 'h w c'], contract: SensorContract, size: int, kernel: str
) -> Float[np.ndarray, 'size size c']:
    """Network input from the contract's bands: normalised, then resized to a square."""
    return resize(contract.normalize(bands), (size, size), kernel)


def benchmark_input(
    bands: Shaped[np.ndarray, 'h w c'],
    stored: Stored,
    contract: SensorContract,
    size: int,
    kernel: str,
    scaling: str,
) -> Float[np.ndarray, 'size size k']:
    """Network input from a benchmark's bands: resized, then scaled by its own statistics."""
    resized = resize(bands.astype(np.float32), (size, size), kernel)
    return prepare(resized, stored, contract.bands, scaling=scaling)


def sv_input(
    photo: Shaped[np.ndarray, 'h w 3'], contract: SensorContract, size: int, kernel: str
) -> Float[np.ndarray, 'size size 3']:
    """Network input from a photo in [0, 255]: z-scored, then resized to a square."""
    return resize(contract.normalize(photo), (size, size), kernel)


def _factor(amount: float, rng: np.random.Generator) -> float:
    return 1 + amount * rng.uniform(-1, 1)


def _saturated(factor: float) -> np.ndarray:
    return factor * np.eye(3) + (1 - factor) * np.outer(np.ones(3), LUMA)


def _turned(angle: float) -> np.ndarray:
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return _FROM_YIQ @ turn @ _TO_YIQ
