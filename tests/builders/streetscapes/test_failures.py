"""What a build survives, row by row of the list of failures that it is built for.

429, Graph code 4
    test_photos_limiter.py::test_a_refusal_pauses_all_and_halves_the_rate
    test_photos_limiter.py::test_the_rate_climbs_back_by_the_formula_of_the_module
    test_photos_requests.py::test_retry_after_pauses_every_worker
    test_photos_sources.py::test_graph_limits_are_refusals_whatever_the_status
    test_photos_limiter.py::test_a_bucket_three_times_too_high_reaches_80_per_cent_of_the_limit
5xx, reset, timeout
    test_photos_requests.py::test_what_passes_is_asked_for_again
    test_photos_requests.py::test_what_does_not_pass_fails_after_the_tries
    test_photos_fetch.py::test_what_failed_is_tried_again_and_not_replaced
    test_scenes_fetch.py::test_what_failed_for_now_is_fetched_by_the_next_run
    test_failures.py::test_every_third_request_fails_and_the_set_is_the_same
400, 404, a deleted photo
    test_photos_fetch.py::test_a_plan_with_the_faults_of_the_specification
    test_photos_cities.py::test_the_kept_are_the_first_n_that_are_there
    test_photos_requests.py::test_a_missing_picture_is_gone_at_once
403 of a thumbnail, of a signed file
    test_photos_requests.py::test_an_expired_address_is_told
    test_photos_sources.py::test_faults_of_mapillary
    test_scenes_reading.py::test_they_are_asked_for_at_opening_and_again_when_refused
    test_scenes_reading.py::test_no_more_than_twice
cut bodies, HTML
    test_photos_images.py::test_what_is_no_whole_jpeg_is_refused
    test_photos_requests.py::test_an_answer_cut_by_a_wrong_length_is_seen_without_a_decoder
missing files, unreadable blocks, empty windows
    test_scenes_fetch.py::test_an_unreadable_scene_gives_way_to_the_next_of_the_month
    test_scenes_select.py::test_a_broken_classification_drops_the_pass
    test_scenes_select.py::test_nodata_has_a_limit
    test_failures.py::test_a_city_whose_scenes_are_all_unreadable_is_dropped_and_the_others_stay
wrong flags of the offset
    test_scenes_offset.py::test_a_flag_that_lies_on_common_ground_is_seen_in_the_dark_pixels
    test_scenes_offset.py::test_bright_ground_is_held_against_other_dates_both_ways
    test_scenes_fetch.py::test_offsets_of_all_kinds_end_on_one_scale
duplicate items
    test_scenes_select.py::test_of_what_was_processed_anew_the_newest_is_kept
    test_scenes_select.py::test_a_date_is_taken_once
odd origins, two zones
    test_scenes_reading.py::test_pixels_that_are_moved_say_so
    test_scenes_select.py::test_the_grid_of_the_tile_is_preferred_and_one_pass_has_one
the antimeridian, the poles
    test_scenes_stac.py::test_a_box_over_the_antimeridian_is_two
    test_layouts.py::test_a_city_over_the_antimeridian_is_two_tiles_with_boxes_over_it
    test_choose.py::test_places_near_a_pole_are_left_out
rows that cannot be places, ids that were floats
    test_tables.py::test_a_bad_row_is_refused_by_row_and_column
    test_tables.py::test_parquet_ids_that_are_floats_are_refused
a full disk
    test_plan.py::test_a_plan_that_was_broken_off_is_made_anew
    test_photos_fetch.py::test_a_full_disk_is_one_sentence_and_nothing_half_written
    test_failures.py::test_a_full_disk_is_one_sentence_and_the_same_command_goes_on
    test_failures.py::test_a_file_that_cannot_grow_is_one_sentence_and_leaves_no_part
SIGTERM, kill -9
    test_kills.py::test_a_build_that_was_killed_everywhere_is_that_of_one_go
    test_kills.py::test_a_signal_ends_what_is_in_flight_and_75_says_that_it_goes_on
    test_photos_resume.py::test_kill_9_at_three_times_and_rerun_gives_the_same_files
a page that fails midway, a limit of results
    test_scenes_stac.py::test_a_page_that_never_comes_fails_the_whole
    test_scenes_stac.py::test_a_count_that_is_not_reached_fails_the_whole
    test_scenes_stac.py::test_a_catalogue_that_stops_at_a_number_is_asked_by_halves
    test_failures.py::test_a_page_that_fails_midway_leaves_nothing_of_the_search
every row of the table has one end
    test_failures.py::test_every_row_of_the_table_has_exactly_one_end
    test_plan.py::test_the_counts_add_up_whatever_the_table
"""

import collections
import pathlib
import re

import pandas as pd
import pytest

from gair_jax.builders.streetscapes import build, ledger, plan_files, scenes_select
from gair_jax.config import DataConfig
from gair_jax.input import store
from tests.builders.streetscapes import whole
from tests.standins import catalogue, photo_api


def test_the_tests_that_are_named_above_are_there():
    named = re.findall(r'^    (\w+\.py)::(\w+)$', __doc__, re.M)
    assert len(named) > 40
    folder = pathlib.Path(__file__).parent
    texts = {name: (folder / name).read_text(encoding='utf-8') for name, _ in named}
    assert not [test for name, test in named if f'def {test}(' not in texts[name]]


@pytest.fixture(scope='module')
def faultless(tmp_path_factory):
    """A build over services that never fail, of the photos that are there: its digest."""
    folder = tmp_path_factory.mktemp('faultless')
    with pytest.MonkeyPatch.context() as patch, services() as (scenes, photos):
        whole.table(folder / 'photos.csv')
        assert whole.here(patch, whole.command(folder, scenes.url, photos.url)) == 0
    return whole.digest(folder / 'prepared')


def gone_alone(name):
    """The fault of a photo: some are gone, and nothing else ever fails."""
    return 'gone' * (photo_api.by_hash(name) == 'gone')


def services(made=None, fault=gone_alone, **options):
    return whole.services(made, fault=fault, **options)


def every_third(answer):
    """Answers of which every third is a 503."""
    count = iter(range(10**9))

    def answering(*arguments):
        if next(count) % 3 == 2:
            return 503, {}, b'busy', 1.0
        return answer(*arguments)

    return answering


def test_every_third_request_fails_and_the_set_is_the_same(faultless, tmp_path, monkeypatch):
    whole.table(tmp_path / 'photos.csv')
    with services(fail_every=3) as (scenes, photos):
        monkeypatch.setattr(photos, 'answer', every_third(photos.answer))
        line = whole.command(tmp_path, scenes.url, photos.url)
        # Some have six failures in a row, which the same command tries again.
        codes = [1]
        while codes[-1] == 1 and len(codes) < 5:
            codes.append(whole.here(monkeypatch, line))
    assert codes[-1] == 0
    assert sum(status == 503 for *_, status, _ in scenes.log) * 3 >= len(scenes.log) - 3
    assert whole.digest(tmp_path / 'prepared') == faultless


FULL = {
    'plan': ('plan/plan.json', 1),
    'search': ('search/', 2),
    'select': ('select/', 3),
    'scenes': ('scenes/', 5),
    'how': ('how.json', 1),
    'photos': ('.jpg', 7),
    'pair': ('pair/', 2),
    'chunks': ('staging/chunk', 1),
    'set': ('default_photos', 1),
}


@pytest.mark.slow
@pytest.mark.parametrize('where', FULL)
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    faultless, tmp_path, monkeypatch, where
):
    whole.table(tmp_path / 'photos.csv')
    with services() as (scenes, photos):
        line = whole.command(tmp_path, scenes.url, photos.url)
        code, _, complained = whole.run(line, '--full={}:{}'.format(*FULL[where]))
        check_sentence(code, complained, 'No space left on device.$')
        assert not list((tmp_path / 'out').rglob('*.tif.part'))
        before = sum(photos.asked('facts').values())
        assert whole.here(monkeypatch, line) == 0
        assert where != 'photos' or before < 20  # it did not go on asking
    assert whole.digest(tmp_path / 'prepared') == faultless


def check_sentence(code, complained, words):
    assert code == 2, complained
    (line,) = complained.splitlines()
    assert line.startswith('gair: ') and re.search(words, line), line


@pytest.mark.slow
@pytest.mark.parametrize('stage', ['fetch-scenes', 'pack'])
def test_a_file_that_cannot_grow_is_one_sentence_and_leaves_no_part(
    faultless, tmp_path, monkeypatch, stage
):
    """The system itself refuses to write more: what a full disk does in the midst of a file."""
    whole.table(tmp_path / 'photos.csv')
    with services() as (scenes, photos):
        line = whole.command(tmp_path, scenes.url, photos.url)
        stages = build.STAGES[: build.STAGES.index(stage)]
        assert whole.here(monkeypatch, [*line, f'--stages={",".join(stages)}']) == 0
        # A date of a tile has 1 MB, the ledgers some 100 kB.
        code, _, complained = whole.run([*line, f'--stages={stage}'], '--largest=300000')
        check_sentence(code, complained, 'cannot be written: .*File too large')
        assert not list((tmp_path / 'out').rglob('*.part'))
        assert not list((tmp_path / 'out/scenes').rglob('*.tif')) or stage == 'pack'
        assert not list((tmp_path / 'prepared').glob('*/default_*'))
        assert whole.here(monkeypatch, line) == 0
    assert whole.digest(tmp_path / 'prepared') == faultless


@pytest.mark.slow
def test_a_page_that_fails_midway_leaves_nothing_of_the_search(
    faultless, tmp_path, monkeypatch, capsys
):
    whole.table(tmp_path / 'photos.csv')
    with services(page=2) as (scenes, photos):
        line = whole.command(tmp_path, scenes.url, photos.url)
        page, broken = catalogue._Handler._page, [True]

        def second(handler, asked):
            found = page(handler, asked)
            if 'token' in asked and broken[0]:
                return {'type': 'FeatureCollection', 'features': [], 'numberMatched': 3}
            return found

        monkeypatch.setattr(catalogue._Handler, '_page', second)
        assert whole.here(monkeypatch, [*line, '--stages=plan,search']) == 1
        assert '3 failed and may be had later' in capsys.readouterr().err
        assert not list((tmp_path / 'out/search').glob('*'))
        broken[0] = False
        assert whole.here(monkeypatch, line) == 0
    assert whole.digest(tmp_path / 'prepared') == faultless


@pytest.mark.slow
def test_a_city_whose_scenes_are_all_unreadable_is_dropped_and_the_others_stay(
    tmp_path, monkeypatch, capsys
):
    rows = whole.table(tmp_path / 'photos.csv')
    lon, lat, mgrs = whole.CITIES['lima']
    broken = [
        catalogue.scene_around(lon, lat, date, mgrs=mgrs, **fault)
        for date, fault in zip(
            whole.DATES, ({'absent': ('B03',)}, {'broken': ('B11',)}, {'absent': ('B12',)}),
            strict=True,
        )
    ]  # fmt: skip
    good = [scene for scene in whole.scenes() if scene.mgrs != mgrs]
    with services([*good, *broken]) as (scenes, photos):
        assert whole.here(monkeypatch, whole.command(tmp_path, scenes.url, photos.url)) == 0
    said = capsys.readouterr().out
    assert 'fetch-scenes: 6 kept, 3 dropped' in said
    assert 'pair: 12 photos, 12 views, 6 scenes, 6 dropped' in said
    reasons = {one.reason for one in book(tmp_path, 'fetch-scenes') if one.state == 'dropped'}
    assert any('2020-05-10 no such file' in reason for reason in reasons)
    assert any('2020-06-10 broken file' in reason for reason in reasons)
    dropped = pd.read_parquet(tmp_path / 'out/pair/dropped.parquet')
    assert dropped['reason'].tolist() == ['no scene of its tile'] * 6
    assert {rows.loc[key.partition(':')[2], 'city_id'] for key in dropped['key']} == {'lima'}
    assert scenes_select.select_path(tmp_path / 'out', 'lima_32718').exists()


def book(folder, stage):
    return ledger.merged((folder / 'out/ledgers').glob(f'{stage}-*.sqlite'))


def test_every_row_of_the_table_has_exactly_one_end(tmp_path, monkeypatch):
    """Left out by the plan, in reserve, gone, failed, removed, without a scene, or packed."""
    rows = whole.table(tmp_path / 'photos.csv')
    rows.loc[rows.index[5], 'lat'] = 84.5  # no tile is cut so near to the pole
    rows.reset_index().to_csv(tmp_path / 'photos.csv', index=False)
    (tmp_path / 'removed.txt').write_text(f'{rows.index[9]}\n')
    fault = lambda name: 'error' if name in rows.index[6:8] else photo_api.by_hash(name)  # noqa: E731
    seen = [one for one in whole.scenes() if one.mgrs != whole.CITIES['lima'][2]]
    with services(seen, fault) as (scenes, photos):
        more = ('--allow-failed', '--config.photos.tries=1', '--config.places.per_city=7')
        line = whole.command(tmp_path, scenes.url, photos.url, *more)
        line.append(f'--config.photos.removed={tmp_path / "removed.txt"}')
        assert whole.here(monkeypatch, line) == 0
    ends = ends_of(tmp_path)
    assert sorted(key for keys in ends.values() for key in keys) == sorted(
        f'mapillary:{name}' for name in rows.index
    )
    assert ends['plan'] == [f'mapillary:{rows.index[5]}'] and ends['removed']
    assert set(ends) == {
        'plan', 'reserve', 'gone', 'failed', 'removed', 'no scene of its tile', 'packed'
    }  # fmt: skip


def ends_of(folder):
    """Keys by what became of them, from the plan, the ledger, the pairs and the prepared set."""
    out, ends = folder / 'out', collections.defaultdict(list)
    ends['plan'] += plan_files.dropped(out)['key'].tolist()
    entries = list(book(folder, 'fetch-photos'))
    asked = {one.key for one in entries}
    planned = plan_files.photos(out)
    unasked = planned[~planned['key'].isin(asked)]
    assert unasked['reserve'].all()
    ends['reserve'] += unasked['key'].tolist()
    for one in entries:
        if one.state != 'kept':
            ends['removed' if one.reason == 'removed' else one.state].append(one.key)
    for row in pd.read_parquet(out / 'pair/dropped.parquet').itertuples():
        ends[row.reason].append(row.key)
    data = DataConfig(dir=str(folder / 'prepared'), name='streetscapes', variant='default')
    ends['packed'] += [photo.id for photo in store.Store(data).photos('train')]
    return ends
