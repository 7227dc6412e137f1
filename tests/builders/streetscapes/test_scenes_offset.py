"""The +1000: who has it, who lies about it, and what a subtraction leaves."""

import math

import numpy as np
import pytest

from gair_jax.builders.streetscapes import scenes_offset, scenes_source
from gair_jax.builders.streetscapes.scenes_source import BANDS, Item, UnreadableError
from tests.shared import shared
from tests.standins.scene_files import reflectance

LAND = np.full((40, 40), 4, np.uint8)
NONE = np.zeros((0, 10))


def item(baseline='05.09', flag='unknown'):
    return Item('a', '', '', '2020-01-01T00:00:00Z', 's', 1.0, baseline, flag, '', {}, {})


def values(plus=0, bright=0):
    """Closed form: 60 + 150 band + bright + 0..996, plus an offset or not."""
    x, y = np.meshgrid(np.arange(40) * 10.0 + 5, np.arange(40) * 10.0 + 5)
    one = [reflectance(x, y, band, '2020-05-01', bright) + plus for band in BANDS]
    return np.stack(one).astype(np.uint16)


def decide(scene, pixels, scl=LAND, medians=NONE):
    return scenes_offset.decide(scene, pixels, scl, medians)


@pytest.mark.parametrize('flag', ['yes', 'no', 'unknown'])
@pytest.mark.parametrize('baseline', ['02.12', '03.01', '00.01'])
def test_before_baseline_4_there_is_none_whatever_is_said(baseline, flag):
    assert decide(item(baseline, flag), values(bright=3000)) == (0, '')


def test_what_is_said_to_be_removed_stays():
    assert decide(item('05.09', 'yes'), values()) == (0, '')


@pytest.mark.parametrize('flag', ['no', 'unknown'])
@pytest.mark.parametrize('baseline', ['04.00', '05.11'])
def test_what_carries_it_loses_it(baseline, flag):
    assert decide(item(baseline, flag), values(plus=1000)) == (1000, '')
    np.testing.assert_array_equal(scenes_offset.subtract(values(plus=1000), 1000), values())


def test_a_flag_that_lies_on_common_ground_is_seen_in_the_dark_pixels():
    removed, conflict = decide(item('05.09', 'no'), values())
    assert removed == 0 and 'below zero' in conflict


def test_five_per_cent_of_land_decide_and_neither_water_nor_shadow_nor_nodata_counts():
    pixels = np.full((10, 40, 40), 1500, np.uint16)
    pixels[0].flat[:80] = 900  # 5 % of 1,600
    assert decide(item(), pixels) == (1000, '')
    pixels[0].flat[80] = 1000  # would be 0: that is below what a pixel may be
    assert decide(item(), pixels).removed == 0
    for blind in (0, 1, 3, 6):
        scl = LAND.copy()
        scl.flat[:81] = blind
        assert decide(item(), pixels, scl) == (1000, ''), blind
    pixels[:].reshape(10, -1)[:, :81] = 0
    assert decide(item(), pixels) == (1000, '')


def test_bright_ground_is_held_against_other_dates_both_ways():
    medians = np.stack(
        [scenes_offset.window_medians(values(bright=3000 + d)) for d in (-90, 0, 80)]
    )
    # Flag 'no', and removed already: nothing would fall below zero, but all bands would drop.
    removed, conflict = decide(item('05.09', 'no'), values(bright=3000), medians=medians)
    assert removed == 0 and 'beside other dates' in conflict
    # Flag 'yes', and still there.
    removed, conflict = decide(item('05.09', 'yes'), values(1000, bright=3000), medians=medians)
    assert removed == 1000 and 'beside other dates' in conflict
    # True flags stay true.
    assert decide(item('05.09', 'no'), values(1000, bright=3000), medians=medians) == (1000, '')
    assert decide(item('05.09', 'yes'), values(bright=3000), medians=medians) == (0, '')


def test_a_change_of_the_ground_is_no_jump():
    medians = scenes_offset.window_medians(values(bright=3000))[None]
    snow = values(1000, bright=3000)
    snow[:8] += 1500  # bright in the visible, dark in the short-wave infrared
    assert decide(item('05.09', 'no'), snow, medians=medians) == (1000, '')
    cloud = values(bright=3000)  # everywhere, and by 1000 in one band only
    cloud[0] += 1000
    cloud[1:] += 2500
    assert decide(item('05.09', 'yes'), cloud, medians=medians) == (0, '')
    green = values(bright=3000)
    green[6:8] += 1000
    assert decide(item('05.09', 'yes'), green, medians=medians) == (0, '')


def test_without_reference_bright_ground_is_believed():
    assert decide(item('05.09', 'no'), values(bright=3000)).removed == 1000


def test_a_scene_of_which_nothing_is_said_is_not_used():
    with pytest.raises(UnreadableError, match='no baseline'):
        decide(item('', 'unknown'), values())
    assert decide(item('', 'no'), values(1000)) == (1000, '')


def test_a_subtraction_keeps_nodata_apart_and_does_not_wrap():
    found = scenes_offset.subtract(np.array([0, 1, 999, 1000, 1001, 65535], np.uint16), 1000)
    assert found.tolist() == [0, 1, 1, 1, 1, 64535] and found.dtype == np.uint16


def test_medians_leave_out_what_was_not_seen():
    pixels = np.full((10, 4, 4), 7, np.uint16)
    pixels[:, :3] = 0
    assert scenes_offset.window_medians(pixels).tolist() == [7.0] * 10
    assert all(map(math.isnan, scenes_offset.window_medians(pixels * 0)))


def test_real_tiles_keep_or_lose_it_as_their_darkest_pixels_say():
    """index.csv infers 1000 where the darkest 0.5 % of every band is 850 or more."""
    import pandas as pd
    import rasterio

    rows = pd.read_csv(shared('data/sentinel2-tiles/index.csv'))
    for row in rows.itertuples():
        path = shared(f'data/sentinel2-tiles/tiles/{row.file}')
        with rasterio.open(path) as raster:
            pixels = raster.read([2, 3, 4, 5, 6, 7, 8, 9, 11, 12]).astype(np.uint16)
        scl = np.full(pixels.shape[1:], 4, np.uint8)
        found = decide(item('05.09', 'no'), pixels, scl)
        if row.add_offset_guess:
            assert found.removed == 1000, row.file
        elif np.percentile(pixels[:3], 6, axis=(1, 2)).min() <= 1000:
            assert found.removed == 0, row.file


def test_bands_of_the_visible_are_those():
    assert [BANDS[i] for i in scenes_offset.VISIBLE] == ['B02', 'B03', 'B04']
    assert scenes_source.SCL not in BANDS
