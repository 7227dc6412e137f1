import numpy as np
import pytest
import scipy.stats
from sklearn.neighbors import BallTree

from gair_jax.config import InputError
from gair_jax.geo.sphere import great_circle_m
from gair_jax.scores.geo_bias import (
    Reading,
    SriParameters,
    SsiParameters,
    plus_minus,
    sri,
    ssi,
    ssi_readings,
)
from gair_jax.scores.geo_bias.background import background, density
from gair_jax.scores.geo_bias.neighbourhoods import nearest_lists
from tests.scores import geo_bias_oracle as oracle

MARKS = ('unmarked', 'zero_one', 'plus_minus')


def scattered(rng, n, *, middle=(12.0, 47.0), spread=3.0):
    return np.asarray(middle) + rng.uniform(-spread, spread, (n, 2))


def marks_of(kind, hits):
    return {'unmarked': None, 'zero_one': hits, 'plus_minus': plus_minus(hits)}[kind]


def readings(hits, **settings):
    return [
        Reading(SsiParameters(marks=kind, form=form, **settings), marks_of(kind, hits))
        for kind in MARKS
        for form in ('density', 'tail')
    ]


def scores_of(observed, values):
    """Density and tail form, by scipy.stats."""
    mean, variance = oracle.moments(*(x.tolist() for x in np.unique(values, return_counts=True)))
    sigma, low = np.sqrt(variance), min(observed, 2 * mean - observed)
    density_form = -np.log(scipy.stats.norm.pdf(observed, mean, sigma) + 1e-256)
    return density_form, -np.log(2 * scipy.stats.norm.cdf(low, mean, sigma + 1) + 1e-256)


@pytest.mark.parametrize('middle', [(12.0, 47.0), (-70.0, -33.0), (179.5, 0.5)])
def test_scores_are_those_of_the_definition(rng, middle):
    """Against full distance matrices and loops, wherever equal distances do not decide."""
    lonlat, hits = scattered(rng, 150, middle=middle), rng.integers(2, size=150)
    settings = {'radius_km': 170.0, 'neighbourhood': 25, 'weights': 4}
    centres, compared = np.arange(0, 150, 9), 0
    found = ssi_readings(lonlat, readings(hits, **settings), centres=centres)
    assert (found[0].n == 25).any() and (found[0].n < 25).any()
    for k, kind in enumerate(MARKS):
        marks = np.ones(150) if kind == 'unmarked' else marks_of(kind, hits).astype(float)
        for c, centre in enumerate(centres):
            (observed, other), values, n = oracle.morans_i(lonlat, marks, centre, **settings)
            assert found[2 * k].n[c] == n
            if np.isclose(observed, other):
                made = [found[2 * k].score[c], found[2 * k + 1].score[c]]
                np.testing.assert_allclose(made, scores_of(observed, values), rtol=1e-8)
                compared += 1
    assert compared > len(centres)  # of three times as many


def test_background_lies_in_rings_around_the_centre():
    centre, radius = np.deg2rad([-52.0, 151.0]), 0.04
    points = np.rad2deg(background(centre, radius, density(9, radius)))[:, ::-1]
    expected = oracle.rings(np.array([151.0, -52.0]), radius, 9)
    assert great_circle_m(points, expected).max() < 0.01


def test_a_turn_about_the_axis_changes_nothing(rng):
    lonlat, hits = scattered(rng, 60, middle=(0.0, -20.0)), rng.integers(2, size=60)
    turned = np.stack([(lonlat[:, 0] + 360 + 178.7) % 360 - 180, lonlat[:, 1]], axis=-1)
    one, other = (ssi_readings(places, readings(hits)) for places in (lonlat, turned))
    for a, b in zip(one, other, strict=True):
        # Rounding decides between equal distances, which touches few centres.
        assert np.isclose(a.score, b.score, rtol=1e-9, equal_nan=True).mean() > 0.9
        np.testing.assert_allclose(a.mean, b.mean, rtol=0.02)


def test_clustered_marks_score_higher_than_scattered_ones(rng):
    lonlat = scattered(rng, 200, spread=1.0)
    parameters = SsiParameters(radius_km=200, form='tail')
    east = (lonlat[:, 0] > 12).astype(int)
    clustered = ssi(lonlat, plus_minus(east), parameters)
    shuffled = ssi(lonlat, plus_minus(rng.permutation(east)), parameters)
    assert clustered.mean > 2 * shuffled.mean


def test_what_has_no_score_is_left_out_of_the_means(rng):
    """A lone sample, and a pair of wrong answers that look like background."""
    lonlat = np.array([[0.0, 0.0], [30.0, 0.0], [30.1, 0.1], [60.0, 0.0], [60.1, 0.1]])
    hits = np.array([1, 0, 0, 1, 1])
    found = ssi(lonlat, hits, SsiParameters(marks='zero_one'))
    assert found.n.tolist() == [1, 2, 2, 2, 2]
    assert np.isnan(found.score).tolist() == [True, True, True, False, False]
    assert found.defined == 2
    np.testing.assert_allclose([found.mean, found.weighted_mean], found.score[3:].mean())
    tail = ssi(lonlat, hits, SsiParameters(marks='zero_one', form='tail'))
    assert tail.defined == 5 and tail.score[1] == 0
    np.testing.assert_allclose(tail.weighted_mean, (tail.score @ tail.n) / 9)
    lone = ssi(lonlat, None, SsiParameters(marks='unmarked', radius_km=5))
    assert np.isnan([lone.mean, lone.weighted_mean]).all()


def test_the_neighbourhood_is_the_nearest_or_all_within_the_radius(rng):
    lonlat = scattered(rng, 80, spread=0.3)
    within = (great_circle_m(lonlat[:, None], lonlat[None]) < 30_000).sum(axis=1)
    settings = {'radius_km': 30.0, 'marks': 'unmarked'}
    every = ssi(lonlat, None, SsiParameters(neighbourhood=0, **settings))
    np.testing.assert_array_equal(every.n, within)
    few = ssi(lonlat, None, SsiParameters(neighbourhood=10, **settings))
    np.testing.assert_array_equal(few.n, np.minimum(within, 10))
    enough = ssi(lonlat, None, SsiParameters(neighbourhood=1000, **settings))
    np.testing.assert_allclose(enough.score, every.score)


@pytest.mark.parametrize('count', [1, 4, 7])
def test_ties_are_those_of_the_ball_tree(rng, count):
    """A grid, where most distances are equal, with places that hold up to 8 samples."""
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(15.0)), axis=-1).reshape(-1, 2)
    places = np.deg2rad(0.05 * np.concatenate([grid, grid[:20], np.repeat(grid[50:53], 7, axis=0)]))
    places = places[rng.permutation(len(places))]
    tree = BallTree(places, leaf_size=30, metric='haversine')
    expected = tree.query(places, k=count + 1, return_distance=False)
    found = nearest_lists(places, count)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(expected, axis=1))


def test_it_says_how_far_it_is(rng):
    lonlat, told = scattered(rng, 300), []
    parameters = SsiParameters(marks='unmarked')
    ssi(lonlat, None, parameters, progress=lambda *done: told.append(done))
    assert told == [(256, 300), (300, 300)]


@pytest.mark.slow
def test_several_processes_give_the_same(rng):
    lonlat, hits = scattered(rng, 300), rng.integers(2, size=300)
    cut = SriParameters(radius_km=200, scale_km=100, lag_km=50)
    one, two = (
        [ssi(lonlat, hits, SsiParameters(marks='zero_one'), workers=workers)]
        + list(sri(lonlat, hits, cut, workers=workers))
        for workers in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.score, b.score)


def test_a_score_says_its_parameters(rng):
    lonlat = scattered(rng, 9)
    found = ssi(lonlat, np.ones(9), SsiParameters(radius_km=80, form='tail'))
    for word in ('SSI', 'tail', '+1 right', '100 nearest', '80 km', '4 nearest neighbours'):
        assert word in found.description


GOOD = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
REFUSED = [
    (np.array([[0.0, 1], [2, 90.5], [4, 5]]), 'latitudes of -90..90.*found 90.5 in row 1'),
    (np.array([[0.0, 1], [2, 3], [np.nan, 5]]), r'finite degrees, found \[nan  5.\] in row 2'),
    (GOOD[:1], 'at least 2 places, found 1'),
    (GOOD[:2], r'marks: expected one for each of 2 places, found \[3\]'),
]


@pytest.mark.parametrize(('lonlat', 'match'), REFUSED)
def test_places_that_are_none_are_refused(lonlat, match):
    with pytest.raises(InputError, match=match):
        ssi(lonlat, np.array([1, -1, 1]), SsiParameters())


@pytest.mark.parametrize(
    ('kind', 'marks', 'match'),
    [
        ('plus_minus', np.array([1, 0, -1]), 'as 0 is the background, found 0 in row 1'),
        ('plus_minus', np.array([1.0, 1, np.nan]), 'found nan in row 2'),
        ('zero_one', np.array([-1, 0, 1]), r'0 \(wrong\) or 1 \(right\), found -1 in row 0'),
        ('zero_one', None, 'expected one a place'),
    ],
)
def test_marks_of_another_kind_are_refused(kind, marks, match):
    with pytest.raises(InputError, match=match):
        ssi(GOOD, marks, SsiParameters(marks=kind))


@pytest.mark.parametrize(
    ('settings', 'match'),
    [
        ({'radius_km': 0.0}, 'radius_km: expected more than 0'),
        ({'radius_km': float('nan')}, 'radius_km'),
        ({'radius_km': 10_008.0}, 'less than 10008'),
        ({'neighbourhood': -1}, 'neighbourhood: expected at least 0'),
        ({'weights': 0}, 'weights: expected at least 1'),
        ({'weights': 17}, 'weights: expected at most 16'),
        ({'marks': 'pm'}, 'marks: expected one of'),
        ({'form': 'log'}, "form: expected one of density, tail, found 'log'"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, match):
    with pytest.raises(InputError, match=match):
        SsiParameters(**settings)


def test_what_cannot_be_shared_or_found_is_refused():
    near, far = SsiParameters(marks='unmarked'), SsiParameters(marks='unmarked', radius_km=1)
    with pytest.raises(InputError, match='expected one radius'):
        ssi_readings(GOOD, [Reading(near), Reading(far)])
    with pytest.raises(InputError, match=r'centres: expected rows 0..2, found 3 in row 1'):
        ssi(GOOD, None, near, centres=np.array([0, 3]))
    with pytest.raises(InputError, match='centres: expected rows, found 0'):
        ssi(GOOD, None, near, centres=np.array([], int))
    with pytest.raises(InputError, match='found -1 in row 1'):
        plus_minus(np.array([1, -1]))
    with pytest.raises(InputError, match='workers'):
        ssi(GOOD, None, near, workers=0)
