import dataclasses

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.scores.geo_bias import (
    CentreScores,
    Plan,
    SriParameters,
    SsiParameters,
    data_set_scores,
    plus_minus,
    sri,
    ssi,
)

SSI = SsiParameters(radius_km=200)
SRI = SriParameters(radius_km=200, scale_km=100, lag_km=50, threshold=5)


def scattered(rng, n=120):
    return rng.uniform([8, 44], [12, 48], (n, 2)), rng.random(n) < 0.6


@pytest.mark.parametrize('marks', ['plus_minus', 'zero_one'])
@pytest.mark.parametrize('centres', ['all', 'wrong'])
def test_scores_are_those_taken_one_by_one(rng, marks, centres):
    lonlat, right = scattered(rng)
    parameters = dataclasses.replace(SSI, marks=marks)
    found = data_set_scores(lonlat, right, Plan(ssi=parameters, sri=SRI, centres=centres))
    rows = np.arange(120) if centres == 'all' else np.flatnonzero(~right)
    given = plus_minus(right) if marks == 'plus_minus' else right
    expected = [
        ssi(lonlat, None, dataclasses.replace(SSI, marks='unmarked'), centres=rows),
        ssi(lonlat, given, parameters, centres=rows),
        *sri(lonlat, right.astype(float), SRI, centres=rows),
    ]
    assert list(found) == [
        'ssi_unmarked', 'ssi_marked', 'sri_scale_grid', 'sri_distance_lag', 'sri_direction_sector',
    ]  # fmt: skip
    for one, other in zip(found.values(), expected, strict=True):
        assert one.description == other.description
        np.testing.assert_array_equal(one.score, other.score)


def test_sri_may_compare_other_values(rng):
    lonlat, right = scattered(rng)
    values, cut = rng.normal(size=120), dataclasses.replace(SRI, bins=10)
    found = data_set_scores(lonlat, right, Plan(ssi=SSI, sri=cut), values=values)
    expected = sri(lonlat, values, cut)
    np.testing.assert_array_equal(found['sri_scale_grid'].score, expected.scale_grid.score)


def test_progress_counts_both_scores(rng):
    lonlat, right = scattered(rng, 300)
    told = []
    data_set_scores(lonlat, right, Plan(ssi=SSI, sri=SRI), progress=lambda *done: told.append(done))
    assert told == [(256, 600), (300, 600), (556, 600), (600, 600)]


def scores(values):
    return CentreScores('made', np.asarray(values, float), np.ones(len(values), int))


def test_the_interval_is_that_of_a_mean_and_leaves_out_what_has_no_score(rng):
    """For many centres it is the normal one: 1.96 standard errors to either side."""
    values = rng.gamma(2.0, size=2000)
    half = 1.96 * values.std() / np.sqrt(2000)
    for found in (scores(values), scores(np.append(values, [np.nan] * 50))):
        ends = found.mean - half, found.mean + half
        np.testing.assert_allclose(found.interval, ends, atol=0.15 * half)
    assert scores([3.0, 3.0, np.nan]).interval == (3.0, 3.0)
    assert np.isnan(scores([np.nan, np.nan]).interval).all()


def test_draws_of_the_same_centres_are_paired(rng):
    values = rng.normal(size=50)
    shift = scores(values + 2).draws() - scores(values).draws()
    np.testing.assert_allclose(shift, 2, rtol=1e-12)
    assert not np.allclose(scores(values).draws(1), scores(values).draws())


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(InputError, match='marks: expected zero_one or plus_minus, found unmarked'):
        Plan(ssi=SsiParameters(marks='unmarked'))
    with pytest.raises(InputError, match="centres: expected all or wrong, found 'right'"):
        Plan(ssi=SSI, centres='right')
    with pytest.raises(InputError, match='expected wrong answers to be centres, found none'):
        Plan(ssi=SSI, centres='wrong').rows(np.ones(3, bool))
