"""Calendar periods in which scenes compete: of each, a tile takes the clearest.

month    '2020-05'
season   '2020-MAM', of three months; December is in the winter (DJF) of the January after it
"""

import datetime

from gair_jax.config import InputError

MONTH, SEASON = 'month', 'season'
_SEASONS = ('DJF', 'MAM', 'JJA', 'SON')
_LENGTH = {MONTH: 1, SEASON: 3}  # months


def check(period: str) -> None:
    """Raises InputError unless there is such a period."""
    if period not in _LENGTH:
        raise InputError(f'scenes.period: expected {MONTH} or {SEASON}, found {period!r}.')


def name(date: str, period: str) -> str:
    """The period that holds a day (ISO 8601), as '2020-05' or '2020-MAM'."""
    if period == MONTH:
        return date[:7]
    year, season = divmod(_place(datetime.date.fromisoformat(date), period), len(_SEASONS))
    return f'{year}-{_SEASONS[season]}'


def count(start: datetime.date, end: datetime.date, period: str) -> int:
    """Periods of which a day is in `start`..`end`; raises as `check` does."""
    check(period)
    return _place(end, period) - _place(start, period) + 1


def _place(day: datetime.date, period: str) -> int:
    """Number of the period since the year 0; the months of a season start with December."""
    shift = 0 if period == SEASON else -1
    return (day.year * 12 + day.month + shift) // _LENGTH[period]
