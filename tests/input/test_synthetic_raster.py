import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.input.synthetic import materials, raster
from gair_jax.input.synthetic.world import NO_CROP, Land, make_world

CRS = 'EPSG:32633'
FOOTPRINT = raster.Footprint(CRS, 412_000.0, 5_300_960.0, 48)
SEASONS = (0, 1, 2, 3)


class _Bare(Land):
    """A land of one material, to see the sensor alone."""

    def __init__(self, code, crop=NO_CROP, edge=1e3, scar=False):
        vars(self).update(code=code, crop=crop, edge=edge, scar=scar)

    def cover(self, e, n):
        land = make_world(0, 1).near(CRS, FOOTPRINT.box)
        cover = land.cover(e, n)
        full = {'code': self.code, 'crop': self.crop, 'edge': self.edge}
        new = {k: np.full_like(getattr(cover, k), v) for k, v in full.items()}
        return cover._replace(**new, tint=np.zeros_like(cover.tint))

    def burnt(self, e, n, season):
        return np.full(e.shape, self.scar)


def _views(land, seed=0):
    return raster.views(land, FOOTPRINT, np.random.default_rng(seed))


def _clear(land, seasons=SEASONS):
    """Mean DN of clear acquisitions over seeds: float [season, band]."""
    runs = [[view for view in _views(land, seed)] for seed in range(12)]
    return np.array(
        [
            np.mean([run[s].bands.mean((0, 1)) for run in runs if run[s].cloud == 0], axis=0)
            for s in seasons
        ]
    )


@pytest.mark.parametrize('name', ['meadow', 'water', 'asphalt'])
def test_a_pixel_of_one_material_shows_its_reflectance(name):
    code = materials.CODE[name]
    expected = 1e4 * materials.REFLECTANCE[:, code]
    got = _clear(_Bare(code))
    # Haze adds up to some hundred DN in blue; light varies by 7 %, here averaged over dates.
    assert np.all(np.abs(got - expected) < 420 + 0.06 * expected)
    assert np.all(got[:, 9] - expected[:, 9] < 130)


def test_dates_tell_crops_apart_and_one_date_does_not():
    maize, millet = (materials.CROP + list(materials.CROPS).index(k) for k in ('maize', 'millet'))
    a, b = (_clear(_Bare(code)) for code in (maize, millet))
    gap = np.abs(a - b).max(1)
    assert gap[2] < 250 and gap[3] < 250  # both bare in winter and spring
    assert gap[0] > 700 and gap[1] > 700


def test_masks_say_what_grows_burns_and_bounds():
    crop = _Bare(materials.CROP + 2, crop=2, edge=2.0, scar=True)
    for view in _views(crop):
        assert set(view.masks) == {'burn_scars', 'crop_type', 'field_boundaries'}
        assert np.all(view.masks['crop_type'] == 3)
        assert np.all(view.masks['field_boundaries'] == 1)
        assert np.all(view.masks['burn_scars'] == 1)
    town = _Bare(materials.ROOF, scar=True)
    assert all(not mask.any() for view in _views(town) for mask in view.masks.values())


def test_a_scar_darkens_near_infrared_and_not_far_infrared():
    kept, burnt = (_clear(_Bare(materials.CODE['lawn'], scar=scar)) for scar in (False, True))
    b08, b12 = materials.BANDS.index('B08'), materials.BANDS.index('B12')
    assert burnt[0, b08] < 0.5 * kept[0, b08]
    assert burnt[0, b12] > kept[0, b12]


def test_raster_and_ground_show_the_same_cover():
    land = make_world(4, 6).near(CRS, FOOTPRINT.box)
    summer = _views(land, 2)[0]
    x, y = np.meshgrid(np.arange(48) + 0.5, np.arange(48) + 0.5)
    fine = [
        land.cover(FOOTPRINT.west + 10 * (x + a), FOOTPRINT.north - 10 * (y + b)).code
        for a in (-0.4, 0, 0.4)
        for b in (-0.4, 0, 0.4)
    ]
    assert summer.cloud == 0
    pure = np.all(np.array(fine) == fine[0], 0) & (summer.masks['burn_scars'] == 0)
    ndvi_bands = [materials.BANDS.index(name) for name in ('B08', 'B04')]
    nir, red = np.moveaxis(summer.bands[..., ndvi_bands].astype(float), -1, 0)
    green = np.isin(fine[0], [materials.CODE['lawn'], materials.CODE['meadow']])
    hard = np.isin(fine[0], [materials.CODE['paving'], materials.CODE['sand']])
    ndvi = (nir - red) / (nir + red)
    assert (pure & green).sum() > 20 and (pure & hard).sum() > 20
    assert np.quantile(ndvi[pure & green], 0.05) > np.quantile(ndvi[pure & hard], 0.95)


def test_views_are_real_looking_for_the_sensor_contract():
    lands = [make_world(4, 6).near(CRS, FOOTPRINT.box)]
    bands = np.concatenate([view.bands for land in lands for view in _views(land)])
    contract = sensors.CONTRACTS['sentinel2_10']
    assert tuple(contract.bands) == materials.BANDS
    assert bands.dtype == np.uint16 and bands.min() > 0  # 0 is no data
    scaled = contract.normalize(bands)
    assert np.all(scaled.mean((0, 1)) > 0.2) and np.all(scaled.mean((0, 1)) < 0.8)


def test_cloud_share_is_what_is_white():
    land = _Bare(materials.CODE['needles'])
    views = [view for seed in range(30) for view in _views(land, seed)]
    shares = np.array([view.cloud for view in views])
    assert 0.02 < np.mean(shares > 0) < 0.4
    for view in views:
        assert np.mean(view.bands[..., 0] > 2800) == pytest.approx(view.cloud, abs=0.03)


def test_footprint_is_north_up():
    assert FOOTPRINT.box == (412_000.0, 5_300_480.0, 412_480.0, 5_300_960.0)
    np.testing.assert_array_equal(FOOTPRINT.bounds, [412_000, 5_300_960, 412_480, 5_300_480])
    a, b, c, d, e, f = FOOTPRINT.transform
    corner = a * 48 + b * 48 + c, d * 48 + e * 48 + f
    assert corner == (412_480.0, 5_300_480.0)
