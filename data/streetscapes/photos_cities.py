"""Which photos are wanted: of each city the first N, in the plan's order, that are to be had.

A photo that is gone or dropped makes room for the next reserve of its city. So what is asked for is
the shortest beginning of the city's list in which N photos are not lost, and what is kept are those
N: neither the order in which answers arrive nor the number of workers has a say. A photo that
failed is not lost: it keeps its room until a later run has settled it.

Workers share cities, not photos, so that none waits for another. A city without reserves needs no
such care: its photos are shared one by one.
"""

import itertools
import operator
from collections.abc import Callable, Iterator

import pandas as pd

from gair_jax.builders.streetscapes import keys

LOST = ('gone', 'dropped')


class _City:
    """The photos of a city in the order in which they are wanted, and how many of them are."""

    __slots__ = ('photos', 'wanted')  # There may be a million of them.

    def __init__(self, photos: list[str], need: int) -> None:
        self.photos, self.wanted = photos, need

    def next(self) -> str:
        """One photo more is wanted: its key, '' if there is none."""
        if self.wanted >= len(self.photos):
            return ''
        self.wanted += 1
        return self.photos[self.wanted - 1]


class Cities:
    """The share of one worker."""

    def __init__(self, photos: pd.DataFrame, worker: int, workers: int) -> None:
        """Sorts the photos of the plan that this worker takes.

        Args:
          photos: key, city, city_id, order, reserve.
          worker: 0..workers - 1.
          workers: how many share the plan.
        """
        name = photos['city_id'].astype(str)
        name = name.where(name != '', photos['city'].astype(str))
        reserved = name.isin(name[photos['reserve']].unique())
        share = ('city:' + name).where(reserved, photos['key'])
        mine = share.map(lambda text: keys.worker_of(text, workers) == worker).astype(bool)
        rows = photos.loc[mine, ['key', 'order', 'reserve']]
        # Photos that nothing could replace are one list, whatever their cities.
        rows = rows.assign(name=share.where(reserved, '')[mine])
        rows = rows.sort_values(['name', 'reserve', 'order', 'key'])
        columns = zip(rows['name'], rows['key'], rows['reserve'], strict=True)
        self._of: dict[str, _City] = {}
        self._cities: list[_City] = []
        for _, members in itertools.groupby(columns, key=operator.itemgetter(0)):
            listed = list(members)
            need = sum(not reserve for *_, reserve in listed)
            city = _City([key for _, key, _ in listed], need)
            self._cities.append(city)
            self._of |= dict.fromkeys(city.photos, city)

    def __iter__(self) -> Iterator[str]:
        """Every photo of this worker, reserves too."""
        return iter(self._of)

    def wanted(self, state_of: Callable[[str], str]) -> list[str]:
        """Keys of all photos that are wanted, given what is known of them; lost ones too."""
        for city in self._cities:
            for place, key in enumerate(city.photos):
                if place < city.wanted and state_of(key) in LOST:
                    city.next()
        return [key for city in self._cities for key in city.photos[: city.wanted]]

    def replacement(self, key: str) -> str:
        """The photo that is wanted in the place of one that is lost; '' if there is none left."""
        return self._of[key].next()
