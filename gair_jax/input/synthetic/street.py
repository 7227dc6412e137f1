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
from gair_jax.input.synthetic.materials import CODE, RGB, ROOF
from gair_jax.input.synthetic.noise import uniform
from gair_jax.input.synthetic.world import NO_CROP, Cover, Land

FAR = 110.0  # metres; beyond this everything is haze
SKY, GROUND, WALL, PLANT = range(4)
_ROW_WIDTH = 1.5  # metres between the rows of a field
_BLUE = np.array([0.30, 0.45, 0.75], np.float32)
_GREY = np.array([0.62, 0.64, 0.66], np.float32)
_HORIZON = np.float32(0.72)
_SUN = np.float32(2.6)  # light: a surface of reflectance 1 / _SUN is white in the picture
_BURNS = np.isin(np.arange(materials.CODES), materials.GREEN_CODES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """Where a camera stands, how it looks, and what befalls its picture."""

    height: float = 4.5  # metres above ground
    field: float = 110.0  # horizontal field of view, degrees
    horizon: float = 0.38  # row of the horizon as a share of the picture's height
    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gain of red, green, blue
    haze: float = 0.15  # share of light from haze at FAR
    overcast: float = 0.0  # 0 blue sky .. 1 grey
    quality: int = 85  # of the JPEG


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera and weather drawn at random: all that a photo holds beside the scene."""
    return Camera(
        height=rng.uniform(3.5, 5.5),
        field=rng.uniform(105, 118),
        horizon=rng.uniform(0.33, 0.43),
        exposure=float(np.exp(rng.normal(0, 0.15))),
        balance=tuple(np.exp(rng.normal(0, 0.03, 3))),
        haze=rng.uniform(0.05, 0.3),
        overcast=rng.uniform(0, 1),
        quality=int(rng.integers(72, 93)),
    )


class Scene(NamedTuple):
    """What each pixel sees: class (SKY .. PLANT) u8 [h, w] and the lit colour, f32 [h, w, 3]."""

    kind: np.ndarray
    colour: np.ndarray


def _steps() -> np.ndarray:
    """Depths at which things are looked for: dense near the camera."""
    depths = [1.2]
    while depths[-1] < FAR:
        depths.append(depths[-1] + 0.7 + 0.055 * depths[-1])
    return np.array(depths[:-1], np.float32)


DEPTHS = _steps()


class Pose(NamedTuple):
    """Where a camera stands (metres) and looks (degrees clockwise from grid north)."""

    e: float
    n: float
    heading: float


class _Shot(NamedTuple):
    """Several cameras at once, arrays with one leading axis p."""

    e: np.ndarray  # f64 [p, 1, 1]
    n: np.ndarray  # f64 [p, 1, 1]
    sine: np.ndarray  # f64 [p, 1, 1] of the heading
    cosine: np.ndarray  # f64 [p, 1, 1]
    height: np.ndarray  # f32 [p, 1, 1] metres
    haze: np.ndarray  # f32 [p, 1, 1]
    overcast: np.ndarray  # f32 [p, 1, 1]
    side: np.ndarray  # f64 [p, columns]: metres to the right per metre of depth
    rise: np.ndarray  # f32 [p, rows]: metres upward per metre of depth

    def at(
        self, p: np.ndarray, depth: np.ndarray, side: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where points lie, metres east and north: `depth` ahead of camera p, `side` x depth right.

        Index p, depth (metres) and side broadcast together.
        """
        sine, cosine = self.sine[p, 0, 0], self.cosine[p, 0, 0]
        right = depth * side
        return (
            self.e[p, 0, 0] + depth * sine + right * cosine,
            self.n[p, 0, 0] + depth * cosine - right * sine,
        )


def _shot(poses: list[Pose], cameras: list[Camera], size: tuple[int, int]) -> _Shot:
    rows, columns = size
    e, n, heading = (np.reshape(column, (-1, 1, 1)) for column in zip(*poses, strict=True))

    def per_camera(name: str) -> np.ndarray:
        return np.array([getattr(camera, name) for camera in cameras])[:, None]

    focal = columns / 2 / np.tan(np.radians(per_camera('field') / 2))
    side = (np.arange(columns) + 0.5 - columns / 2) / focal
    rise = (per_camera('horizon') * rows - np.arange(rows) - 0.5) / focal

    def per_picture(name: str) -> np.ndarray:
        return per_camera(name).astype(np.float32)[:, None]

    sine, cosine = np.sin(np.radians(heading)), np.cos(np.radians(heading))
    return _Shot(
        e=e,
        n=n,
        sine=sine,
        cosine=cosine,
        height=per_picture('height'),
        haze=per_picture('haze'),
        overcast=per_picture('overcast'),
        side=side,
        rise=rise.astype(np.float32),
    )


def _ground_colour(land: Land, shot: _Shot, ground: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Colour of the ground pixels: f32 [n, 3] reflectance of red, green, blue in summer."""
    p, _, column = np.nonzero(ground)
    e, n = shot.at(p, depth.astype(np.float64), shot.side[p, column])
    cover = land.cover(e, n)
    burnt = land.burnt(e, n, materials.SUMMER)
    code = np.where(
        burnt & (_BURNS[cover.code] | (cover.crop != NO_CROP)), CODE['burnt'], cover.code
    )
    seen = materials.REFLECTANCE[materials.SUMMER][code][..., list(RGB)]
    seen = materials.tinted(seen, cover.tint, RGB)
    grain = uniform(7, np.floor(e * 2), np.floor(n * 2)) - np.float32(0.5)
    rows = np.cos((2 * np.pi / _ROW_WIDTH) * cover.v).astype(np.float32) * (cover.crop != NO_CROP)
    near = np.clip(1.2 - depth / 18, 0, 1)
    return seen * (1 + near * (0.25 * grain + 0.22 * rows))[..., None]


def _upright_colour(cover: Cover, e: np.ndarray, n: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Colour of walls and plants at height `up` metres: f32 [..., 3]."""
    wall = materials.WALL_RGB[cover.palette]
    wall = materials.tinted(wall, cover.tint, RGB)
    window = (np.mod(up, 3.2) > 1.3) & (np.mod(up, 3.2) < 2.5) & (np.mod(e + n, 3.6) < 1.5)
    wall = np.where(window[..., None], wall * 0.35 + 0.02, wall)
    # The roof shows as a rim, so that both colours of a building are seen.
    rim = up > cover.height - 0.22 * np.minimum(cover.height, 8)
    roof = materials.REFLECTANCE[materials.SUMMER][ROOF + cover.palette][..., list(RGB)]
    wall = np.where(rim[..., None], materials.tinted(roof, cover.tint, RGB), wall)
    leaf = materials.REFLECTANCE[materials.SUMMER][cover.code][..., list(RGB)]
    leaf = materials.tinted(leaf, cover.tint, RGB)
    mottle = uniform(8, np.floor(e), np.floor(n), np.floor(up * 1.5)) - np.float32(0.5)
    leaf = leaf * (0.75 + 0.6 * mottle + 0.35 * up / np.maximum(cover.height, 1))[..., None]
    return np.where(cover.built[..., None], wall, leaf)


def _first_hit(tops: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Index of the first step whose top reaches each pixel's ray, len(DEPTHS) for none.

    tops [p, steps, columns] and rise [p, rows], both metres upward per metre -> [p, rows, columns].
    """
    cleared = np.maximum.accumulate(tops, axis=1)
    hit = np.zeros((len(tops), rise.shape[1], tops.shape[2]), np.int16)
    for step in range(len(DEPTHS)):
        hit += cleared[:, step, None, :] < rise[:, :, None]
    return hit


def look(
    land: Land, poses: list[Pose], cameras: list[Camera], size: tuple[int, int]
) -> list[Scene]:
    """What each camera sees from its pose; `size` is (height, width) of the pictures in pixels."""
    shot = _shot(poses, cameras, size)
    camera = np.arange(len(poses))[:, None, None]
    walk = shot.at(camera, DEPTHS[:, None].astype(np.float64), shot.side[:, None, :])
    around = land.cover(*walk)
    hit = _first_hit((around.height - shot.height) / DEPTHS[:, None], shot.rise)
    step = np.minimum(hit, len(DEPTHS) - 1)
    down = np.minimum(shot.rise, np.float32(-1e-6))[:, :, None]
    to_ground = np.broadcast_to(-shot.height / down, hit.shape)
    where = (camera, step, np.arange(size[1]))
    upright = (hit < len(DEPTHS)) & (around.height[where] > 0) & (DEPTHS[step] <= to_ground)
    ground = ~upright & (to_ground < FAR)

    kind = np.zeros(hit.shape, np.uint8)
    colour = np.zeros((*hit.shape, 3), np.float32)
    depth = np.where(upright, DEPTHS[step], np.where(ground, to_ground, np.float32(FAR)))
    kind[ground] = GROUND
    if ground.any():
        colour[ground] = _ground_colour(land, shot, ground, depth[ground])
    here = tuple(np.broadcast_to(index, hit.shape)[upright] for index in where)
    cover = Cover(*(field[here] for field in around))
    p, row, _ = np.nonzero(upright)
    up = shot.height[p, 0, 0] + shot.rise[p, row] * depth[upright]
    colour[upright] = _upright_colour(cover, walk[0][here], walk[1][here], up)
    kind[upright] = np.where(cover.built, WALL, PLANT)
    colour = _with_air(colour, kind == SKY, depth, shot)
    return [Scene(*planes) for planes in zip(kind, colour, strict=True)]


def _with_air(colour: np.ndarray, sky: np.ndarray, depth: np.ndarray, shot: _Shot) -> np.ndarray:
    """Adds sky and haze: f32 [p, h, w, 3]."""
    zenith = _BLUE + shot.overcast[..., None] * (_GREY - _BLUE)
    lift = np.clip(shot.rise * 1.2, 0, 1)[:, :, None, None]
    lit = np.where(sky[..., None], _HORIZON + lift * (zenith - _HORIZON), colour * _SUN)
    fog = np.where(sky, np.float32(0), shot.haze * depth / FAR)[..., None].astype(np.float32)
    return lit + fog * (_HORIZON - lit)


def develop(scene: Scene, camera: Camera, rng: np.random.Generator) -> bytes:
    """The photo of a scene as JPEG: exposure, white balance, weather, grain, compression."""
    grey = scene.colour.mean(-1, keepdims=True)
    dull = 0.25 * camera.overcast
    light = (
        (scene.colour * (1 - dull) + grey * dull) * camera.exposure * (1 - 0.15 * camera.overcast)
    )
    light = light * np.array(camera.balance, np.float32)
    light = light + 0.006 * rng.standard_normal(light.shape, np.float32)
    pixels = 255 * np.clip(light, 0, 1) ** np.float32(1 / 2.2)
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(file, 'JPEG', quality=camera.quality)
    return file.getvalue()
