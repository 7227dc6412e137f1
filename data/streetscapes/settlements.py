"""Urban and rural places, half and half, for remote sensing and location alone (paper section 5.2).

The paper says "urban-rural balanced" and not how. Here: cells of GHS-SMOD (`settlements_raster`)
are drawn without replacement in some blocks of 100 km, which fewer scenes cover than the whole
Earth. Urban cells are spread evenly over the blocks that have them; rural ones evenly over strata,
such as continents and climates, and in each over blocks. A place lies anywhere in its cell, and no
two within 960 m, the side of a window of 96 pixels.

All order is by the hash of a key and the seed (`keys`): the same raster gives the same places.
"""

import math
import pathlib

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from gair_jax.builders import raster_values
from gair_jax.builders.streetscapes import choose, keys, settlements_raster, utm
from gair_jax.builders.streetscapes.settings import PlacesConfig
from gair_jax.builders.streetscapes.settlements_raster import (
    CODES,
    KINDS,
    RURAL,
    URBAN,
    Cells,
    Settlements,
)
from gair_jax.config import InputError
from gair_jax.geo import sphere

APART_M = 960.0
# A block offers this many times its share, for some are too near to others or of a common stratum;
# and no more, so that a rare stratum does not heap up in one block.
OFFERED = 4
_HALF = 2**32  # of the 64 bits of a hash
ELSEWHERE = 'unknown'  # stratum of places of which a raster says nothing
COLUMNS = ('source', 'orig_id', 'lon', 'lat', 'settlement', 'block')
# Settings that act on photos of a table alone.
_OF_PHOTOS = (
    *('per_city', 'box', 'quality', 'day', 'outdoors'),
    *('least_width', 'thin_m', 'most_moved_m'),
)


def wanted(count: int) -> dict[str, int]:
    """How many places of each kind are wanted: half are urban."""
    return {URBAN: count // 2, RURAL: count - count // 2}


def draw(places: PlacesConfig) -> pd.DataFrame:
    """Places drawn from a raster, in order of taking; of a kind that runs short, what there is.

    Args:
      places: raster, strata, count, blocks and seed.

    Returns:
      Columns `source`, `orig_id` ('COLUMN_ROW' of its cell), `lon`, `lat` (degrees), `settlement`
      ('urban' or 'rural') and `block` (its name).

    Raises:
      InputError: a setting is out of range, a raster cannot be used, or there is no urban or no
        rural cell.
    """
    _check(places)
    offered = _offered(places)
    parts = []
    for kind, evenly_over in ((URBAN, ['block']), (RURAL, ['stratum', 'block'])):
        rows = offered[offered['settlement'] == kind]
        parts.append(_evenly(rows, evenly_over, wanted(places.count)[kind], places.seed))
    drawn = pd.concat(parts).sort_index()  # whose order is that of taking
    return drawn.assign(source=keys.PLACE)[list(COLUMNS)].reset_index(drop=True)


def apart(lonlat: Float[np.ndarray, 'n 2']) -> Bool[np.ndarray, ' n']:
    """Which places are left if each goes that is within 960 m of one before it that is left.

    Distances are of the great circle: they hold across cells, blocks and the antimeridian.
    """
    lon, lat = np.radians(lonlat).T
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    chord = 2 * math.sin(APART_M / sphere.EARTH_RADIUS_M / 2)
    near = cKDTree(xyz).query_pairs(chord, output_type='ndarray')
    left = np.ones(len(lonlat), bool)
    # In order of the first of a pair, which comes before the second: by then it is settled.
    for first, second in near[np.argsort(near[:, 0])].tolist():
        if left[first]:
            left[second] = False
    return left


def _check(places: PlacesConfig) -> None:
    for name, least in (('count', 2), ('blocks', 1)):
        if (found := getattr(places, name)) < least:
            raise InputError(f'places.{name}: expected {least} or more, found {found}.')
    for name in _OF_PHOTOS:
        found, unset = getattr(places, name), getattr(PlacesConfig(), name)
        if found != unset:
            raise InputError(
                f'places.{name}: expected {unset!r} beside places.raster, since it acts on photos, '
                f'found {found!r}.'
            )


def _offered(places: PlacesConfig) -> pd.DataFrame:
    """Places among which is drawn, no two too near, in order of taking.

    Columns as `draw` gives them, without `source`; `stratum`, '' of urban ones; and `order`.
    """
    path = pathlib.Path(places.raster)
    with settlements_raster.opened(path) as raster:
        blocks = _blocks(raster.counts(), places)
        share = {
            kind: OFFERED * choose.filled(blocks[kind], number, places.seed)
            for kind, number in wanted(places.count).items()
        }
        chosen = set(zip(blocks['row'], blocks['column'], strict=True))
        found = [
            _first(raster, cells, share[cells.kind][cells.name], places.seed)
            for cells in raster.cells(chosen)
        ]
    rows = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=['settlement'])
    for kind in KINDS:
        if not (rows['settlement'] == kind).any():
            raise InputError(
                f'{path}: expected {kind} cells (places.raster; codes '
                f'{", ".join(map(str, CODES[kind]))}) below 84 degrees, found none.'
            )
    rows = rows.sort_values(['order', 'orig_id'], ignore_index=True)
    rows = rows[apart(rows[['lon', 'lat']].to_numpy())]
    return rows.assign(stratum=_strata(rows, places))


def _blocks(counts: Int[np.ndarray, 'rows columns 2'], places: PlacesConfig) -> pd.DataFrame:
    """The chosen blocks by name, with `row`, `column` and how many cells of each kind they have.

    The first in the order of their hash; half of them among those with urban cells, for ground that
    was taken blindly would have few.
    """
    row, column = np.nonzero(counts.any(axis=-1))
    found = zip(row.tolist(), column.tolist(), strict=True)
    names = [settlements_raster.block_name(block) for block in found]
    of_kind = dict(zip(KINDS, counts[row, column].T, strict=True))
    blocks = pd.DataFrame({'row': row, 'column': column, **of_kind}, index=names)
    order = np.array([keys.order(places.seed, f'block:{name}') for name in names], np.uint64)
    blocks = blocks.iloc[np.argsort(order, kind='stable')]
    urban = blocks[blocks[URBAN] > 0].head(math.ceil(places.blocks / 2))
    return pd.concat([urban, blocks.drop(urban.index).head(places.blocks - len(urban))])


def _first(raster: Settlements, cells: Cells, most: int, seed: int) -> pd.DataFrame:
    """The first `most` cells of a block, each with its place."""
    names = [f'{column}_{row}' for column, row in cells.column_row.tolist()]
    order = np.array([keys.order(seed, _key(name)) for name in names], np.uint64)
    first = np.argsort(order, kind='stable')[:most]
    names = [names[at] for at in first]
    lonlat = raster.lonlat(cells.column_row[first] + _within(names, seed))
    rows = pd.DataFrame({'orig_id': names, 'order': order[first]})
    rows = rows.assign(lon=lonlat[:, 0], lat=lonlat[:, 1], block=cells.name, settlement=cells.kind)
    return rows[np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) < utm.MOST_LAT)]


def _within(names: list[str], seed: int) -> Float[np.ndarray, 'n 2']:
    """Where in its cell each place lies: two halves of a hash, in [0, 1)."""
    hashes = [keys.order(seed, f'{_key(name)}:within') for name in names]
    halves = np.array([divmod(found, _HALF) for found in hashes], np.float64)
    return halves.reshape(-1, 2) / _HALF


def _strata(rows: pd.DataFrame, places: PlacesConfig) -> pd.Series:
    """What all strata rasters say of rural places, '' of urban ones.

    Places of which one says nothing, such as on coasts, are a stratum of their own together.
    """
    rural = rows['settlement'] == RURAL
    lonlat = rows.loc[rural, ['lon', 'lat']].to_numpy()
    values = np.empty((len(lonlat), len(places.strata)))
    for at, path in enumerate(places.strata):
        values[:, at] = raster_values.at_places(pathlib.Path(path), lonlat)
        if np.isnan(values[:, at]).all():
            raise InputError(
                f'{path}: expected values where rural places are (places.strata), found none.'
            )
    names = ['/'.join(f'{value:g}' for value in row) for row in values.tolist()]
    found = pd.Series('', index=rows.index)
    found[rural] = np.where(np.isnan(values).any(axis=1), ELSEWHERE, np.array(names, object))
    return found


def _evenly(rows: pd.DataFrame, over: list[str], number: int, seed: int) -> pd.DataFrame:
    """The first rows, as many of each value of a column as can be; in each over the next column."""
    if not over:
        return rows.head(number)
    quotas = choose.filled(rows[over[0]].value_counts(), number, seed)
    parts = rows.groupby(over[0])
    return pd.concat([_evenly(part, over[1:], quotas[name], seed) for name, part in parts])


def _key(orig_id: str) -> str:
    return f'{keys.PLACE}:{orig_id}'
