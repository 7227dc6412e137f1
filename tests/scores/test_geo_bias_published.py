"""The published per-place scores of PyGBS: iNaturalist 2018, three of its location encoders.

Coordinates at hand are float32. Many distances are equal or nearly so, and then it is their last
digits that decide who is a neighbour: a score counts as reproduced where coordinates within that
rounding give it.
"""

import numpy as np
import pytest

from gair_jax.scores.geo_bias import Reading, SriParameters, SsiParameters, sri, ssi_readings
from gair_jax.scores.geo_bias.inputs import latlon_radians
from gair_jax.scores.geo_bias.neighbourhoods import ball_tree, nearest_within
from gair_jax.scores.geo_bias.parameters import EARTH_RADIUS_KM
from gair_jax.scores.geo_bias.sri import Cut
from tests.parity.geo_bias import any_sector
from tests.shared import shared

RADIUS = 0.05
SSI = {'radius_km': RADIUS * EARTH_RADIUS_KM, 'neighbourhood': 100, 'weights': 4, 'form': 'density'}
SRI = SriParameters(
    radius_km=SSI['radius_km'],
    scale_km=0.025 * EARTH_RADIUS_KM,
    lag_km=0.005 * EARTH_RADIUS_KM,
    published=True,
)
EVERY = 61  # of the rows; 400 centres
JITTERS = 30


@pytest.fixture(scope='module')
def published():
    with np.load(shared('data/locbench/geobias_inat_2018_val.npz'), allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope='module')
def lonlat(published):
    return np.stack([published['lon'], published['lat']], axis=-1)


def rows(lonlat):
    return np.arange(0, len(lonlat), EVERY)


def same(found, expected):
    """To what float32 keeps of the tables."""
    return np.isclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def scores(lonlat, hits, centres):
    """Unmarked and marked."""
    readings = [
        Reading(SsiParameters(marks='unmarked', **SSI)),
        Reading(SsiParameters(marks='zero_one', **SSI), hits),
    ]
    found = ssi_readings(lonlat, readings, centres=centres)
    return found[0].n, np.stack([one.score for one in found])


def rounded(lonlat, rng):
    """Coordinates that float32 rounds to these; what shares a place still does."""
    place = np.unique(lonlat, axis=0, return_inverse=True)[1].ravel()
    shift = rng.uniform(-0.5, 0.5, (place.max() + 1, 2))[place]
    return lonlat.astype(np.float64) + shift * np.spacing(np.abs(lonlat))


def without_contradiction(lonlat, hits, centres):
    """Centres in whose neighbourhood no place has a right and a wrong answer."""
    places = latlon_radians(lonlat)
    near = nearest_within(ball_tree(places), places[centres], RADIUS, SSI['neighbourhood'])
    key = np.unique(places, axis=0, return_inverse=True)[1].ravel()
    pair, hit = near.centre * (key.max() + 1) + key[near.row], hits[near.row]
    both = np.intersect1d(pair[hit == 1], pair[hit == 0])
    return ~np.isin(np.arange(len(centres)), both // (key.max() + 1))


@pytest.mark.parametrize('name', ['no_prior_coord', 'rbf', 'Sphere2Vec-sphereC'])
def test_ssi_is_that_of_the_tables(published, lonlat, name, rng):
    hits, centres = published[f'{name}/hit1'], rows(lonlat)
    expected = np.stack([published['unmarked'], published[f'{name}/marked']])[:, centres]
    n, found = scores(lonlat, hits, centres)
    np.testing.assert_array_equal(n, published['n'][centres])
    equal = same(found, expected)
    assert equal[0].mean() >= 0.975  # 98 % here
    clear = without_contradiction(lonlat, hits, centres)
    assert clear.sum() > 100 and equal[1, clear].mean() >= 0.98
    for _ in range(JITTERS):
        left = np.flatnonzero(~equal[0])
        if len(left):
            found = scores(rounded(lonlat, rng), hits, centres[left])[1]
            equal[0, left] = same(found[0], expected[0, left])
    assert equal[0].all()


@pytest.mark.parametrize('name', ['no_prior_coord', 'rbf'])
def test_sri_is_that_of_the_tables(published, lonlat, name):
    """Sectors up to the one that rounding puts the centre itself in, for the first 80.

    The highest scores are among them: there a part is all right or all wrong, and smoothing tells.
    The tables have 0 where no part is large enough and ours is not defined.
    """
    highest = np.argsort(published[f'{name}/sri_sc'], kind='stable')[-20:]
    hits, centres = published[f'{name}/hit1'], np.concatenate([rows(lonlat), highest])
    found = sri(lonlat, hits, SRI, centres=centres)
    np.testing.assert_allclose(found.scale_grid.n / len(lonlat), published['sri_weight'][centres])
    for part, key in ((found.scale_grid, 'sc'), (found.distance_lag, 'dst')):
        expected = published[f'{name}/sri_{key}'][centres]
        assert same(np.nan_to_num(part.score), expected).all()
    few = centres[:80]
    cut = Cut(latlon_radians(lonlat), hits.astype(np.float64), SRI)
    expected = published[f'{name}/sri_dr'][few]
    assert same(any_sector(cut, few), expected[:, None]).any(axis=1).all()
