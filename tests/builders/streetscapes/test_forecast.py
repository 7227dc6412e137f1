import pandas as pd
import pytest

from gair_jax.builders.streetscapes import forecast, layouts, plan, plan_files, utm
from gair_jax.builders.streetscapes.forecast import Amounts
from gair_jax.builders.streetscapes.settings import (
    PhotosConfig,
    PlacesConfig,
    ScenesConfig,
    StreetscapesConfig,
    TilesConfig,
)
from gair_jax.config import InputError
from tests.shared import shared

TILES, PHOTOS = 688, 999_664
RELEASE_PIXELS = 246 * 183  # 0.9 MB raw
CHIPS = 20 * 128**2  # of a tile


def of_paper(side=246.0, packed=CHIPS, photos=PHOTOS):
    return Amounts(TILES, side, TILES * packed, photos, photos)


def rows(amounts, most_dates=0, **photos):
    settings = StreetscapesConfig(
        scenes=ScenesConfig(most_dates=most_dates), photos=PhotosConfig(**photos)
    )
    return {row.item: row for row in forecast.forecast(settings, amounts)}


# The table of the specification (section 6): of 688 tiles, rounded as it is there.
@pytest.mark.parametrize(
    ('dates', 'requests', 'fetched', 'hours', 'work', 'packed', 'chips'),
    [
        (24, 0.68e6, (0.25e12, 0.33e12), (1.4, 1.9), 3.2, 6e9, 43e9),
        (96, 2.7e6, (1.0e12, 1.3e12), (5.6, 7.4), 12.8, 24e9, 172e9),
    ],
)
def test_the_paper_s_set_costs_what_the_table_says(
    dates, requests, fetched, hours, work, packed, chips
):
    for side, size, time in zip((246.0, 436.0), fetched, hours, strict=True):
        scenes = rows(of_paper(side), dates)['scenes']
        assert scenes.requests == TILES * dates * 41 == pytest.approx(requests, rel=0.01)
        assert scenes.fetched == pytest.approx(size, rel=0.035)
        assert scenes.hours == pytest.approx(time, abs=0.06)
    found = rows(of_paper(), dates)
    assert found['scenes, work of one process'].hours == pytest.approx(work, abs=0.05)
    assert found['packed scenes'].disk == pytest.approx(chips, rel=0.01)
    release = rows(of_paper(packed=RELEASE_PIXELS), dates)
    assert release['packed scenes'].disk == pytest.approx(packed, rel=0.02)


def test_the_paper_s_photos_cost_what_the_specification_says():
    """Of a million: 5.6 h at 50/s, 17 min at 1,000/s, 232 or 523 GB, stored 63 or 38 GB."""
    million = of_paper(photos=1_000_000)
    found = rows(million)
    assert found['photos'].requests == 2_000_000  # metadata and picture
    assert found['photos'].hours == pytest.approx(5.6, abs=0.05)
    assert found['photos'].fetched == pytest.approx(232e9)
    assert found['photos'].disk == found['packed photos'].disk == pytest.approx(63e9)
    assert rows(million, rate=1000.0)['photos'].hours * 60 == pytest.approx(17, abs=0.4)
    assert rows(million, rate=100.0)['photos'].hours == pytest.approx(2.8, abs=0.03)
    assert rows(million, width=2048)['photos'].fetched == pytest.approx(523e9)
    assert rows(million, side=256)['photos'].disk == pytest.approx(38e9)
    as_it_comes = rows(million, side=0)['photos']
    assert as_it_comes.disk == as_it_comes.fetched
    # 523 / 232 is the price of twice the width, in both directions.
    assert rows(million, width=512)['photos'].fetched == pytest.approx(232e9 * 232 / 523)


def test_a_search_pages_through_all_passes():
    """2,922 days at one pass in 5 are 584, or 6 pages of 100: a few thousand requests."""
    assert rows(of_paper())['search'].requests == 688 * 6


def test_a_small_window_is_no_cheaper_than_its_blocks():
    assert rows(of_paper(96.0))['scenes'].fetched == rows(of_paper(246.0))['scenes'].fetched


@pytest.mark.parametrize(
    ('scenes', 'count'),
    [
        ({}, 96),
        ({'most_dates': 24}, 24),
        ({'most_dates': 200}, 96),
        ({'per_period': 2}, 192),
        ({'start': '2024-01-31', 'end': '2024-02-01'}, 2),
        ({'start': '2024-02-01', 'end': '2024-02-01'}, 1),
    ],
)
def test_a_tile_has_a_scene_a_month(scenes, count):
    assert forecast.dates(ScenesConfig(**scenes)) == count


@pytest.mark.parametrize(
    ('scenes', 'message'),
    [
        ({'start': '2017'}, "scenes.start: expected a day, found '2017'"),
        ({'end': '2024-02-30'}, "scenes.end: expected a day, found '2024-02-30'"),
        ({'end': '2016-12-31'}, "scenes.end: expected a day from 2017-01-01 on, found '2016"),
    ],
)
def test_days_that_are_none_are_refused(scenes, message):
    with pytest.raises(InputError, match=message):
        forecast.dates(ScenesConfig(**scenes))


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan')])
def test_photos_at_no_rate_are_refused(rate):
    with pytest.raises(InputError, match=f'photos.rate: expected more than 0, found {rate}'):
        rows(of_paper(), rate=rate)


def three_photos(**tiles):
    """Two photos in one cell of 320 m and a panorama 1 km off, with one more in reserve."""
    settings = StreetscapesConfig(tiles=TilesConfig(**tiles))
    photos = pd.DataFrame(
        {
            'lon': [9.18, 9.1801, 9.19, 9.2],
            'lat': [48.77, 48.7701, 48.777, 48.77],
            'panorama': [False, False, True, True],
            'reserve': [False, False, False, True],
            'source': 'mapillary',
            'city_id': '7',
        }
    )
    layout = layouts.native(photos[['lon', 'lat']].to_numpy(), photos['city_id'], 95)
    photos['tile'] = layout.tiles[0].key
    return settings, photos, {tile.key: tile for tile in layout.tiles}


def test_amounts_are_counted_from_the_plan():
    settings, photos, tiles = three_photos()
    found = forecast.amounts(settings, photos, tiles)
    (tile,) = tiles.values()
    metres = utm.xy(photos[['lon', 'lat']].to_numpy()[:3], [32632] * 3)
    cells = {((x - tile.bounds[0]) // 320, (tile.bounds[1] - y) // 320) for x, y in metres}
    assert len(cells) == 2 and found.packed_pixels == 2 * 128**2
    assert (found.tiles, found.photos, found.views) == (1, 3, 2 + 4)
    assert found.side**2 == pytest.approx(tile.width * tile.height)


@pytest.mark.parametrize('whole', [{'chip': 0}, {'layout': 'release'}])
def test_whole_tiles_are_packed_whole(whole):
    settings, photos, tiles = three_photos(**whole)
    (tile,) = tiles.values()
    assert forecast.amounts(settings, photos, tiles).packed_pixels == tile.width * tile.height


def test_the_published_sample_occupies_the_cells_that_the_specification_counts(tmp_path):
    """spec, section 2: of 320-m cells Stuttgart occupies 15 and Singapore 6 (of another origin)."""
    settings = StreetscapesConfig(
        places=PlacesConfig(table=str(shared('data/global-streetscapes-sample/tables')))
    )
    plan.plan(settings, tmp_path)
    found = forecast.amounts(settings, plan_files.photos(tmp_path), plan_files.tiles(tmp_path))
    assert found.photos == 2319 and found.views == 1659 + 660 * 4
    assert abs(found.packed_pixels / 128**2 - 21) <= 6
