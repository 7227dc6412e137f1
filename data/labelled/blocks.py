"""Splits of whole blocks of ground, so that neighbours are not both fitted and scored."""

import pathlib

import numpy as np
import pandas as pd

from gair_jax import sensors
from gair_jax.builders import city_splits
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.geo.blocks import spatial_blocks
from gair_jax.input import raster_files
from gair_jax.input.tables import listed


def _middle(path: pathlib.Path, sensor: str) -> np.ndarray:
    with raster_files.open_raster(path, sensors.contract(sensor)) as raster:
        place = raster_files.place_of(raster)
    return tiles.tile_xy_to_lonlat(np.zeros(2), place.bounds, place.crs)


def mark_places(rows: pd.DataFrame, root: pathlib.Path, sensor: str) -> np.ndarray:
    """Degrees float64 [n, 2] of each row, of a tile its middle; a row without gets its reason."""
    found = rows[['lon', 'lat']].to_numpy(np.float64)
    for at in np.flatnonzero(np.isnan(found).any(axis=1) & (rows['problem'] == '').to_numpy()):
        row = rows.index[at]
        try:
            if not rows.at[row, 'tile']:
                raise InputError('no position: lon or lat is empty')
            found[at] = _middle(root / listed(rows.at[row, 'tile'])[0], sensor)
        except InputError as error:
            rows.loc[row, 'problem'] = str(error).rstrip('.')
    return found


def draw(rows: pd.DataFrame, root: pathlib.Path, sensor: str, *, km: float, seed: int) -> pd.Series:
    """The split of each row, 60/20/20 nearly, in whole cells of a grid of about `km`.

    A row whose place is not known gets its reason in `problem`, and train.
    """
    lonlat = mark_places(rows, root, sensor)
    known = np.isfinite(lonlat).all(axis=1)
    blocks = spatial_blocks(lonlat[known], km).astype(str)
    placed = rows[known].assign(group='', block=blocks)
    return city_splits.draw(placed, seed=seed, by='block').reindex(rows.index, fill_value='train')
