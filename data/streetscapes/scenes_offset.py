"""The +1000 that Sentinel-2 pixels carry since processing baseline 04.00, and its removal.

DN = 10000 rho + 1000 from baseline 04.00 on (25 January 2022, and what was processed anew since);
0 stays 'nothing seen'. Some catalogues have removed it, and what they say of that is wrong for some
scenes (Element84/earth-search issues 66 and 71). So the word of the catalogue is weighed against
the pixels: a subtraction that would push much of the land below zero is not made, and a scene that
lies 1000 beside the dates of older baselines, in every band, is put right. The date of sensing says
nothing: old scenes were processed anew.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt, UInt16

from gair_jax import sensors
from gair_jax.builders.streetscapes import scenes_source
from gair_jax.builders.streetscapes.scenes_source import Item, UnreadableError

OFFSET = 1000
FIRST_BASELINE = 4.0
# Reporters of wrong flags saw half of the pixels at zero; true ones leave next to no land there.
MOST_BELOW = 0.05
# How near to the medians of other dates a scene is in every band, and how far off without, in DN.
NEAR, FAR = 300, 700
VISIBLE = tuple(scenes_source.BANDS.index(band) for band in ('B02', 'B03', 'B04'))
# SCL: nothing seen, defective, cloud shadow, water: places that may be black.
NOT_LAND = (0, 1, 3, 6)


class Offset(NamedTuple):
    """What is subtracted from a scene.

    Attributes:
      removed: 0 or 1000.
      conflict: '' or in what the pixels contradict the catalogue.
    """

    removed: int
    conflict: str


def baseline_number(baseline: str) -> float:
    """4.0 of '04.00'; nan where it is not a number."""
    try:
        return float(baseline)
    except ValueError:
        return math.nan


def certain(item: Item) -> bool:
    """Whether the scene cannot carry the offset, whatever its catalogue says."""
    return baseline_number(item.baseline) < FIRST_BASELINE


def decide(
    item: Item,
    values: UInt16[np.ndarray, 'c h w'],
    scl: UInt[np.ndarray, 'h w'],
    medians: Float[np.ndarray, 'n c'],
) -> Offset:
    """What to subtract from the window of a scene.

    Args:
      item: the scene.
      values: its DN, bands as in `scenes_source.BANDS`; 0 nothing seen.
      scl: scene classification, same grid.
      medians: of the window, by band, on the tile's dates that are `certain`; n may be 0.

    Raises:
      UnreadableError: the catalogue names neither baseline nor offset, so no rule applies.
    """
    if certain(item):
        return Offset(0, '')
    if math.isnan(baseline_number(item.baseline)) and item.offset_applied == 'unknown':
        raise UnreadableError('no baseline: the catalogue names neither it nor an offset')
    stated = 0 if item.offset_applied == 'yes' else OFFSET
    if stated and _below(values, scl) > MOST_BELOW:
        return Offset(0, 'much of the land would be below zero')
    if len(medians) and _jumps(values, stated, medians):
        return Offset(OFFSET - stated, 'about 1000 beside other dates in every band')
    return Offset(stated, '')


def subtract(values: UInt16[np.ndarray, '...'], removed: int) -> UInt16[np.ndarray, '...']:
    """The values less the offset, 1 at least, so that 0 goes on meaning that nothing was seen."""
    less = np.maximum(values.astype(np.int32) - removed, 1)
    return np.where(values > 0, less, 0).astype(np.uint16)


def window_medians(values: UInt16[np.ndarray, 'c h w']) -> Float[np.ndarray, ' c']:
    """Median of each band over the pixels that were seen; nan where there is none."""
    seen = _seen(values)
    if not seen.any():
        return np.full(len(values), np.nan)
    return np.median(values[:, seen], axis=1).astype(np.float64)


def _seen(values: UInt16[np.ndarray, 'c h w']) -> Bool[np.ndarray, 'h w']:
    missing = sensors.contract('sentinel2_10').missing(np.moveaxis(values, 0, -1))
    return ~missing


def _below(values: UInt16[np.ndarray, 'c h w'], scl: UInt[np.ndarray, 'h w']) -> float:
    """Share of land that a subtraction would leave at 0 or less, in the worst visible band."""
    land = _seen(values) & ~np.isin(scl, NOT_LAND)
    if not land.any():
        return 0.0
    return float((values[VISIBLE, :, :][:, land] <= OFFSET).mean(axis=1).max())


def _jumps(
    values: UInt16[np.ndarray, 'c h w'], stated: int, medians: Float[np.ndarray, 'n c']
) -> bool:
    """Whether every band is near its usual value only if the catalogue is not believed."""
    beside = window_medians(values) - np.median(medians, axis=0)
    otherwise = np.abs(beside - (OFFSET - stated))
    return bool((otherwise <= NEAR).all() and (np.abs(beside - stated) >= FAR).all())
