import numpy as np
import pytest

from gair_jax.input.synthetic import materials, parcels
from gair_jax.input.synthetic.world import NO_CROP, make_world

CRS = 'EPSG:32633'
WEST, SOUTH = 412_000.0, 5_300_000.0
BOX = (WEST, SOUTH, WEST + 800, SOUTH + 800)


@pytest.fixture(scope='module')
def land():
    return make_world(4, 6).near(CRS, BOX)


def _grid(step):
    along = np.arange(0.5, 800 / step)
    return np.meshgrid(WEST + step * along, SOUTH + step * along)


def test_cover_does_not_depend_on_the_box_it_is_asked_through(land):
    e, n = _grid(20)
    e, n = e[10:20, 10:20], n[10:20, 10:20]
    shifted = make_world(4, 6).near(CRS, (WEST - 270, SOUTH + 130, WEST + 530, SOUTH + 1000))
    for name, a, b in zip(
        land.cover(e, n)._fields, land.cover(e, n), shifted.cover(e, n), strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_another_seed_or_zone_is_another_land(land):
    e, n = _grid(20)
    code = land.cover(e, n).code
    for other in (make_world(5, 6).near(CRS, BOX), make_world(4, 6).near('EPSG:32634', BOX)):
        assert np.mean(other.cover(e, n).code == code) < 0.6


def test_land_cover_is_coherent_from_metres_to_districts(land):
    e, n = _grid(5)
    kind = land.cover(e, n).kind
    same = {step: np.mean(kind[:, step:] == kind[:, :-step]) for step in (1, 6, 20, 80)}
    # At 5 m hardly a border is crossed, at 30 m some, at 400 m it is another district.
    assert same[1] > 0.85
    assert same[1] > same[6] > same[20] > same[80]


def test_height_goes_with_the_surface(land):
    cover = land.cover(*_grid(4))
    roof = (cover.code >= materials.ROOF) & (cover.code < materials.COURT)
    np.testing.assert_array_equal(roof, cover.built)
    plant = np.isin(cover.code, [materials.CODE['crown'], materials.CODE['needles']])
    np.testing.assert_array_equal(cover.height > 0, roof | plant)


def test_a_field_carries_the_crop_that_is_seen():
    lands = [
        make_world(4, 6).near(CRS, (WEST + k, SOUTH, WEST + k + 800, SOUTH + 800))
        for k in (0, 9000)
    ]
    for offset, land in zip((0, 9000), lands, strict=True):
        e, n = _grid(10)
        cover = land.cover(e + offset, n)
        seen = (cover.code >= materials.CROP) & (cover.code < materials.ROOF)
        assert np.all(cover.crop[seen] == cover.code[seen] - materials.CROP)
        np.testing.assert_array_equal(cover.crop != NO_CROP, cover.kind == parcels.KIND['crop'])


def test_no_single_season_tells_the_crops_apart_but_the_course_does():
    courses = list(materials.CROPS.values())
    assert len(set(courses)) == len(courses)
    for season in range(4):
        looks = [course[season] for course in courses]
        assert all(looks.count(look) >= 3 for look in looks)


def test_street_runs_along_the_road(land):
    e, n = (x.ravel() for x in _grid(2))
    on = land.cover(e, n).code == materials.CODE['marking']
    azimuth, outside = land.street(e[on], n[on])
    assert np.all(outside < 0)
    # Five metres along the road one is still in its middle, five across at its edge.
    east, north = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    along = land.street(e[on] + 5 * east, n[on] + 5 * north)[1]
    across = land.street(e[on] + 5 * north, n[on] - 5 * east)[1]
    assert np.quantile(along, 0.95) < -3 and np.quantile(across, 0.05) > -2


def test_a_scar_lasts_two_seasons_of_four(land):
    e, n = _grid(10)
    burnt = np.stack([land.burnt(e, n, season) for season in range(4)])
    assert burnt.any()
    assert set(np.unique(burnt.sum(0))) == {0, 2}
