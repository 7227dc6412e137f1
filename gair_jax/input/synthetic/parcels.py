"""Streets, blocks and parcels: the tables that say who owns which piece of ground.

The plane of a UTM zone is bent smoothly (`warp`), then cut into strips by roads along u, each strip
into blocks by cross roads, each block into a few parcels. Every table entry comes from hashed
absolute indices, so a table covers any box and says the same about the same ground.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyproj

from gair_jax.input.synthetic import globe, materials
from gair_jax.input.synthetic.noise import hash32, uniform, value_noise

SPACING = 190.0  # mean distance between parallel roads, metres
MOST = 4  # parcels along one side of a block, at most
_LINE_JITTER = 0.3
_DISTRICT = 120.0  # lattice width of the fields that compete for a district, metres
_PATCH = 110.0  # likewise of what neighbouring parcels share
_OWN = 0.15  # share of chance that is a parcel's own
_BENDS = ((260.0, 1800.0), (22.0, 240.0))  # amplitude and lattice width of the warp, metres
_REACH = 2 * sum(amplitude for amplitude, _ in _BENDS)

KINDS = (
    'tower', 'house', 'hall', 'park', 'crop', 'orchard', 'deciduous', 'conifer',
    'meadow', 'bare', 'pond', 'court', 'plaza',
)  # fmt: skip
KIND = {name: i for i, name in enumerate(KINDS)}
# Share of each kind of parcel in each kind of block, in the order of KINDS.
_MIX = {
    'centre': (72, 2, 3, 6, 0, 0, 1, 0, 0, 0, 0, 4, 12),
    'suburb': (1, 78, 0, 6, 0, 2, 4, 2, 3, 0, 0, 3, 1),
    'industry': (0, 1, 58, 0, 0, 0, 0, 0, 4, 6, 0, 3, 28),
    'gardens': (0, 3, 0, 66, 0, 2, 8, 3, 4, 0, 6, 8, 0),
    'farm': (0, 2, 0, 0, 90, 2, 2, 0, 3, 0, 1, 0, 0),
    'grove': (0, 2, 0, 0, 12, 80, 2, 0, 2, 2, 0, 0, 0),
    'leaves': (0, 1, 0, 0, 0, 0, 84, 5, 8, 0, 2, 0, 0),
    'pines': (0, 0, 0, 0, 0, 0, 6, 82, 7, 3, 2, 0, 0),
    'pasture': (0, 2, 0, 0, 5, 1, 5, 0, 84, 0, 3, 0, 0),
    'heath': (0, 0, 0, 0, 3, 0, 0, 6, 12, 78, 1, 0, 0),
}
_SHARES = np.array(list(_MIX.values()), np.float32)
_SHARES = np.cumsum(_SHARES / _SHARES.sum(1, keepdims=True), 1)


@functools.lru_cache(maxsize=256)
def _to_lonlat(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, 'EPSG:4326', always_xy=True)


def lonlat_of(crs: str, e: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Metres in `crs` -> degrees, lon first: float64 [..., 2]."""
    return np.stack(_to_lonlat(crs).transform(e, n), axis=-1)


def zone_seed(seed: int, crs: str) -> int:
    """Seed of the plane of one UTM zone, given as 'EPSG:326xx' or 'EPSG:327xx'."""
    return int(hash32(seed, int(crs.split(':')[1])) >> np.uint32(2))


def warp(seed: int, e: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(e, n) in metres -> (u, v), the bent coordinates in which roads are straight; float64."""
    u, v = e, n
    for k, (amplitude, scale) in enumerate(_BENDS):
        u = u + 2 * amplitude * (value_noise(seed + 100 + k, e, n, scale) - np.float32(0.5))
        v = v + 2 * amplitude * (value_noise(seed + 110 + k, e, n, scale) - np.float32(0.5))
    return u, v


@dataclasses.dataclass(frozen=True)
class Survey:
    """Tables over strips r and columns c of one box; a parcel is [r, c, iu, iv].

    Lines are in metres of u or v, half widths in metres (0: no road).
    """

    first_row: int
    first_column: int
    line_v: np.ndarray  # f64 [r]
    road_v: np.ndarray  # f32 [r] half width
    phase: np.ndarray  # f64 [r]
    line_u: np.ndarray  # f64 [r, c]
    road_u: np.ndarray  # f32 [r, c] half width
    split_u: np.ndarray  # f32 [r, c] parcels across
    split_v: np.ndarray  # f32 [r, c]
    hedged: np.ndarray  # bool [r, c]
    kind: np.ndarray  # u8 [r, c, 4, 4]
    crop: np.ndarray  # u8 [r, c, 4, 4]
    palette: np.ndarray  # u8 [r, c, 4, 4]
    tint: np.ndarray  # f32 [r, c, 4, 4, 3]
    height: np.ndarray  # f32 [r, c, 4, 4] of a building that may stand there


def _road_half_width(chance: np.ndarray, widths: tuple[float, float]) -> np.ndarray:
    """Asphalt (the wider), gravel, or none."""
    asphalt, gravel = widths
    return np.where(chance < 0.5, asphalt, np.where(chance < 0.8, gravel, 0)).astype(np.float32)


def _districts(
    seed: int, u: np.ndarray, v: np.ndarray, urban: np.ndarray, here: globe.Climate
) -> np.ndarray:
    """Row of _SHARES at parcels centred on (u, v): patches some 200 m wide, by climate and town."""
    town = urban + 0.5 * (value_noise(seed + 120, u, v, 1100.0) - 0.5)
    dry, cold = here.aridity - 0.5, 0.5 - here.temperature / 30
    leaning = {
        'centre': 0.9 * town - 0.35, 'suburb': 0.6 * town - 0.1, 'industry': 0.4 * town - 0.15,
        'gardens': 0.3 * town - 0.1, 'farm': 0.1 - 0.3 * town,
        'grove': 0.3 * dry - 0.4 * cold - 0.1, 'leaves': -0.4 * dry - 0.1 * town,
        'pines': 0.5 * cold - 0.1 * town,
        'pasture': -0.3 * dry - 0.1, 'heath': 0.5 * dry - 0.1,
    }  # fmt: skip
    score = [
        value_noise(seed + 121 + k, u, v, _DISTRICT) + 0.7 * leaning[name]
        for k, name in enumerate(_MIX)
    ]
    return np.argmax(score, axis=0)


def survey(
    seed: int, crs: str, cities: Sequence[globe.City], box: tuple[float, float, float, float]
) -> Survey:
    """The tables for `box` = (west, south, east, north), metres in `crs`."""
    west, south, east, north = box
    salt = zone_seed(seed, crs)
    row = np.arange(int((south - _REACH) // SPACING) - 1, int((north + _REACH) // SPACING) + 3)
    column = np.arange(int((west - _REACH) // SPACING) - 2, int((east + _REACH) // SPACING) + 4)
    r, c = np.meshgrid(row, column, indexing='ij')
    line_v = SPACING * (row + _LINE_JITTER * (uniform(salt + 1, row) - 0.5))
    phase = uniform(salt + 2, row).astype(np.float64)
    line_u = SPACING * (c + phase[:, None] + _LINE_JITTER * (uniform(salt + 3, r, c) - 0.5))
    lonlat = lonlat_of(crs, line_u, np.broadcast_to(line_v[:, None], r.shape))
    split_u, split_v = (np.floor(2 + 2.4 * uniform(salt + k, r, c)) for k in (6, 7))
    blocks = _Blocks(
        r, c, line_u, np.broadcast_to(line_v[:, None], r.shape), split_u, split_v,
        globe.urbanity(cities, lonlat), globe.climate(seed, lonlat),
    )  # fmt: skip
    return Survey(
        first_row=int(row[0]),
        first_column=int(column[0]),
        line_v=line_v,
        road_v=_road_half_width(uniform(salt + 4, row), (5.5, 3.5)),
        phase=phase,
        line_u=line_u,
        road_u=_road_half_width(uniform(salt + 5, r, c), (4.5, 2.5)),
        split_u=split_u,
        split_v=split_v,
        hedged=uniform(salt + 9, r, c) < 0.5,
        **_parcels(salt, blocks),
    )


class _Blocks(NamedTuple):
    """Blocks before they are cut up, arrays [r, c]."""

    row: np.ndarray
    column: np.ndarray
    line_u: np.ndarray
    line_v: np.ndarray
    split_u: np.ndarray
    split_v: np.ndarray
    urban: np.ndarray
    climate: globe.Climate


def _parcels(salt: int, blocks: _Blocks) -> dict[str, np.ndarray]:
    """The fields of Survey that are tables of parcels [r, c, iu, iv]."""

    def spread(table: np.ndarray) -> np.ndarray:
        return table[:, :, None, None]

    iu, iv = np.ogrid[:MOST, :MOST]
    u = spread(blocks.line_u) + SPACING * (iu + 0.5) / spread(blocks.split_u) + 0 * iv
    v = spread(blocks.line_v) + SPACING * (iv + 0.5) / spread(blocks.split_v) + 0 * iu
    keys = spread(blocks.row), spread(blocks.column), iu, iv
    here = globe.Climate(**{k: spread(x) for k, x in vars(blocks.climate).items()})

    def patchy(stream: int) -> np.ndarray:
        """0..1: mostly what neighbours share, and some chance of the parcel's own."""
        shared = np.clip(
            (value_noise(salt + 200 + stream, u, v, _PATCH) - 0.5) * 1.7 + 0.5, 0, 0.999
        )
        return ((1 - _OWN) * shared + _OWN * uniform(salt + stream, *keys)).astype(np.float32)

    shares = _SHARES[_districts(salt, u, v, spread(blocks.urban), here)]
    kind = np.sum(uniform(salt + 8, *keys)[..., None] >= shares[..., :-1], -1).astype(np.uint8)
    roofs = (patchy(11) + here.custom) * len(materials.ROOFS) % len(materials.ROOFS)
    return {
        'kind': kind,
        'crop': (patchy(10) * len(materials.CROPS)).astype(np.uint8),
        'palette': roofs.astype(np.uint8),
        'tint': np.stack([2 * patchy(k) - 1 for k in (12, 13, 15)], -1),
        'height': _heights(kind, patchy(14)),
    }


def _heights(kind: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Height of buildings by kind of parcel, metres."""
    low = np.zeros(len(KINDS), np.float32)
    spread = np.zeros(len(KINDS), np.float32)
    low[[KIND['tower'], KIND['house'], KIND['hall']]] = 10, 5, 6
    spread[[KIND['tower'], KIND['house'], KIND['hall']]] = 22, 4, 7
    return low[kind] + spread[kind] * chance
