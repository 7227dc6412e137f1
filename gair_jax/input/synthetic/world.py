"""What covers the ground at any position: the continuous synthetic world.

A `World` is a seed and its cities. `World.near(crs, box)` gives the `Land` of a box of one UTM
zone; `Land.cover(e, n)` answers for any array of positions in it. The answer depends on the
position alone, bit for bit, whatever box it was asked through.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from gair_jax.input.synthetic import globe, materials, parcels
from gair_jax.input.synthetic.materials import CODE, COURT, CROP, ROOF
from gair_jax.input.synthetic.noise import hash32, value_noise
from gair_jax.input.synthetic.parcels import KIND, KINDS, MOST, SPACING, Survey

NO_CROP = 255
_TREE_CELL = 8.0  # metres; a tree and its crown stay inside one cell
_HEDGE = 1.4  # metres to either side of a parcel's border
_HEDGE_HEIGHT = 1.8  # metres
_PAINT = 0.25  # metres to either side of the middle of an asphalt road


def _by_kind(default: float, **values: float) -> np.ndarray:
    """float32 [kind]."""
    table = np.full(len(KINDS), default, np.float32)
    for name, value in values.items():
        table[KIND[name]] = value
    return table


_GROUND = _by_kind(
    CODE['paving'], house=CODE['lawn'], hall=CODE['asphalt'], park=CODE['lawn'],
    orchard=CODE['meadow'], deciduous=CODE['floor'], conifer=CODE['floor'],
    meadow=CODE['meadow'], bare=CODE['sand'], pond=CODE['water'],
).astype(np.uint8)  # fmt: skip
_INSET = _by_kind(1e6, tower=7, house=5, hall=6)  # from the border to the wall, metres
_WOODED = _by_kind(
    0, house=0.16, park=0.3, orchard=1, deciduous=0.85, conifer=0.85, meadow=0.03, plaza=0.05
)
_LOT = _by_kind(1e6, house=25.0)  # width of the lots that a parcel is cut into, metres


class Cover(NamedTuple):
    """What is at some positions, arrays of one shape."""

    code: np.ndarray  # u8, surface seen from above (materials)
    tint: np.ndarray  # f32 [..., 3], of the parcel
    height: np.ndarray  # f32, metres above the ground; 0 where the ground is seen
    built: np.ndarray  # bool, a building stands here
    palette: np.ndarray  # u8, which roof and wall
    kind: np.ndarray  # u8, kind of parcel
    crop: np.ndarray  # u8, crop of a field, NO_CROP elsewhere
    edge: np.ndarray  # f32, metres to the border of the parcel
    v: np.ndarray  # f64, metres across the rows of a field


class _Ground(NamedTuple):
    """Where positions lie among roads and parcels."""

    u: np.ndarray
    v: np.ndarray
    from_road: np.ndarray  # f32, metres outside the nearest road's edge, negative on it
    asphalt: np.ndarray  # bool, of the nearest road
    along_u: np.ndarray  # bool, the nearest road runs along u
    middle: np.ndarray  # f32, metres from the middle line of the nearest road
    block: np.ndarray
    parcel: np.ndarray
    side_u: np.ndarray  # f32, metres to the nearer border across u
    side_v: np.ndarray
    width_u: np.ndarray  # f32, metres
    width_v: np.ndarray


def _nearer(
    low: np.ndarray, high: np.ndarray, half_low: np.ndarray, half_high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the two roads that bound a strip: metres outside its edge, half width, from its middle."""
    gap_low = np.where(half_low > 0, low - half_low, np.float32(1e3))
    gap_high = np.where(half_high > 0, high - half_high, np.float32(1e3))
    first = gap_low < gap_high
    return (
        np.where(first, gap_low, gap_high),
        np.where(first, half_low, half_high),
        np.where(first, low, high),
    )


def _share(
    along: np.ndarray, width: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut `width` into `count` equal parts: index, metres to the nearer border, width of a part."""
    part = width / count
    at = along / part
    index = np.clip(at.astype(np.int32), 0, count.astype(np.int32) - 1)
    at -= index
    return index, np.minimum(at, 1 - at) * part, part


def _lots(side: np.ndarray, width: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Metres to the nearer border once a parcel is cut into lots of about `lot` metres."""
    count = np.maximum(np.round(width / lot), 1)
    part = width / count
    return part / 2 - np.abs(np.mod(side, part) - part / 2)


def _on_ground(
    g: _Ground, kind: np.ndarray, crop: np.ndarray, palette: np.ndarray, river: np.ndarray
) -> np.ndarray:
    """Code of the bare ground: parcel, then river over it, then roads; only asphalt has bridges."""
    code = np.where(crop != NO_CROP, CROP + crop, _GROUND[kind])
    code = np.where(kind == KIND['court'], COURT + palette % materials.COURT_COUNT, code)
    code = np.where(river > 0, np.where(river > 1, CODE['water'], CODE['sand']), code)
    road = g.from_road < 0
    code = np.where(road & ~g.asphalt & (river <= 1), CODE['gravel'], code)
    paint = np.where(g.middle < _PAINT, CODE['marking'], CODE['asphalt'])
    return np.where(road & g.asphalt, paint, code)


@dataclasses.dataclass(frozen=True)
class Land:
    """The world within a box of one UTM zone."""

    seed: int
    survey: Survey

    def _ground(self, e: np.ndarray, n: np.ndarray) -> _Ground:
        s = self.survey
        u, v = parcels.warp(self.seed, e, n)
        row = np.rint(v / SPACING).astype(np.int32) - s.first_row
        row -= v < s.line_v[row]
        lines, stride = s.line_u.ravel(), s.line_u.shape[1]
        column = np.rint(u / SPACING - s.phase[row]).astype(np.int32) - s.first_column
        block = row * stride + column
        block -= u < lines[block]
        low_u, low_v = lines[block], s.line_v[row]
        width_u = (lines[block + 1] - low_u).astype(np.float32)
        width_v = (s.line_v[row + 1] - low_v).astype(np.float32)
        in_u, in_v = (u - low_u).astype(np.float32), (v - low_v).astype(np.float32)
        roads = s.road_u.ravel()
        gap_v, half_v, mid_v = _nearer(in_v, width_v - in_v, s.road_v[row], s.road_v[row + 1])
        gap_u, half_u, mid_u = _nearer(in_u, width_u - in_u, roads[block], roads[block + 1])
        along_u = gap_v <= gap_u
        iu, side_u, part_u = _share(in_u, width_u, s.split_u.ravel()[block])
        iv, side_v, part_v = _share(in_v, width_v, s.split_v.ravel()[block])
        return _Ground(
            u, v, np.minimum(gap_u, gap_v), np.where(along_u, half_v, half_u) > 4, along_u,
            np.where(along_u, mid_v, mid_u), block, (block * MOST + iu) * MOST + iv,
            side_u, side_v, part_u, part_v,
        )  # fmt: skip

    def _trees(self, u: np.ndarray, v: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Height of the tree above each position, 0 where there is none; float32."""
        i, j = np.floor(u / _TREE_CELL), np.floor(v / _TREE_CELL)
        low_i, low_j = int(i.min()), int(j.min())
        columns = int(i.max()) - low_i + 1
        rows = np.arange(low_j, int(j.max()) + 1)
        lattice = hash32(self.seed + 130, rows[:, None], np.arange(low_i, low_i + columns))
        at = ((j - low_j) * columns + (i - low_i)).astype(np.int32)
        drawn = lattice.ravel()[at]
        byte = [
            ((drawn >> np.uint32(8 * k)) & np.uint32(255)).astype(np.float32) / 255
            for k in (0, 1, 2, 3)
        ]
        free = np.where(kind == KIND['orchard'], np.float32(0), np.float32(2.4))
        x = (u - i * _TREE_CELL).astype(np.float32) - 4 - free * (byte[0] - 0.5)
        y = (v - j * _TREE_CELL).astype(np.float32) - 4 - free * (byte[1] - 0.5)
        radius = 2 + 0.8 * byte[2]
        round_ = 1 - (x * x + y * y) / (radius * radius)
        tall = np.where(kind == KIND['orchard'], np.float32(3.2), 6 + 6 * byte[2])
        stands = (byte[3] < _WOODED[kind]) & (round_ > 0)
        return np.where(stands, tall * (0.55 + 0.45 * round_), np.float32(0))

    def _water(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Over 1: in a river; over 0: on its bank; float32."""
        stream = np.abs(value_noise(self.seed + 140, u, v, 750.0) - np.float32(0.5))
        wide = np.clip(value_noise(self.seed + 141, u, v, 2600.0) - np.float32(0.45), 0, 0.3) * 0.11
        return (wide - stream) / np.maximum(0.5 * wide, 1e-3) + np.float32(1) * (wide > 0)

    def cover(self, e: np.ndarray, n: np.ndarray) -> Cover:
        """What is at (e, n): float64 metres in the zone's CRS, any shape, inside the box."""
        s, g = self.survey, self._ground(e, n)
        kind, palette = s.kind.ravel()[g.parcel], s.palette.ravel()[g.parcel]
        crop = np.where(kind == KIND['crop'], s.crop.ravel()[g.parcel], np.uint8(NO_CROP))
        edge = np.minimum(g.side_u, g.side_v)
        lot = _LOT[kind]
        wall = np.minimum(_lots(g.side_u, g.width_u, lot), _lots(g.side_v, g.width_v, lot))
        river = self._water(g.u, g.v)
        free = (river <= 0) & (g.from_road > 1)
        built = (wall > _INSET[kind]) & free
        tree = np.where(free & ~built & (edge > 1), self._trees(g.u, g.v, kind), np.float32(0))
        hedged = s.hedged.ravel()[g.block] & (crop != NO_CROP)
        tree = np.where((edge < _HEDGE) & free & hedged, np.float32(_HEDGE_HEIGHT), tree)
        code = _on_ground(g, kind, crop, palette, river)
        leaves = np.where(kind == KIND['conifer'], CODE['needles'], CODE['crown'])
        code = np.where(tree > 0, leaves, np.where(built, ROOF + palette, code)).astype(np.uint8)
        height = np.where(built, s.height.ravel()[g.parcel], tree)
        tint = s.tint.reshape(-1, materials.TINTS)[g.parcel] * materials.TINT_SHARE[code]
        return Cover(code, tint, height, built, palette, kind, crop, edge, g.v)

    def street(self, e: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Azimuth of the nearest road (degrees, 0..180) and metres outside its edge, at (e, n)."""
        g = self._ground(e, n)
        ue, ve = parcels.warp(self.seed, e + 1, n)
        un, vn = parcels.warp(self.seed, e, n + 1)
        # Along u the other coordinate, v, stays: step (dv/dn, -dv/de); along v likewise with u.
        east = np.where(g.along_u, vn - g.v, un - g.u)
        north = np.where(g.along_u, g.v - ve, g.u - ue)
        return np.degrees(np.arctan2(east, north)) % 180, g.from_road

    def burnt(self, e: np.ndarray, n: np.ndarray, season: int) -> np.ndarray:
        """Where vegetation would be scorched in `season` (0..3): scars last half a year; bool."""
        scar = value_noise(self.seed + 150, e, n, 260.0) > 0.8
        year = value_noise(self.seed + 151, e, n, 1700.0) * 7.99
        return scar & ((season - year.astype(np.int32)) % 4 < 2)


@dataclasses.dataclass(frozen=True)
class World:
    """A seed and its cities; positions are metres in a UTM zone given as 'EPSG:326xx' or 327xx."""

    seed: int
    cities: tuple[globe.City, ...]

    def near(self, crs: str, box: tuple[float, float, float, float]) -> Land:
        """The land in box = (west, south, east, north), metres in `crs`."""
        return Land(
            parcels.zone_seed(self.seed, crs), parcels.survey(self.seed, crs, self.cities, box)
        )


def make_world(seed: int, cities: int) -> World:
    """The world of `seed` with that many cities."""
    return World(seed, tuple(globe.cities(seed, cities)))
