import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input.latest_dates import latest

DATES = ('2017-01-15', '2017-02-15', '2017-03-15')


def images(count):
    return [np.full((2, 3, 1), number + 1, np.uint16) for number in range(count)]


@pytest.mark.parametrize(
    ('count', 'values', 'days'),
    [
        (1, [3], [20170315]),
        (2, [3, 2], [20170315, 20170215]),
        (3, [3, 2, 1], [20170315, 20170215, 20170115]),
        (5, [3, 2, 1, 0, 0], [20170315, 20170215, 20170115, 0, 0]),
    ],
)
def test_the_latest_come_newest_first_and_zeros_fill_up(count, values, days):
    series, found = latest(images(3), DATES, count)
    assert series.dtype == np.uint16 and series.shape == (count, 2, 3, 1)
    assert series[:, 1, 2, 0].tolist() == values
    assert found.tolist() == days


@pytest.mark.parametrize(
    ('count', 'dates', 'message'),
    [
        (2, DATES, 'found 3 of 2'),
        (0, (), 'at least one, found 0 of 0'),
        (3, DATES[::-1], 'expected the oldest first'),
    ],
)
def test_series_that_are_none_are_refused(count, dates, message):
    with pytest.raises(InputError, match=message):
        latest(images(count), dates, 6)
