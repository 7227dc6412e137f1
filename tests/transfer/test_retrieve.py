import numpy as np
import pytest

from gair_jax.transfer import retrieve
from tests.transfer import fakes


def _evaluate(model, grid=32, **sizes):
    pipeline, store, chosen = fakes.scene(**sizes)
    return retrieve.evaluate(model, {}, pipeline, store, chosen, grid=grid, seed=0)


@pytest.fixture(scope='module')
def seen():
    return _evaluate(fakes.Oracle())


@pytest.fixture(scope='module')
def blind():
    return _evaluate(fakes.Oracle(sees=False))


def test_a_model_that_knows_the_place_finds_it_within_a_grid_cell(seen):
    scores, evidence = seen
    cell = 10 * fakes.SIDE / 32
    assert scores['place_error_m'] < cell
    assert evidence.places.error_m.max() < cell
    assert scores['place_error_interval'][1] < cell


def test_and_retrieves_every_photo(seen):
    scores, evidence = seen
    assert scores['retrieval_at_1'] == scores['within_tile_at_1'] == 1.0
    assert scores['median_rank'] == 1.0
    assert (evidence.ranks == 1).all()
    assert scores['n_candidates'] == 96 and scores['n_tiles'] == 12
    assert scores['within_tile_chance'] == 0.125 and scores['chance'] == 1 / 96


def test_photos_of_other_tiles_do_not_find_the_place(seen):
    scores, _ = seen
    assert scores['shuffled_error_m'] > scores['centre_error_m'] > 10 * scores['place_error_m']


def test_centre_guess_has_the_error_of_the_uniform_law(seen):
    """The median distance of a uniform point of a square of side s from its centre is
    s / sqrt(2 pi): where the disc around the centre holds half of the square."""
    expected = 10 * fakes.SIDE / np.sqrt(2 * np.pi)
    assert seen[0]['centre_error_m'] == pytest.approx(expected, rel=0.15)


def test_a_blind_model_answers_the_centre_and_retrieves_nothing(blind):
    scores, _ = blind
    assert scores['place_error_m'] == pytest.approx(scores['centre_error_m'], rel=1e-6)
    assert scores['retrieval_at_1'] == scores['retrieval_at_1_window'] == 0.0
    assert scores['retrieval_at_1_pooled'] == 0.0


def test_colours_that_say_nothing_do_not_beat_the_centre(seen):
    assert seen[0]['colour_error_m'] >= 0.9 * seen[0]['centre_error_m']


def test_without_nili_there_is_no_place():
    model = fakes.Oracle()
    model.config.model.nili.kind = 'mean'
    scores, evidence = _evaluate(model, n_tiles=3)
    assert 'place_error_m' not in scores and evidence.places is None
    assert any('without NILI' in text for text in retrieve.remarks(scores))


def test_one_tile_has_no_photos_of_other_tiles():
    scores, _ = _evaluate(fakes.Oracle(), n_tiles=1)
    assert scores['shuffled_error_m'] is None


def test_remarks_name_what_limits_the_scores(seen):
    scores = {**seen[0], 'left_out_near_border': 7, 'xy_uniform': False}
    text = ' '.join(retrieve.remarks(scores))
    for part in ('Only 96', '7 test photos', 'crowd'):
        assert part in text
