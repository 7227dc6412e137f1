"""What colour alone tells, without a network: the floors that an encoder must beat."""

import numpy as np

from gair_jax.config import InputError
from gair_jax.sensors import band_indices, contract
from gair_jax.transfer.localize import best_point

TRUE_COLOUR = ('B04', 'B03', 'B02')


def true_colour(sensor: str) -> np.ndarray:
    """Where red, green and blue stand among the bands of a sensor contract."""
    try:
        return band_indices(contract(sensor).bands, TRUE_COLOUR)
    except InputError as error:
        raise InputError(f'sensor {sensor}: pictures need red, green and blue; {error}') from error


def statistics(rgb: np.ndarray) -> np.ndarray:
    """21 statistics of images [n, H, W, 3]: float64 [n, 21].

    Of each band the mean, the standard deviation, percentiles 10, 50 and 90, and the mean step
    between neighbours across and down, which is its texture.
    """
    pixels = rgb.astype(np.float64)
    found = [pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))]
    found.extend(np.percentile(pixels, [10, 50, 90], axis=(1, 2)))
    found.extend(np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    return np.concatenate(found, axis=1)


def nearest_colour(photo: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """The xy of the pixel whose colour is nearest to the mean colour of the photo's lower half.

    Nothing is learnt: both colours are standardised, each over all that is given here, which
    takes out that a camera and a satellite see in different units.

    Args:
        photo: [n, s, s, 3], rows downwards.
        rgb: [n, H, W, 3].

    Returns:
        float64 [n, 2] in [-1, 1].
    """
    ground = photo[:, photo.shape[1] // 2 :].mean(axis=(1, 2), dtype=np.float64)
    ground = (ground - ground.mean(axis=0)) / np.maximum(ground.std(axis=0), 1e-9)
    flat = rgb.reshape(-1, 3)
    mean, std = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    pixels = ((rgb - mean) / np.maximum(std, 1e-9)).astype(np.float32)
    return best_point(-np.sum((pixels - ground[:, None, None]) ** 2, axis=-1))
