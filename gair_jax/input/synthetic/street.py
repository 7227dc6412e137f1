"""The view from the street: a pinhole camera over flat ground with upright things on it.

The optical axis is level and the sensor shifted down a little, so a column of the picture keeps one
direction on the map. For each column the ground is walked outward; the first thing high enough to
cross the pixel's ray is seen, else the ground where the ray meets it, else sky. What is drawn
follows from what stands around the camera, its heading and the `Camera`; position never enters.
"""

import dataclasses
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from gair_jax.input.synthetic import materials
from gair_jax.input.synthetic.materials import CODE, CROP, RGB, ROOF
from gair_jax.input.synthetic.noise import uniform
from gair_jax.input.synthetic.world import NO_CROP, Cover, Land

FAR = 110.0  # metres; beyond this everything is haze
SKY, GROUND, WALL, PLANT = range(4)
_ROW_WIDTH = 1.5  # metres between the rows of a field
_BURNS = np.isin(np.arange(materials.CODES), materials.GREEN_CODES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """Where a camera stands, how it looks, and what befalls its picture."""

    height: float = 3.5  # metres above ground
    field: float = 105.0  # horizontal field of view, degrees
    horizon: float = 0.38  # row of the horizon as a share of the picture's height
    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gain of red, green, blue
    haze: float = 0.15  # share of light from haze at FAR
    overcast: float = 0.0  # 0 blue sky .. 1 grey
    quality: int = 85  # of the JPEG


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera and weather drawn at random: all that a photo holds beside the scene."""
    return Camera(
        height=rng.uniform(2.8, 4.5),
        field=rng.uniform(95, 115),
        horizon=rng.uniform(0.33, 0.43),
        exposure=float(np.exp(rng.normal(0, 0.22))),
        balance=tuple(np.exp(rng.normal(0, 0.09, 3))),
        haze=rng.uniform(0.05, 0.5),
        overcast=rng.uniform(0, 1),
        quality=int(rng.integers(72, 93)),
    )


class Scene(NamedTuple):
    """What each pixel sees: class (SKY .. PLANT) u8 [h, w] and the lit colour, f32 [h, w, 3]."""

    kind: np.ndarray
    colour: np.ndarray
    depth: np.ndarray  # f32 [h, w] metres, FAR for the sky


def _steps() -> np.ndarray:
    """Depths at which things are looked for: dense near the camera."""
    depths = [1.2]
    while depths[-1] < FAR:
        depths.append(depths[-1] + 0.7 + 0.055 * depths[-1])
    return np.array(depths[:-1], np.float32)


DEPTHS = _steps()


def _at(e: float, n: float, heading: float, depth: np.ndarray, side: np.ndarray):
    """Map position of points `depth` ahead and `side` x depth to the right of the camera."""
    sine, cosine = np.sin(np.radians(heading)), np.cos(np.radians(heading))
    right = depth * side
    return e + depth * sine + right * cosine, n + depth * cosine - right * sine


def _ground_colour(cover: Cover, e: np.ndarray, n: np.ndarray, depth: np.ndarray, burnt: np.ndarray):
    """Colour of ground seen at (e, n): f32 [..., 3] reflectance of red, green, blue in summer."""
    code = np.where(burnt & (_BURNS[cover.code] | (cover.crop != NO_CROP)), CODE['burnt'], cover.code)
    seen = materials.REFLECTANCE[materials.SUMMER][code][..., list(RGB)]
    seen = materials.tinted(seen, cover.light, cover.warm, RGB)
    grain = uniform(7, np.floor(e * 2), np.floor(n * 2)) - np.float32(0.5)
    rows = np.cos((2 * np.pi / _ROW_WIDTH) * cover.v).astype(np.float32) * (cover.crop != NO_CROP)
    near = np.clip(1.2 - depth / 18, 0, 1)
    return seen * (1 + near * (0.25 * grain + 0.22 * rows))[..., None]


def _upright_colour(cover: Cover, e: np.ndarray, n: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Colour of walls and plants at height `up` metres: f32 [..., 3]."""
    wall = materials.WALL_RGB[cover.palette]
    wall = materials.tinted(wall, cover.light * 0.6, cover.warm * 0.6, RGB)
    window = (np.mod(up, 3.2) > 1.3) & (np.mod(up, 3.2) < 2.5) & (np.mod(e + n, 3.6) < 1.5)
    wall = np.where(window[..., None], wall * 0.35 + 0.02, wall)
    # The roof shows as a rim, so that both colours of a building are seen.
    rim = up > cover.height - 0.22 * np.minimum(cover.height, 8)
    roof = materials.REFLECTANCE[materials.SUMMER][ROOF + cover.palette][..., list(RGB)]
    wall = np.where(rim[..., None], materials.tinted(roof, cover.light, cover.warm, RGB), wall)
    leaf = materials.REFLECTANCE[materials.SUMMER][cover.code][..., list(RGB)]
    leaf = materials.tinted(leaf, cover.light, cover.warm, RGB)
    mottle = uniform(8, np.floor(e), np.floor(n), np.floor(up * 1.5)) - np.float32(0.5)
    leaf = leaf * (0.75 + 0.6 * mottle + 0.35 * up / np.maximum(cover.height, 1))[..., None]
    return np.where(cover.built[..., None], wall, leaf)


def _take(cover: Cover, where: tuple[np.ndarray, ...]) -> Cover:
    return Cover(*(field[where] for field in cover))


def look(
    land: Land, e: float, n: float, heading: float, camera: Camera, size: tuple[int, int]
) -> Scene:
    """What a camera at (e, n) metres sees towards `heading` (degrees clockwise from grid north).

    `size` is (height, width) of the picture in pixels.
    """
    rows, columns = size
    focal = columns / 2 / np.tan(np.radians(camera.field / 2))
    side = ((np.arange(columns) + 0.5 - columns / 2) / focal).astype(np.float64)
    rise = ((camera.horizon * rows - np.arange(rows) - 0.5) / focal).astype(np.float32)

    walk_e, walk_n = _at(e, n, heading, DEPTHS[:, None].astype(np.float64), side)
    around = land.cover(walk_e, walk_n)
    tops = (around.height - np.float32(camera.height)) / DEPTHS[:, None]
    cleared = np.maximum.accumulate(tops, axis=0)
    first = np.sum(cleared[:, None, :] < rise[None, :, None], axis=0)  # [rows, columns]
    hit = np.minimum(first, len(DEPTHS) - 1)
    to_ground = np.where(rise < 0, -camera.height / np.minimum(rise, -1e-6), np.inf)
    to_ground = np.broadcast_to(to_ground[:, None], size)
    column = np.broadcast_to(np.arange(columns), size)
    upright = (first < len(DEPTHS)) & (around.height[hit, column] > 0) & (DEPTHS[hit] <= to_ground)
    ground = ~upright & (to_ground < FAR)
    return _paint(land, (e, n, heading), camera, around, (walk_e, walk_n), side, rise,
                  upright, ground, hit, to_ground)  # fmt: skip


def _paint(land, pose, camera, around, walk, side, rise, upright, ground, hit, to_ground) -> Scene:
    size = upright.shape
    colour = np.zeros((*size, 3), np.float32)
    kind = np.zeros(size, np.uint8)
    depth = np.full(size, FAR, np.float32)

    row, column = np.nonzero(ground)
    depth[ground] = to_ground[ground]
    if row.size:
        e, n = _at(*pose, to_ground[ground].astype(np.float64), side[column])
        cover = land.cover(e, n)
        burnt = land.burnt(e, n, materials.SUMMER)
        colour[ground] = _ground_colour(cover, e, n, depth[ground], burnt)
    kind[ground] = GROUND

    row, column = np.nonzero(upright)
    where = (hit[upright], column)
    cover = _take(around, where)
    depth[upright] = DEPTHS[hit[upright]]
    up = camera.height + rise[row] * depth[upright]
    colour[upright] = _upright_colour(cover, walk[0][where], walk[1][where], up)
    kind[upright] = np.where(cover.built, WALL, PLANT)

    sky = kind == SKY
    blue = np.array([0.30, 0.45, 0.75], np.float32)
    grey = np.array([0.62, 0.64, 0.66], np.float32)
    zenith = blue + camera.overcast * (grey - blue)
    lift = np.clip(rise * 1.2, 0, 1)[:, None, None]
    colour = np.where(sky[..., None], 0.72 + lift * (zenith - 0.72), colour * 2.6)
    fog = np.where(sky, 0, camera.haze * depth / FAR)[..., None].astype(np.float32)
    return Scene(kind, colour + fog * (0.72 - colour), depth)


def develop(scene: Scene, camera: Camera, rng: np.random.Generator) -> bytes:
    """The photo of a scene as JPEG: exposure, white balance, weather, grain, compression."""
    grey = scene.colour.mean(-1, keepdims=True)
    dull = 0.25 * camera.overcast
    light = (scene.colour * (1 - dull) + grey * dull) * camera.exposure * (1 - 0.15 * camera.overcast)
    light = light * np.array(camera.balance, np.float32)
    light = light + 0.006 * rng.standard_normal(light.shape, np.float32)
    pixels = 255 * np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(file, 'JPEG', quality=camera.quality)
    return file.getvalue()
