"""The first stage: which photos are fetched and which tiles are read, from files at hand alone.

Every row of the table is planned, in reserve, or dropped with a reason (`plan_files`).
"""

import pathlib

import numpy as np
import pandas as pd

from gair_jax.builders.streetscapes import choose, layouts, plan_files, settlements, tables
from gair_jax.builders.streetscapes.layouts import Layout
from gair_jax.builders.streetscapes.settings import StreetscapesConfig, TilesConfig
from gair_jax.config import InputError

OUTSIDE = 'outside the tile of its city'
THINNED = 'another photo of its sequence in its cell'
ALONE = f'{choose.NOT_WANTED}: on a tile without planned photos'


def plan(settings: StreetscapesConfig, out: pathlib.Path) -> dict[str, int]:
    """Plans a build; where it is planned already, says what is there.

    Args:
      settings: its `places` and `tiles` (layout and margin) count here.
      out: folder of the build.

    Returns:
      Numbers of `rows` of the table and of those `planned`, in `reserve` and `dropped`; of `tiles`
      and `cities` that have planned photos. Of places drawn from a raster also those that are
      `urban` and `rural`, and how many of each are lacking.

    Raises:
      InputError: the table, the raster or a setting cannot be used, no photo is left, nothing can
        be written, or the folder was planned from another table or by other settings.
    """
    _check(settings)
    stamp = plan_files.stamp(settings)
    if counts := plan_files.counts(out, stamp):
        return counts
    rows = choose.ordered(tables.read(settings.places), settings.places.seed)
    rows['outcome'] = _outcome(rows, settings)
    if not (rows['outcome'] == choose.PLANNED).any():
        path = settings.places.raster or settings.places.table
        raise InputError(f'{path}: no photo is left to plan; {_commonest(rows)}.')
    rows, layout = _laid(rows, settings.tiles)
    counts = _counted(rows, layout)
    if settings.places.raster:
        counts |= _drawn(rows, settings.places.count)
    plan_files.write(out, _files(rows, layout), stamp, counts)
    return counts


def _check(settings: StreetscapesConfig) -> None:
    choose.check(settings.places)
    layout, margin = settings.tiles.layout, settings.tiles.margin
    if layout not in (layouts.NATIVE, layouts.RELEASE):
        raise InputError(
            f'tiles.layout: expected {layouts.NATIVE} or {layouts.RELEASE}, found {layout!r}.'
        )
    if margin < 0:
        raise InputError(f'tiles.margin: expected 0 or more, found {margin}.')


def _outcome(rows: pd.DataFrame, settings: StreetscapesConfig) -> pd.Series:
    """'planned', 'reserve' or why not, for rows in the order of taking."""
    outcome = choose.left_out(rows, settings.places)
    if settings.tiles.layout == layouts.RELEASE:
        inside = layouts.in_release_tile(_lonlat(rows), _centres(rows))
        outcome = outcome.mask((outcome == '') & ~inside, OUTSIDE)
    if settings.places.thin_m:
        left = rows[outcome == '']
        first = choose.thinned(left, settings.places.thin_m)
        outcome[left.index[~first]] = THINNED
    left = rows[outcome == '']
    outcome[left.index] = choose.taken(left, settings.places)
    return outcome


def _laid(rows: pd.DataFrame, settings: TilesConfig) -> tuple[pd.DataFrame, Layout]:
    """The rows with the key of their `tile`, and the tiles that planned photos lie on.

    A photo of the reserve on any other tile is dropped: no scenes are read for what may be wanted.
    """
    kept = rows['outcome'].isin([choose.PLANNED, choose.RESERVE])
    layout = _layout(rows[kept], settings)
    keys = np.array([tile.key for tile in layout.tiles], object)
    rows = rows.assign(tile='')
    rows.loc[kept, 'tile'] = keys[layout.of]
    used = set(rows.loc[rows['outcome'] == choose.PLANNED, 'tile'])
    rows.loc[kept & ~rows['tile'].isin(used), 'outcome'] = ALONE
    # A tile on the border of two blocks goes with one of them.
    rows['block'] = rows.groupby('tile')['block'].transform('min')
    return rows, layout._replace(tiles=[tile for tile in layout.tiles if tile.key in used])


def _layout(kept: pd.DataFrame, settings: TilesConfig) -> Layout:
    if settings.layout == layouts.RELEASE:
        return layouts.release(_lonlat(kept), _centres(kept), kept['city_id'])
    return layouts.native(_lonlat(kept), kept['city_id'], settings.margin)


def _counted(rows: pd.DataFrame, layout: Layout) -> dict[str, int]:
    planned = rows[rows['outcome'] == choose.PLANNED]
    reserve = int((rows['outcome'] == choose.RESERVE).sum())
    return {
        'rows': len(rows),
        'planned': len(planned),
        'reserve': reserve,
        'dropped': len(rows) - len(planned) - reserve,
        'tiles': len(layout.tiles),
        'cities': len(set(planned['city_id']) - {''}),
    }


def _drawn(rows: pd.DataFrame, count: int) -> dict[str, int]:
    """Places by kind, and how many fewer there are than wanted."""
    wanted = settlements.wanted(count)
    found = {kind: int((rows['settlement'] == kind).sum()) for kind in wanted}
    return found | {f'{kind} lacking': wanted[kind] - found[kind] for kind in wanted}


def _files(rows: pd.DataFrame, layout: Layout) -> dict[str, pd.DataFrame]:
    """The three tables of the plan; together they have each row once."""
    kept = rows['outcome'].isin([choose.PLANNED, choose.RESERVE])
    photos = rows[kept].assign(reserve=rows['outcome'] == choose.RESERVE)
    dropped = rows[~kept].rename(columns={'outcome': 'reason'})
    return {
        # Stable: the rows are in the order of taking.
        'photos': photos.sort_values('city_id', kind='stable'),
        'tiles': pd.DataFrame(layout.tiles, columns=list(layouts.Tile._fields)),
        'dropped': dropped[plan_files.DROPPED.names].sort_values('row'),
    }


def _commonest(rows: pd.DataFrame) -> str:
    reasons = rows['outcome'].value_counts()
    return f'{reasons.iloc[0]} of {len(rows)} rows are left out for {reasons.index[0]!r}'


def _lonlat(rows: pd.DataFrame) -> np.ndarray:
    return rows[['lon', 'lat']].to_numpy()


def _centres(rows: pd.DataFrame) -> np.ndarray:
    return rows[['city_lon', 'city_lat']].to_numpy()
