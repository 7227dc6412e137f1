import io

import numpy as np
import pytest
from PIL import Image

from gair_jax.input.synthetic import materials, street
from gair_jax.input.synthetic.world import NO_CROP, Cover, Land, make_world

CRS = 'EPSG:32633'
WEST, SOUTH = 412_000.0, 5_300_000.0
SIZE = (48, 72)
CAMERA = street.Camera(haze=0.0)
FOCAL = 36 / np.tan(np.radians(CAMERA.field / 2))


class _Stage(Land):
    """A meadow with a wall of 10 m to the north, 20 m away, and sand in the east half-plane."""

    def __init__(self):
        pass

    def cover(self, e, n):
        wall = n > 20
        code = np.where(e > 0, materials.CODE['sand'], materials.CODE['meadow'])
        code = np.where(wall, materials.ROOF, code).astype(np.uint8)
        plain = np.zeros(e.shape, np.uint8)
        return Cover(
            code, np.zeros((*e.shape, 3), np.float32), np.where(wall, 10, 0).astype(np.float32),
            wall, plain, plain, np.full_like(plain, NO_CROP),
            np.full(e.shape, 50, np.float32), n,
        )  # fmt: skip

    def burnt(self, e, n, season):
        return np.zeros(e.shape, bool)


def _look(heading, camera=CAMERA):
    return street.look(_Stage(), [street.Pose(0.0, 0.0, heading)], [camera], SIZE)[0]


def test_a_wall_fills_the_angle_that_geometry_says():
    kind = _look(0.0).kind[:, 36]
    horizon = CAMERA.horizon * SIZE[0]
    top = horizon - FOCAL * (10 - CAMERA.height) / 20
    foot = horizon + FOCAL * CAMERA.height / 20
    rows = np.arange(SIZE[0]) + 0.5
    # Things are looked for in steps of 1.8 m at 20 m: a tenth of the angles, at most 2 rows.
    assert np.all(kind[rows < top - 2] == street.SKY)
    assert np.all(kind[(rows > top + 2) & (rows < foot - 1)] == street.WALL)
    assert np.all(kind[rows > foot + 1] == street.GROUND)


def test_nothing_upright_to_the_south():
    kind = _look(180.0).kind
    horizon = int(CAMERA.horizon * SIZE[0])
    assert np.all(kind[: horizon - 1] == street.SKY)
    assert np.all(kind[horizon + 2 :] == street.GROUND)


def test_east_is_right_when_looking_north():
    bottom = _look(0.0).colour[-1]
    sand = materials.REFLECTANCE[materials.SUMMER, materials.CODE['sand']][list(materials.RGB)]
    meadow = materials.REFLECTANCE[materials.SUMMER, materials.CODE['meadow']][list(materials.RGB)]
    ratio = bottom[:, 0] / bottom[:, 1]
    np.testing.assert_allclose(ratio[40:].mean(), sand[0] / sand[1], rtol=0.02)
    np.testing.assert_allclose(ratio[:32].mean(), meadow[0] / meadow[1], rtol=0.02)
    mirrored = _look(180.0).colour[-1]
    np.testing.assert_allclose(
        (mirrored[:, 0] / mirrored[:, 1])[:32].mean(), ratio[40:].mean(), rtol=0.02
    )


def test_a_photo_depends_on_the_world_and_not_on_the_frame():
    world = make_world(4, 6)
    poses = [
        street.Pose(WEST + 400.25, SOUTH + 333.5, 77.0),
        street.Pose(WEST + 301, SOUTH + 300, 5.0),
    ]
    cameras = [street.Camera(), street.Camera(overcast=1.0, field=100.0)]
    shots = []
    for shift in (0.0, 70.0, -130.0):
        box = (WEST + shift, SOUTH - shift, WEST + shift + 800, SOUTH - shift + 800)
        scenes = street.look(world.near(CRS, box), poses, cameras, SIZE)
        shots.append(
            [
                street.develop(s, c, np.random.default_rng(0))
                for s, c in zip(scenes, cameras, strict=True)
            ]
        )
    assert shots[0] == shots[1] == shots[2]
    # One by one as in a batch.
    land = world.near(CRS, (WEST, SOUTH, WEST + 800, SOUTH + 800))
    alone = street.look(land, poses[1:], cameras[1:], SIZE)[0]
    assert street.develop(alone, cameras[1], np.random.default_rng(0)) == shots[0][1]


def test_the_same_surroundings_elsewhere_give_the_same_photo():
    class Moved(_Stage):
        def cover(self, e, n):
            return super().cover(e - 1e5, n - 5e6)

    there = street.look(Moved(), [street.Pose(1e5, 5e6, 30.0)], [CAMERA], SIZE)[0]
    here = _look(30.0)
    np.testing.assert_array_equal(there.kind, here.kind)
    # Only the grain of the ground, some per cent, belongs to the place.
    np.testing.assert_allclose(there.colour.mean((0, 1)), here.colour.mean((0, 1)), rtol=0.02)


@pytest.mark.parametrize(
    'name, value',
    [('exposure', 1.3), ('balance', (1.2, 1.0, 0.8)), ('haze', 0.5), ('overcast', 1.0)],
)
def test_weather_and_camera_change_the_photo_and_not_the_scene(name, value):
    plain, other = CAMERA, street.Camera(**{'haze': 0.0, name: value})
    a, b = _look(0.0, plain), _look(0.0, other)
    np.testing.assert_array_equal(a.kind, b.kind)
    shots = [street.develop(s, c, np.random.default_rng(0)) for s, c in ((a, plain), (b, other))]
    first, second = (np.asarray(Image.open(io.BytesIO(shot))).astype(int) for shot in shots)
    assert first.shape == (*SIZE, 3)
    assert np.abs(first - second).mean() > 2


def test_a_view_without_any_ground_is_drawn():
    class Forest(_Stage):
        def cover(self, e, n):
            cover = super().cover(e, n)
            return cover._replace(height=np.full(e.shape, 30, np.float32), built=cover.built | True)

    scene = street.look(Forest(), [street.Pose(0.0, 0.0, 0.0)], [CAMERA], SIZE)[0]
    assert np.mean(scene.kind == street.WALL) > 0.8
