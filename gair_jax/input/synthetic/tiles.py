"""The tiles and photos of a synthetic data set: where they lie, when they were taken, what is true.

A tile is a function of (seed, size, index) alone, so that any process can make any of them.
"""

import dataclasses
import datetime
import functools
from typing import Any, NamedTuple

import numpy as np
import pyproj

from gair_jax.input.synthetic import globe, labels, materials, parcels, raster, street
from gair_jax.input.synthetic.world import Land, World, make_world

PHOTOS = 8  # a tile
_GRID = 15  # tiles lie on a grid of _GRID x _GRID places around a city,
_GAP = 1.25  # so many tile sides apart: no two overlap
_CELLS = 3  # photos stand in different cells of a 3 x 3 grid
_TRIES = 12  # places in a cell of which the first with a clear view is taken
_CLEAR = np.array([-1.5, 0, 1, 2, 3, 4.5, 6, 8, 10])  # metres ahead of a camera that are free
_LICENCE = 'synthetic'


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of the world a variant shows; lengths in pixels, counts in tiles.

    Photos stand at least `margin` from the border of their tile, so that a window of up to that
    size can lie anywhere around them.
    """

    side: int
    margin: int
    train: int
    val: int
    test: int
    cities: int
    photo: tuple[int, int]  # height, width

    @property
    def tiles(self) -> int:
        """All tiles of the variant."""
        return self.train + self.val + self.test

    def split(self, index: int) -> str:
        """'train', 'val' or 'test'."""
        if index < self.train:
            return 'train'
        return 'val' if index < self.train + self.val else 'test'


SIZES = {
    'tiny': Size(96, 32, 640, 32, 72, 48, (64, 96)),
    'small': Size(128, 32, 2250, 100, 150, 120, (224, 320)),
}


class Tile(NamedTuple):
    """Staged records (data/staging.py) of one tile: its photos and its acquisitions."""

    photos: list[dict[str, Any]]
    acquisitions: list[dict[str, Any]]


@functools.lru_cache(maxsize=4)
def _world(seed: int, cities: int) -> World:
    return make_world(seed, cities)


@functools.lru_cache(maxsize=256)
def _from_lonlat(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs('EPSG:4326', crs, always_xy=True)


def utm_crs(lonlat: np.ndarray) -> str:
    """'EPSG:326xx' (north) or 'EPSG:327xx' (south) of the UTM zone that holds lonlat [2]."""
    zone = int((lonlat[0] + 180) // 6) % 60 + 1
    return f'EPSG:{(32600 if lonlat[1] >= 0 else 32700) + zone}'


def place(seed: int, size: Size, index: int) -> tuple[globe.City, raster.Footprint]:
    """City and footprint of tile `index`, on whole pixels of its UTM zone."""
    city = _world(seed, size.cities).cities[index % size.cities]
    crs = utm_crs(city.lonlat)
    slots = np.random.default_rng((seed, 1, index % size.cities)).permutation(_GRID**2)
    slot = slots[index // size.cities]
    metres = raster.PIXEL * size.side
    middle = np.array(_from_lonlat(crs).transform(*city.lonlat))
    step = (np.array(divmod(slot, _GRID)) - _GRID / 2) * _GAP * metres
    west, north = np.round((middle + step) / raster.PIXEL) * raster.PIXEL
    return city, raster.Footprint(crs, float(west), float(north), size.side)


def _dates(south: bool, rng: np.random.Generator) -> list[str]:
    """A day in each season, in order, from the summer of the hemisphere on."""
    first = datetime.date(2023, 1, 15) if south else datetime.date(2023, 7, 15)
    shifts = 91 * np.arange(len(materials.SEASONS)) + rng.integers(-12, 13, len(materials.SEASONS))
    return [(first + datetime.timedelta(days=int(days))).isoformat() for days in shifts]


class _Stand(NamedTuple):
    """A camera's pose and the azimuth of the road nearest to it, degrees."""

    pose: street.Pose
    road: float


def _stands(
    land: Land, footprint: raster.Footprint, margin: int, rng: np.random.Generator
) -> list[_Stand]:
    """PHOTOS cameras spread over the middle of the tile, nothing upright close before them.

    Headings keep to the road or square to it, as a survey car's do, give or take 10 degrees.
    """
    west, south, _, _ = footprint.box
    width = raster.PIXEL * (footprint.side - 2 * margin) / _CELLS
    corner = np.array([west, south]) + raster.PIXEL * margin
    cells = np.stack(np.divmod(rng.permutation(_CELLS**2)[:PHOTOS], _CELLS), -1)[:, None]
    e, n = np.moveaxis(corner + width * (cells + rng.random((PHOTOS, _TRIES, 2))), -1, 0)
    road, _ = land.street(e, n)
    turn = 90 * rng.integers(4, size=e.shape) + rng.normal(0, 10, e.shape)
    heading = (road + turn) % 360
    ahead = np.radians(heading)[..., None]
    path = e[..., None] + np.sin(ahead) * _CLEAR, n[..., None] + np.cos(ahead) * _CLEAR
    # The first that is clear; where none is, the one with least before it.
    best = land.cover(*path).height.max(-1).argmin(-1)
    return [
        _Stand(street.Pose(*(float(x[k, j]) for x in (e, n, heading))), float(road[k, j]))
        for k, j in enumerate(best)
    ]


def _photos(
    land: Land, stands: list[_Stand], size: tuple[int, int], rng: np.random.Generator
) -> list[tuple[bytes, dict[str, np.ndarray]]]:
    """JPEG and labels of a photo of `size` = (height, width) pixels from each stand."""
    cameras = [street.draw_camera(rng) for _ in stands]
    poses = [stand.pose for stand in stands]
    scenes = street.look(land, poses, cameras, size)
    discs = labels.around(land, np.array([pose[:2] for pose in poses]))
    found = []
    for stand, camera, scene, disc in zip(stands, cameras, scenes, discs, strict=True):
        known = {
            'indicators': labels.indicators(disc),
            'perception': labels.perception(scene, disc, rng),
            'direction': np.array(labels.direction(stand.pose.heading, stand.road)),
            'platform': np.array(labels.platform(disc)),
        }
        found.append((street.develop(scene, camera, rng), known))
    return found


def make_tile(seed: int, size: Size, index: int) -> Tile:
    """Tile `index` of the variant: PHOTOS photos and one acquisition a season."""
    world = _world(seed, size.cities)
    city, footprint = place(seed, size, index)
    land = world.near(footprint.crs, footprint.box)
    rng = np.random.default_rng((seed, 2, index))
    key = f'synthetic_{seed}_{index:05d}'
    dates = _dates(bool(city.lonlat[1] < 0), rng)
    acquisitions = []
    for date, view in zip(dates, raster.views(land, footprint, rng), strict=True):
        acquisitions.append(
            dict(
                id=f'{key}_{date}', tile_key=key, date=date, cloud=view.cloud, bands=view.bands,
                band_names=materials.BANDS, bounds=footprint.bounds, crs=footprint.crs,
                transform=footprint.transform, labels=view.masks,
            )
        )  # fmt: skip
    stands = _stands(land, footprint, size.margin, rng)
    lonlat = parcels.lonlat_of(footprint.crs, *np.transpose([stand.pose[:2] for stand in stands]))
    regressions = globe.place_regressions(seed, world.cities, lonlat)
    classes = globe.place_class(seed, lonlat)
    photos = []
    for k, (jpeg, known) in enumerate(_photos(land, stands, size.photo, rng)):
        known |= {'place_regression': regressions[k], 'place_class': np.array(classes[k])}
        photos.append(
            dict(
                id=f'{key}_{k}', photo=jpeg, lonlat=lonlat[k], heading=stands[k].pose.heading,
                date=dates[materials.SUMMER], licence=_LICENCE, group=city.name, tile_key=key,
                split=size.split(index), labels=known,
            )
        )  # fmt: skip
    return Tile(photos, acquisitions)
