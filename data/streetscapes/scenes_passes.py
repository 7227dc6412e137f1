"""Granules of a catalogue -> passes of a satellite over a tile.

Granules overlap by 10 km, lie in the grid of their own UTM zone and are there once more for each
time that they were processed anew. So a tile meets up to some granules of each pass: the newest of
each square is kept, those of one zone, and the one that reaches furthest around the tile comes
first; the others fill what it lacks.
"""

import datetime
import itertools
import math
from typing import NamedTuple

import pyproj

from gair_jax.builders.streetscapes import scenes_offset
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_source import Item

# A pass takes seconds over a tile; the next of the same satellite comes after 100 minutes.
APART = datetime.timedelta(minutes=10)


class Pass(NamedTuple):
    """One pass over a tile: its date (UTC) and its granules, in the order in which they fill it."""

    date: str
    items: list[Item]


def passes(items: list[Item], tile: Tile) -> tuple[list[Pass], dict[str, str]]:
    """Passes over a tile by time, and why granules were left out, by id."""
    found, dropped = list[Pass](), dict[str, str]()
    for group in _by_time(items):
        newest = _newest(group)
        zone = _zone_for(newest, tile)
        kept = [item for item in newest if crs_of(item) == zone]
        dropped.update((item.id, 'older baseline') for item in group if item not in newest)
        dropped.update((item.id, 'other zone') for item in newest if item not in kept)
        kept.sort(key=lambda item: (-_reach(item, tile), item.id))
        found.append(Pass(group[0].datetime[:10], kept))
    return sorted(found, key=lambda one: (one.items[0].datetime, one.items[0].id)), dropped


def crs_of(item: Item) -> str:
    """'EPSG:32632', as the catalogue says or by the name of its square; '' unknown."""
    if 'crs' in item.extra or len(item.mgrs) < 3:
        return item.extra.get('crs', '')
    # Letters of squares run from south to north; N is the first north of the equator.
    return f'EPSG:{326 if item.mgrs[2] >= "N" else 327}{item.mgrs[:2]}'


def _by_time(items: list[Item]) -> list[list[Item]]:
    """Granules of one satellite that follow each other within `APART`."""
    groups = list[list[Item]]()
    for item in sorted(items, key=lambda item: (item.platform, item.datetime, item.id)):
        last = groups[-1][-1] if groups else item
        near = item.platform == last.platform and _time(item) - _time(last) < APART
        if groups and near:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _time(item: Item) -> datetime.datetime:
    return datetime.datetime.fromisoformat(item.datetime)


def _newest(group: list[Item]) -> list[Item]:
    """Those of the newest baseline of each square."""

    def age(item: Item) -> tuple[str, float]:
        number = scenes_offset.baseline_number(item.baseline)
        return item.mgrs or item.id, -1.0 if math.isnan(number) else number

    kept = list[Item]()
    for _, same in itertools.groupby(sorted(group, key=age), key=lambda item: age(item)[0]):
        square = list(same)
        kept.extend(item for item in square if age(item) == age(square[-1]))
    return kept


def _zone_for(items: list[Item], tile: Tile) -> str:
    """The tile's own grid where a granule has it, else that of the granule with most around it."""
    if any(crs_of(item) == tile.crs for item in items):
        return tile.crs
    return crs_of(max(items, key=lambda item: (_reach(item, tile), item.id)))


def _reach(item: Item, tile: Tile) -> float:
    """Metres from the tile to the nearest edge of the granule, < 0 where it sticks out."""
    if 'box' not in item.extra:
        return -math.inf
    left, top, right, bottom = tile.bounds
    if item.extra['crs'] != tile.crs:
        to_item = pyproj.Transformer.from_crs(tile.crs, item.extra['crs'], always_xy=True)
        left, bottom, right, top = to_item.transform_bounds(left, bottom, right, top)
    box = item.extra['box']
    return min(left - box[0], box[1] - top, box[2] - right, bottom - box[3])
