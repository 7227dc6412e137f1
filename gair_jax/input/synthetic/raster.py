"""The view from orbit: ten bands over four dates, and the masks of what lies there."""

from typing import NamedTuple

import numpy as np

from gair_jax.input.synthetic import materials
from gair_jax.input.synthetic.noise import value_noise
from gair_jax.input.synthetic.world import NO_CROP, Cover, Land

PIXEL = 10.0  # metres
_FINE = 2  # samples along one side of a pixel: land cover is seen down to 5 m
_HAZE = np.array([330, 260, 200, 180, 150, 130, 120, 110, 60, 40], np.float32)  # DN
_NOISE = 22.0  # DN, standard deviation
_CLOUDY = 0.25  # share of acquisitions that hold some cloud
_BURNS = np.isin(np.arange(materials.CODES), [*materials.GREEN_CODES, materials.CODE['sand']])
_BORDER = 6.0  # metres to either side of a field's border that count as boundary


class Footprint(NamedTuple):
    """A north-up square of `side` pixels of 10 m; west and north in metres of `crs`."""

    crs: str
    west: float
    north: float
    side: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(west, south, east, north)."""
        size = self.side * PIXEL
        return self.west, self.north - size, self.west + size, self.north

    @property
    def bounds(self) -> np.ndarray:
        """(left, top, right, bottom), float64."""
        west, south, east, north = self.box
        return np.array([west, north, east, south])

    @property
    def transform(self) -> np.ndarray:
        """GDAL-like affine (a, b, c, d, e, f): x = a column + b row + c; float64."""
        return np.array([PIXEL, 0, self.west, 0, -PIXEL, self.north])


class View(NamedTuple):
    """One acquisition: DN uint16 [H, W, 10], cloud share 0..1, masks uint8 [H, W] by name."""

    bands: np.ndarray
    cloud: float
    masks: dict[str, np.ndarray]


def _samples(footprint: Footprint) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the fine samples, [_FINE * _FINE, H, W], east and north in metres."""
    fine = (np.arange(_FINE) + 0.5) / _FINE
    row, column, y, x = np.meshgrid(
        fine, fine, np.arange(footprint.side), np.arange(footprint.side), indexing='ij'
    )
    shape = (-1, footprint.side, footprint.side)
    east = footprint.west + PIXEL * (x + column)
    return east.reshape(shape), (footprint.north - PIXEL * (y + row)).reshape(shape)


def _reflectance(cover: Cover, burnt: np.ndarray, season: int) -> np.ndarray:
    """Mean over the fine samples of each pixel: float32 [H, W, 10] in 0..1."""
    code = np.where(burnt, np.uint8(materials.CODE['burnt']), cover.code)
    total = np.zeros((*code.shape[1:], len(materials.BANDS)), np.float32)
    bands = tuple(range(len(materials.BANDS)))
    for k in range(len(code)):
        seen = materials.REFLECTANCE[season][code[k]]
        total += materials.tinted(seen, cover.tint[k], bands)
    return total / len(code)


def _cloud(footprint: Footprint, rng: np.random.Generator) -> np.ndarray:
    """Opacity of cloud, float32 [H, W] in 0..1; most acquisitions are clear."""
    if rng.random() >= _CLOUDY:
        return np.zeros((footprint.side,) * 2, np.float32)
    x, y = np.meshgrid(*[np.arange(footprint.side, dtype=np.float64)] * 2)
    seed = int(rng.integers(2**31))
    puffs = 0.7 * value_noise(seed, x, y, 22.0) + 0.3 * value_noise(seed + 1, x, y, 7.0)
    return np.clip((puffs - rng.uniform(0.6, 0.8)) * 6, 0, 0.95)


def _sensed(reflectance: np.ndarray, cloud: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the sensor writes down: DN uint16, with haze, cloud, illumination and noise."""
    shape = reflectance.shape
    clear = reflectance * np.float32(1e4 * rng.uniform(0.93, 1.07)) + _HAZE * np.float32(
        rng.uniform(0.5, 1.5)
    )
    shaded = clear + cloud[..., None] * (np.float32(5200) - clear)
    noisy = shaded + _NOISE * rng.standard_normal(shape, np.float32)
    return np.clip(np.rint(noisy), 1, 65535).astype(np.uint16)


def _crop_mask(cover: Cover) -> np.ndarray:
    """0 no crop, 1 + crop where at least half of a pixel grows it: uint8 [H, W]."""
    counts = np.stack([np.sum(cover.crop == k, 0) for k in range(len(materials.CROPS))])
    enough = counts.max(0) * 2 >= len(cover.crop)
    return np.where(enough, 1 + counts.argmax(0), 0).astype(np.uint8)


def views(land: Land, footprint: Footprint, rng: np.random.Generator) -> list[View]:
    """One View for each of materials.SEASONS."""
    e, n = _samples(footprint)
    cover = land.cover(e, n)
    border = np.mean((cover.crop != NO_CROP) & (cover.edge < _BORDER), 0) >= 0.5
    steady = {'crop_type': _crop_mask(cover), 'field_boundaries': border.astype(np.uint8)}
    burns = _BURNS[cover.code] | (cover.crop != NO_CROP)
    found = []
    for season in range(len(materials.SEASONS)):
        burnt = burns & land.burnt(e, n, season)
        cloud = _cloud(footprint, rng)
        bands = _sensed(_reflectance(cover, burnt, season), cloud, rng)
        scars = {'burn_scars': (burnt.mean(0) >= 0.5).astype(np.uint8)}
        found.append(View(bands, float((cloud > 0.5).mean()), {**scars, **steady}))
    return found
