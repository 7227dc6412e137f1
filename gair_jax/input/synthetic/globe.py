"""What varies over hundreds of kilometres: climate, cities, and the labels that a place has.

Everything is smooth on the globe, so position alone tells a good part of it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from gair_jax.input.synthetic.noise import hash32, sphere_noise, uniform

REGRESSIONS = ('elevation_km', 'temperature_c', 'precipitation_m', 'log_population')
SPECIES = tuple(f'species_{letter}' for letter in 'abcdefgh')
_SYLLABLES = (
    'ar',
    'bel',
    'cor',
    'dun',
    'el',
    'fos',
    'gar',
    'hol',
    'is',
    'kel',
    'lor',
    'mar',
    'nor',
)
_ENDINGS = ('ford', 'by', 'stad', 'ville', 'mouth', 'berg', 'ton', 'haven')
_KM_PER_DEGREE = 111.2


@dataclasses.dataclass(frozen=True)
class Climate:
    """Fields of the globe at some points, all float32 [...]."""

    temperature: np.ndarray  # degrees Celsius, about -5 to 28
    aridity: np.ndarray  # 0 wet to 1 dry
    elevation: np.ndarray  # km, 0 to 3
    custom: np.ndarray  # 0 to 1: which way people build here


@dataclasses.dataclass(frozen=True)
class City:
    """A centre of settlement: name, lonlat float64 [2] in degrees, radius of its built-up core."""

    name: str
    lonlat: np.ndarray
    radius_km: float


def _stretch(noise: np.ndarray) -> np.ndarray:
    """Sums of noise crowd around 0.5; spread them over 0..1."""
    return np.clip((noise - 0.5) * 1.8 + 0.5, 0, 1).astype(np.float32)


def climate(seed: int, lonlat: np.ndarray) -> Climate:
    """Climate at lonlat [..., 2], degrees."""
    broad = sphere_noise(seed + 1, lonlat, 3.0)
    rough = sphere_noise(seed + 2, lonlat, 14.0)
    elevation = 3 * _stretch(0.55 * broad + 0.45 * rough) ** 2
    temperature = 27 - 30 * np.abs(lonlat[..., 1] / 60).astype(np.float32) ** 1.5 - 5 * elevation
    dry = sphere_noise(seed + 3, lonlat, 4.0) * 0.7 + sphere_noise(seed + 4, lonlat, 11.0) * 0.3
    return Climate(temperature, _stretch(dry), elevation, sphere_noise(seed + 5, lonlat, 6.0))


def cities(seed: int, count: int) -> list[City]:
    """`count` cities between 52 S and 62 N, each well inside one UTM zone (6 degrees wide)."""
    found = []
    for i in range(count):
        a, b, c, zone, syllable, ending = (uniform(seed + 11, i, k).item() for k in range(6))
        lon = -180 + 6 * int(zone * 60) + 1.5 + 3 * a
        first, second = (_SYLLABLES[(int(syllable * 169) // d) % 13] for d in (1, 13))
        name = f'{first}{second}{_ENDINGS[int(ending * 8)]}_{i}'
        found.append(City(name, np.array([lon, -52 + 114 * b]), 2.5 + 4 * c))
    return found


def urbanity(settled: Sequence[City], lonlat: np.ndarray) -> np.ndarray:
    """1 in the middle of a city, falling to 0 outside all of them; float32 [...]."""
    level = np.zeros(lonlat.shape[:-1], np.float32)
    for city in settled:
        east = (lonlat[..., 0] - city.lonlat[0]) * np.cos(np.radians(city.lonlat[1]))
        distance = np.hypot(east, lonlat[..., 1] - city.lonlat[1]) * _KM_PER_DEGREE
        level = np.maximum(level, np.exp(-((distance / city.radius_km) ** 2)))
    return level.astype(np.float32)


def place_regressions(seed: int, settled: Sequence[City], lonlat: np.ndarray) -> np.ndarray:
    """The values that REGRESSIONS names at lonlat [..., 2]: float32 [..., 4].

    Population is a density, people a square km, as log10(1 + n); precipitation is a year's.
    """
    here = climate(seed, lonlat)
    precipitation = (1 - here.aridity) * (0.4 + 0.08 * np.clip(here.temperature + 5, 0, None))
    people = 10 + 300 * (1 - here.aridity) + 9000 * urbanity(settled, lonlat)
    local = here.elevation + 0.15 * sphere_noise(seed + 6, lonlat, 300.0)
    return np.stack([local, here.temperature, precipitation, np.log10(1 + people)], axis=-1).astype(
        np.float32
    )


def place_class(seed: int, lonlat: np.ndarray) -> np.ndarray:
    """Index into SPECIES of the one seen at lonlat [..., 2]: int64 [...].

    Each species has a range on the globe; which one is seen is drawn by how well it fits there.
    """
    fit = [
        8 * sphere_noise(seed + 20 + s, lonlat, 2.5) + 3 * sphere_noise(seed + 40 + s, lonlat, 9.0)
        for s in range(len(SPECIES))
    ]
    micro = np.round(lonlat * 1e6).astype(np.int64)
    keys = hash32(seed + 60, micro[..., 0], micro[..., 1]).astype(np.int64)
    luck = [uniform(seed + 61, keys, s) for s in range(len(SPECIES))]
    gumbel = -np.log(-np.log(np.clip(luck, 1e-6, 1 - 1e-6)))
    return np.argmax(np.stack(fit) + 0.3 * gumbel, axis=0)
