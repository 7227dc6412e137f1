"""Months and seasons in which scenes compete."""

import datetime

import pytest

from gair_jax.builders.streetscapes import forecast, periods
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError


@pytest.mark.parametrize(
    ('date', 'month', 'season'),
    [
        ('2019-11-30', '2019-11', '2019-SON'),
        ('2019-12-01', '2019-12', '2020-DJF'),
        ('2020-01-01', '2020-01', '2020-DJF'),
        ('2020-02-29', '2020-02', '2020-DJF'),
        ('2020-03-01', '2020-03', '2020-MAM'),
        ('2020-05-31', '2020-05', '2020-MAM'),
        ('2020-06-01', '2020-06', '2020-JJA'),
        ('2020-09-01', '2020-09', '2020-SON'),
    ],
)
def test_december_is_in_the_winter_of_the_january_after_it(date, month, season):
    assert periods.name(date, 'month') == month and periods.name(date, 'season') == season


@pytest.mark.parametrize('period', ['month', 'season'])
@pytest.mark.parametrize('start', ['2019-11-30', '2019-12-01', '2020-02-29', '2020-03-01'])
def test_periods_are_counted_as_they_are_named(start, period):
    first = datetime.date.fromisoformat(start)
    names = set()
    for day in range(800):
        last = first + datetime.timedelta(day)
        names.add(periods.name(last.isoformat(), period))
        assert periods.count(first, last, period) == len(names)


def test_a_year_from_december_on_has_four_seasons():
    scenes = ScenesConfig(start='2022-12-01', end='2023-11-30', period='season')
    assert forecast.dates(scenes) == 4
    scenes.per_period = 2
    assert forecast.dates(scenes) == 8
    scenes.end = '2023-12-01'
    assert forecast.dates(scenes) == 10
    scenes.period = 'month'
    assert forecast.dates(scenes) == 26


def test_a_period_that_is_none_is_refused():
    with pytest.raises(InputError, match="scenes.period: expected month or season, found 'week'"):
        forecast.dates(ScenesConfig(period='week'))
