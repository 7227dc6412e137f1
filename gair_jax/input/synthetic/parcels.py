"""Streets, blocks and parcels: the tables that say who owns which piece of ground.

The plane of a UTM zone is bent smoothly (`warp`), then cut into strips by roads along u, each strip
into blocks by cross roads, each block into a few parcels. Every table entry comes from hashed
absolute indices, so a table covers any box and says the same about the same ground.
"""

import dataclasses
import functools

import numpy as np
import pyproj

from gair_jax.input.synthetic import globe, materials
from gair_jax.input.synthetic.noise import uniform, value_noise

SPACING = 190.0  # mean distance between parallel roads, metres
MOST = 4  # parcels along one side of a block, at most
_LINE_JITTER = 0.3
_BENDS = ((260.0, 1800.0), (22.0, 240.0))  # amplitude and lattice width of the warp, metres
_REACH = 2 * sum(amplitude for amplitude, _ in _BENDS)

KINDS = (
    'tower', 'house', 'hall', 'park', 'crop', 'orchard', 'deciduous', 'conifer',
    'meadow', 'bare', 'pond', 'court', 'plaza',
)  # fmt: skip
KIND = {name: i for i, name in enumerate(KINDS)}
# Share of each kind of parcel in each kind of block, in the order of KINDS.
_MIX = {
    'centre': (45, 5, 5, 15, 0, 0, 3, 0, 0, 2, 2, 6, 17),
    'suburb': (2, 50, 2, 12, 0, 2, 8, 4, 6, 2, 2, 6, 4),
    'industry': (0, 3, 45, 3, 0, 0, 2, 0, 10, 15, 2, 2, 18),
    'gardens': (0, 8, 0, 32, 0, 5, 18, 8, 10, 2, 7, 8, 2),
    'farm': (0, 5, 1, 0, 66, 4, 5, 2, 9, 5, 2, 0, 1),
    'grove': (0, 7, 0, 0, 22, 45, 6, 0, 8, 10, 1, 0, 1),
    'forest': (0, 2, 0, 0, 6, 0, 42, 30, 12, 4, 3, 0, 1),
    'heath': (0, 3, 0, 0, 12, 4, 3, 10, 34, 30, 3, 0, 1),
}
_SHARES = np.array(list(_MIX.values()), np.float32)
_SHARES = np.cumsum(_SHARES / _SHARES.sum(1, keepdims=True), 1)


@functools.lru_cache(maxsize=256)
def _to_lonlat(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, 'EPSG:4326', always_xy=True)


def lonlat_of(crs: str, e: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Metres in `crs` -> degrees, lon first: float64 [..., 2]."""
    return np.stack(_to_lonlat(crs).transform(e, n), axis=-1)


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
    light: np.ndarray  # f32 [r, c, 4, 4]
    warm: np.ndarray  # f32 [r, c, 4, 4]
    height: np.ndarray  # f32 [r, c, 4, 4] of a building that may stand there


def _road_half_width(chance: np.ndarray, widths: tuple[float, float]) -> np.ndarray:
    """Asphalt (the wider), gravel, or none."""
    asphalt, gravel = widths
    return np.where(chance < 0.5, asphalt, np.where(chance < 0.8, gravel, 0)).astype(np.float32)


def _block_kinds(seed: int, crs: str, cities: list[globe.City], u: np.ndarray, v: np.ndarray):
    """Kind of block [r, c] (row of _SHARES) and the climate there."""
    lonlat = lonlat_of(crs, u, v)
    here = globe.climate(seed, lonlat)
    built = globe.urbanity(cities, lonlat) * 0.55 + value_noise(seed + 120, u, v, 1300.0) * 0.45
    chance = uniform(seed + 121, np.round(u), np.round(v))
    wood = value_noise(seed + 122, u, v, 900.0) + 0.25 * (0.5 - here.aridity)
    town = np.select([chance < 0.2, chance < 0.36], [2, 3], np.where(built > 0.62, 0, 1))
    wild = np.where(here.aridity > 0.45 + 0.3 * chance, 7, 6)
    field = np.where(chance < 0.15 + 0.2 * here.aridity, 5, 4)
    rural = np.where(wood > 0.42 + 0.4 * chance, wild, field)
    return np.where(built + 0.16 * chance > 0.52, town, rural), here


def survey(
    seed: int, crs: str, cities: list[globe.City], box: tuple[float, float, float, float]
) -> Survey:
    """The tables for `box` = (west, south, east, north), metres in `crs`."""
    west, south, east, north = box
    salt = seed + int(crs.split(':')[1]) * 1009
    row = np.arange(int((south - _REACH) // SPACING) - 1, int((north + _REACH) // SPACING) + 3)
    column = np.arange(int((west - _REACH) // SPACING) - 2, int((east + _REACH) // SPACING) + 4)
    line_v = SPACING * (row + _LINE_JITTER * (uniform(salt + 1, row) - 0.5))
    phase = uniform(salt + 2, row).astype(np.float64)
    r, c = np.meshgrid(row, column, indexing='ij')
    line_u = SPACING * (c + phase[:, None] + _LINE_JITTER * (uniform(salt + 3, r, c) - 0.5))
    block, here = _block_kinds(
        seed, crs, cities, line_u + SPACING / 2, np.broadcast_to(line_v[:, None], r.shape)
    )
    keys = (r[:, :, None, None], c[:, :, None, None], *np.ogrid[:MOST, :MOST])
    chance = uniform(salt + 8, *keys)[..., None]
    kind = np.sum(chance >= _SHARES[block][:, :, None, None, :-1], -1).astype(np.uint8)
    climate = {k: v[:, :, None, None] for k, v in dataclasses.asdict(here).items()}
    return Survey(
        int(row[0]),
        int(column[0]),
        line_v,
        _road_half_width(uniform(salt + 4, row), (5.5, 3.5)),
        phase,
        line_u,
        _road_half_width(uniform(salt + 5, r, c), (4.5, 2.5)),
        2 + (uniform(salt + 6, r, c) * 2.4).astype(np.int32).astype(np.float32),
        2 + (uniform(salt + 7, r, c) * 2.4).astype(np.int32).astype(np.float32),
        uniform(salt + 9, r, c) < 0.5,
        kind,
        (uniform(salt + 10, *keys) * len(materials.CROPS)).astype(np.uint8),
        _palette(uniform(salt + 11, *keys), climate['custom']),
        2 * uniform(salt + 12, *keys) - 1 + 0.3 * (climate['aridity'] - 0.5),
        1.6 * uniform(salt + 13, *keys) - 0.8 + 0.6 * (climate['aridity'] - 0.5),
        _heights(kind, uniform(salt + 14, *keys)),
    )


def _palette(chance: np.ndarray, custom: np.ndarray) -> np.ndarray:
    """Which roof and wall: every way of building is seen everywhere, the local custom more often."""
    count = len(materials.ROOFS)
    return ((chance + 0.35 * np.sin(6 * chance + 9 * custom)) * count % count).astype(np.uint8)


def _heights(kind: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Height of buildings by kind of parcel, metres."""
    low = np.zeros(len(KINDS), np.float32)
    spread = np.zeros(len(KINDS), np.float32)
    low[[KIND['tower'], KIND['house'], KIND['hall']]] = 10, 5, 6
    spread[[KIND['tower'], KIND['house'], KIND['hall']]] = 22, 4, 7
    return low[kind] + spread[kind] * chance
