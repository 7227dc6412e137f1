"""The latest dates of a series, as PANGAEA-Bench feeds crop types.

The series is turned round, so that the newest image comes first, and then cut to a number of dates,
or filled up with images of zeros and dates of 0. Cloudy images count like others.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Shaped

from gair_jax.config import InputError


def latest(
    images: Sequence[Shaped[np.ndarray, 'h w c']], dates: Sequence[str], count: int
) -> tuple[Shaped[np.ndarray, 'count h w c'], Int[np.ndarray, ' count']]:
    """The `count` latest images, newest first.

    Args:
      images: of one tile, at least one, oldest first, in stored units.
      dates: ISO 8601, one an image.
      count: how many are wanted, 1 or more.

    Returns:
      Images in their own type, and dates as integers yyyymmdd; where there are fewer, zeros at the
      end of both.

    Raises:
      InputError: there is no image, not one date an image, or the dates do not ascend.
    """
    if not images or len(images) != len(dates):
        raise InputError(
            f'dates: expected one an image and at least one, found {len(dates)} of {len(images)}.'
        )
    if list(dates) != sorted(dates):
        raise InputError('dates: expected the oldest first.')
    newest = np.stack(images)[::-1][:count]
    series = np.zeros((count, *newest.shape[1:]), newest.dtype)
    series[: len(newest)] = newest
    days = np.zeros(count, np.int64)
    days[: len(newest)] = [int(date.replace('-', '')) for date in dates[::-1][:count]]
    return series, days
