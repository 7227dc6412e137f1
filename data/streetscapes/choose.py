"""Which photos of a table are planned, which stand by, and why the others are left out.

Photos are taken in the order of a hash of their key (`keys.order`), so that a table that grows
keeps what was chosen of it, and the next in order replaces a photo that is gone. The paper (section
4.1.1) takes 1,453 photos of each of 688 cities uniformly at random and names no filter.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool

from gair_jax.builders.streetscapes import keys, utm
from gair_jax.builders.streetscapes.settings import PlacesConfig
from gair_jax.config import InputError

PLANNED, RESERVE = 'planned', 'reserve'
NOT_WANTED = 'over the quota'
# As many photos stand by as are planned: more would only make the plan longer.
STANDING_BY = 1


def check(places: PlacesConfig) -> None:
    """Raises InputError unless the settings are within their ranges."""
    for name in ('per_city', 'least_width', 'thin_m', 'most_moved_m'):
        if not getattr(places, name) >= 0:
            raise InputError(f'places.{name}: expected 0 or more, found {getattr(places, name)}.')
    box = places.box
    if box and not (
        len(box) == 4 and all(abs(lon) <= 180 for lon in box[::2]) and -90 <= box[1] < box[3] <= 90
    ):
        raise InputError(
            f'places.box: expected west, south, east, north in degrees, found {tuple(box)}.'
        )


def ordered(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows with a column `order` (uint64), sorted by it."""
    order = np.array([keys.order(seed, key) for key in rows['key']], np.uint64)
    return rows.assign(order=order).sort_values(['order', 'key'], ignore_index=True)


def left_out(rows: pd.DataFrame, places: PlacesConfig) -> pd.Series:
    """Why each photo cannot be planned, '' if it can.

    What is not known of a photo never speaks against it. Quality, light and platform are what
    models say (of F1 0.4 to 0.6 for quality and glare, by the README of Global Streetscapes).

    Args:
      rows: as `tables.read` gives them.
      places: the filters.
    """
    day, width = rows['lighting_condition'], rows['width']
    tests = {
        f'at {utm.MOST_LAT:g} degrees or nearer to a pole': rows['lat'].abs() >= utm.MOST_LAT,
        'outside the box': ~in_box(rows, places.box),
        'quality very poor': places.quality & (rows['quality'] == 'very poor'),
        'not by day': places.day & ~day.isin(['day', '']),
        'in a tunnel': places.outdoors & (rows['platform'] == 'tunnel'),
        'too narrow': (width > 0) & (width < places.least_width),
        'moved too far': (places.most_moved_m > 0) & (rows['moved_m'] > places.most_moved_m),
        'no city': (places.per_city > 0) & (rows['city_id'] == ''),
    }
    reasons = pd.Series('', index=rows.index)
    for reason, bad in reversed(tests.items()):
        reasons = reasons.mask(bad, reason)
    return reasons


def in_box(rows: pd.DataFrame, box: tuple[float, ...]) -> pd.Series:
    """Which rows lie in west, south, east, north; west > east goes over the antimeridian."""
    if not box:
        return pd.Series(True, index=rows.index)
    west, south, east, north = box
    after, before = rows['lon'] >= west, rows['lon'] <= east
    across = after & before if west <= east else after | before
    return across & rows['lat'].between(south, north)


def thinned(rows: pd.DataFrame, side: float) -> Bool[np.ndarray, ' n']:
    """Which rows are the first of their sequence in their cell.

    Photos of a sequence are 0.5 to 0.8 m apart in the median. Those of no known sequence count as
    one sequence.

    Args:
      rows: in the order of taking, all nearer to the equator than 84 degrees.
      side: of the cells, metres of UTM.
    """
    lonlat = rows[['lon', 'lat']].to_numpy()
    codes = utm.codes(lonlat)
    cells = np.floor(utm.xy(lonlat, codes) / side)
    of = pd.DataFrame({'x': cells[:, 0], 'y': cells[:, 1], 'zone': codes})
    return ~of.assign(sequence=rows['sequence'].to_numpy()).duplicated().to_numpy()


def quotas(counts: pd.Series, places: PlacesConfig) -> pd.Series:
    """Photos to take of each city, of those it has.

    With `spread` the sum is per_city x cities if there are so many photos (`filled`).

    Args:
      counts: photos that each city has, by its id.
      places: per_city, spread and seed.
    """
    if not places.per_city:
        return counts
    if not places.spread:
        return counts.clip(upper=places.per_city)
    return filled(counts, places.per_city * len(counts), places.seed)


def filled(counts: pd.Series, wanted: int, seed: int) -> pd.Series:
    """How many to take of each group so that they are `wanted` in all, as evenly as can be.

    The level to which groups are filled rises until what short ones lack is made up. Where it
    cannot be met by one level, the groups that come first in the order of their hash give one more.

    Args:
      counts: what each group has, by its name.
      wanted: in all; fewer are taken if there are not so many.
      seed: of the order.
    """
    have = counts.to_numpy()
    wanted = min(wanted, int(have.sum()))
    level = _level(have, wanted)
    taken = np.minimum(have, level)
    order = np.array([keys.order(seed, name) for name in counts.index], np.uint64)
    can_give = np.argsort(order, kind='stable')
    can_give = can_give[have[can_give] > level]
    taken[can_give[: wanted - taken.sum()]] += 1
    return pd.Series(taken, counts.index)


def _level(have: np.ndarray, wanted: int) -> int:
    """Largest whole level at which no more than `wanted` are taken in all, by bisection."""
    low, high = 0, int(have.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(have, middle).sum() <= wanted:
            low = middle
        else:
            high = middle - 1
    return low


def taken(rows: pd.DataFrame, places: PlacesConfig) -> pd.Series:
    """'planned', 'reserve' or the reason why not, for rows in the order of taking.

    The reserve are the next photos of a city, as many as are planned of it.
    """
    city = rows['city_id']
    rank = rows.groupby('city_id').cumcount()
    quota = quotas(city.value_counts(), places).reindex(city).to_numpy()
    found = pd.Series(NOT_WANTED, index=rows.index)
    found = found.mask(rank < quota * (1 + STANDING_BY), RESERVE)
    return found.mask(rank < quota, PLANNED)
