"""Searches: whole or not at all, and items of two catalogues read alike."""

import json
import math

import pytest

from gair_jax.builders.streetscapes import scenes_items, scenes_source, scenes_stac
from gair_jax.builders.streetscapes.scenes_source import BANDS, SourceError
from gair_jax.builders.streetscapes.settings import ScenesConfig
from gair_jax.config import InputError
from tests.standins import catalogue, scene_items
from tests.standins.catalogue import scene_around

STUTTGART = (9.15, 48.75, 9.2, 48.8)
YEARS = ('2017-01-01', '2024-12-31')


def days(count, **fields):
    names = [f'20{18 + i // 300:02d}-{1 + i // 25 % 12:02d}-{1 + i % 25:02d}' for i in range(count)]
    return [scene_around(9.18, 48.77, day, side=64, **fields) for day in names]


def source_of(served):
    known = scenes_stac.Preset(url=served.url, collection='sentinel-2-l2a')
    return scenes_stac.StacSource(known, delay=0.002)


def shape(name):
    return json.loads((scene_items.SHAPES / f'{name}_item.json').read_text())


class TestItems:
    def test_both_catalogues_tell_the_same(self):
        one = scenes_items.read(shape('earth_search'), 'c', 'unknown')
        two = scenes_items.read(shape('planetary_computer'), 'c', 'no')
        for item in (one, two):
            assert (item.platform, item.baseline, item.mgrs) == ('sentinel-2a', '05.09', '32UMV')
            assert item.cloud == 3.25
            assert item.collection == 'sentinel-2-l2a'
            assert set(item.hrefs) == {*BANDS, 'SCL'}
            assert item.extra == {'crs': 'EPSG:32632', 'box': [399960, 5500020, 509760, 5390220]}
        assert (one.offset_applied, two.offset_applied) == ('yes', 'no')
        # nir08 is B8A: with B08 in its place nobody would notice.
        for band, ending in {'B08': 'B08', 'B8A': 'B8A', 'B11': 'B11', 'SCL': 'SCL'}.items():
            assert one.hrefs[band].endswith(f'/{ending}.tif')
        assert two.hrefs['B8A'].endswith('_B8A_20m.tif') and two.hrefs['B02'].endswith(
            '_B02_10m.tif'
        )

    def test_it_survives_json(self):
        item = scenes_items.read(shape('earth_search'), 'c', 'unknown')
        assert scenes_source.Item(**json.loads(json.dumps(item._asdict()))) == item

    def test_a_signature_is_never_kept(self):
        feature = shape('planetary_computer')
        feature['assets']['B02']['href'] += '?sig=secret'
        assert 'secret' not in repr(scenes_items.read(feature, 'c', 'no'))

    @pytest.mark.parametrize(
        ('flag', 'offset', 'said'),
        [
            (True, -0.1, 'yes'),  # seen in the wild: the pixels agree with the flag
            (False, 0, 'no'),
            (None, 0, 'yes'),
            (None, -0.1, 'no'),
            (None, None, 'unknown'),
        ],
    )
    def test_the_offset_is_what_the_scene_says_then_what_its_file_says(self, flag, offset, said):
        feature = shape('earth_search')
        del feature['properties']['earthsearch:boa_offset_applied']
        if flag is not None:
            feature['properties']['earthsearch:boa_offset_applied'] = flag
        feature['assets']['blue']['raster:bands'][0]['offset'] = offset
        assert scenes_items.read(feature, 'c', 'unknown').offset_applied == said

    def test_a_baseline_is_found_in_the_name_of_the_product(self):
        feature = shape('earth_search')
        del feature['properties']['s2:processing_baseline']
        assert scenes_items.read(feature, 'c', 'unknown').baseline == '05.09'
        del feature['properties']['s2:product_uri']
        assert scenes_items.read(feature, 'c', 'unknown').baseline == ''

    def test_a_square_is_put_together_from_its_parts(self):
        feature = shape('earth_search')
        del feature['properties']['grid:code']
        feature['properties']['mgrs:utm_zone'] = 5
        assert scenes_items.read(feature, 'c', 'unknown').mgrs == '05UMV'

    def test_an_item_without_time_is_refused(self):
        feature = shape('earth_search')
        del feature['properties']['datetime']
        with pytest.raises(InputError, match="an item lacks 'datetime'"):
            scenes_items.read(feature, 'c', 'unknown')


class TestSearch:
    def ids(self, served, box=STUTTGART, start=YEARS[0], end=YEARS[1], cloud=20.0):
        found = source_of(served).search(box, start, end, cloud)
        assert [i.datetime for i in found] == sorted(i.datetime for i in found)
        return [item.id for item in found]

    @pytest.mark.parametrize('counts', [True, False])
    def test_pages_are_followed_to_the_last(self, counts):
        scenes = days(47)
        with catalogue.serve(scenes, page=10, counts=counts) as served:
            assert sorted(self.ids(served)) == sorted(scene.id for scene in scenes)
            assert sum(method == 'POST' for method, *_ in served.log) == 5

    def test_a_catalogue_that_stops_at_a_number_is_asked_by_halves(self, monkeypatch):
        monkeypatch.setattr(scenes_stac, 'MOST', 20)
        scenes = days(70)
        with catalogue.serve(scenes, page=8, most=20) as served:
            assert sorted(self.ids(served)) == sorted(scene.id for scene in scenes)

    def test_cloud_and_days_are_bounds(self):
        scenes = [
            scene_around(9.18, 48.77, day, side=64, cloud=cloud)
            for day, cloud in [('2020-02-28', 5), ('2020-02-29', 5), ('2020-03-01', 20)]
        ]
        with catalogue.serve(scenes) as served:
            assert len(self.ids(served, start='2020-02-29', end='2020-03-01', cloud=20.5)) == 2
            assert len(self.ids(served, start='2020-02-29', end='2020-03-01')) == 1
            assert not self.ids(served, start='2020-03-02', end='2020-12-31')

    def test_a_box_over_the_antimeridian_is_two(self):
        fiji = [scene_around(lon, -16.8, '2020-05-01', side=64) for lon in (179.95, -179.95)]
        with catalogue.serve(fiji) as served:
            box = (179.9, -16.9, -179.9, -16.7)
            assert len(self.ids(served, box)) == 2
            assert sum(method == 'POST' for method, *_ in served.log) == 2

    def test_every_third_request_fails_and_nothing_is_lost(self):
        scenes = days(47)
        with catalogue.serve(scenes, page=10, fail_every=3) as served:
            assert len(self.ids(served)) == 47

    def test_a_page_that_never_comes_fails_the_whole(self):
        with catalogue.serve(days(30), page=10) as served:
            source = source_of(served)
            source.search(STUTTGART, *YEARS, 20.0)
            served.fail_every = 1
            with pytest.raises(SourceError, match='the search failed'):
                source.search(STUTTGART, *YEARS, 20.0)

    def test_a_count_that_is_not_reached_fails_the_whole(self, monkeypatch):
        page = catalogue._Handler._page
        short = lambda self, asked: {**page(self, asked), 'numberMatched': 31}  # noqa: E731
        monkeypatch.setattr(catalogue._Handler, '_page', short)
        with (
            catalogue.serve(days(30), page=10) as served,
            pytest.raises(SourceError, match='gave 30 of 31 scenes'),
        ):
            self.ids(served)

    def test_a_collection_without_the_bands_is_named(self, monkeypatch):
        whole = catalogue.feature

        def without(*arguments):
            found = whole(*arguments)
            del found['assets']['nir08']
            return found

        monkeypatch.setattr(catalogue, 'feature', without)
        with (
            catalogue.serve(days(2)) as served,
            pytest.raises(InputError, match='sentinel-2-l2a: expected items .* band B8A'),
        ):
            self.ids(served)

    def test_a_day_that_is_none_is_named(self):
        with (
            catalogue.serve([]) as served,
            pytest.raises(InputError, match="scenes.end: expected a day as .* found '2020-13-01'"),
        ):
            self.ids(served, end='2020-13-01')


class TestPresets:
    def test_names_and_addresses(self):
        with pytest.raises(InputError, match="scenes.source: expected earth_search or .* 'moon'"):
            scenes_source.source(ScenesConfig(source='moon'))
        with pytest.raises(InputError, match="scenes.url: expected the address .* found ''"):
            scenes_source.source(ScenesConfig(source='stac'))
        made = scenes_source.source(ScenesConfig(source='earth_search'))
        assert made._known.url.startswith('https://earth-search.')
        made = scenes_source.source(ScenesConfig(source='stac', url='http://here', collection='c'))
        assert (made._known.url, made._known.collection) == ('http://here', 'c')
        made = scenes_source.source(ScenesConfig(source='planetary_computer'))
        assert made._known.offset == 'no' and made._known.sign

    def test_a_cloud_that_is_not_told_is_no_cloud_below(self):
        feature = shape('earth_search')
        del feature['properties']['eo:cloud_cover']
        assert math.isnan(scenes_items.read(feature, 'c', 'unknown').cloud)
