"""What is true of a photo's place and view: the labels of the street view tasks.

The names follow the tasks of the paper (section 5): indicators and perception are regressions,
direction and platform are classes. How each is computed is said below; nobody was asked.
"""

import numpy as np

from gair_jax.input.synthetic import materials
from gair_jax.input.synthetic.materials import CODE
from gair_jax.input.synthetic.street import PLANT, SKY, WALL, Scene
from gair_jax.input.synthetic.world import NO_CROP, Cover, Land

INDICATORS = ('built', 'green', 'water', 'road', 'field', 'height')
PERCEPTION = ('safe', 'lively', 'wealthy', 'beautiful', 'boring', 'depressing')
DIRECTIONS = ('front', 'side')
PLATFORMS = ('road', 'track', 'paving', 'grass', 'field', 'wood', 'shore', 'boat')
RADIUS = 50.0  # metres around the camera that the indicators speak of
_POINTS = 400
_GOLDEN = np.pi * (3 - np.sqrt(5))
_RATER_NOISE = 0.15


def _platform_table() -> np.ndarray:
    """Platform index of each surface code: int64 [code]."""
    table = np.full(materials.CODES, PLATFORMS.index('paving'))
    table[materials.CROP : materials.ROOF] = PLATFORMS.index('field')
    named = {
        'asphalt': 'road', 'marking': 'road', 'gravel': 'track', 'lawn': 'grass',
        'meadow': 'grass', 'floor': 'wood', 'sand': 'shore', 'water': 'boat',
    }  # fmt: skip
    for name, platform in named.items():
        table[CODE[name]] = PLATFORMS.index(platform)
    return table


_PLATFORM = _platform_table()
_ROADS = [CODE['asphalt'], CODE['marking'], CODE['gravel']]


def around(land: Land, points: np.ndarray) -> list[Cover]:
    """The cover of a disc of RADIUS metres around each of points [p, 2] (east, north).

    A disc is sampled at points spread evenly over it, the first of them its centre.
    """
    k = np.arange(_POINTS)
    distance, angle = RADIUS * np.sqrt(k / _POINTS), k * _GOLDEN
    ring = np.stack([distance * np.sin(angle), distance * np.cos(angle)])
    cover = land.cover(*np.moveaxis(points[:, :, None] + ring, 1, 0))
    return [Cover(*fields) for fields in zip(*cover, strict=True)]


def indicators(disc: Cover) -> np.ndarray:
    """INDICATORS of a disc: five shares in 0..1 and the mean height in units of 10 m; f32 [6]."""
    green = np.isin(disc.code, materials.GREEN_CODES)
    shares = (
        disc.built, green, disc.code == CODE['water'], np.isin(disc.code, _ROADS),
        disc.crop != NO_CROP, disc.height / 10,
    )  # fmt: skip
    return np.array([np.mean(share) for share in shares], np.float32)


def perception(scene: Scene, disc: Cover, rng: np.random.Generator) -> np.ndarray:
    """PERCEPTION: standardised-like scores, f32 [6].

    Weighted sums of what fills the view (sky, plants, walls) and of what lies around (indicators),
    squashed, plus the noise of raters who differ.
    """
    sky, plant, wall = (np.mean(scene.kind == kind) for kind in (SKY, PLANT, WALL))
    built, green, water, road, field, height = indicators(disc)
    raw = np.array([
        3 * road + 2 * built + sky - 1.5 * plant - 0.6,
        4 * wall + 2.5 * built + 2 * road - 1.2,
        2 * height + 2 * green * built + plant - 0.5,
        3 * plant + 2 * water + green - 2 * wall - 0.6,
        2 * field + 2 * sky - 3 * wall - 2 * plant - 0.5,
        3 * wall - 2 * sky - 2 * green + 0.9,
    ])  # fmt: skip
    return (np.tanh(raw) + _RATER_NOISE * rng.standard_normal(raw.size)).astype(np.float32)


def platform(disc: Cover) -> int:
    """Index into PLATFORMS of what the camera in the middle of a disc stands on."""
    return int(_PLATFORM[disc.code[0]])


def direction(heading: float, road: float) -> int:
    """0 (front) if `heading` is within 45 degrees of the line of the road, else 1 (side).

    Both are azimuths in degrees; a road has no forward end, so 180 degrees make no difference.
    """
    return int(abs((heading - road + 90) % 180 - 90) > 45)
