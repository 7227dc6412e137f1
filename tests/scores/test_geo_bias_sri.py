import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.scores.geo_bias import SriParameters, sri
from gair_jax.scores.geo_bias.divergence import Histograms, bin_of, relative_information
from gair_jax.scores.geo_bias.partitions import direction_sectors, distance_lags
from tests.scores import geo_bias_oracle as oracle

SETTINGS = {'radius_km': 300.0, 'scale_km': 120.0, 'lag_km': 70.0, 'sectors': 6, 'threshold': 12}


def scattered(rng, n=400, *, middle=(12.0, 47.0), spread=(4.0, 3.0)):
    return np.asarray(middle) + rng.uniform(-1, 1, (n, 2)) * spread


def defined(lonlat, values, centres, **settings):
    """Scores [c, 3] by their definition."""
    settings = SETTINGS | settings
    least = settings.pop('threshold')
    return [
        oracle.relative_information(lonlat, values, centre, least=least, **settings)
        for centre in centres
    ]


@pytest.mark.parametrize('middle', [(12.0, 47.0), (-70.0, -33.0), (179.0, 0.3)])
def test_scores_are_those_of_the_definition(rng, middle):
    lonlat, hits = scattered(rng, middle=middle), rng.integers(2, size=400)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180  # the third set lies on both sides of 180
    centres = np.arange(0, 400, 37)
    found = sri(lonlat, hits, SriParameters(**SETTINGS), centres=centres)
    made = np.stack([scores.score for scores in found], axis=-1)
    expected = defined(lonlat, hits, centres)
    np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-12)
    assert all((scores.parts > 1).any() for scores in found)


def test_published_scores_have_bins_of_their_own(rng):
    """Where all are right in the east and nearly all are wrong in the west."""
    lonlat, centres = scattered(rng), np.arange(0, 400, 37)
    hits = np.where(lonlat[:, 0] > 12, 1.0, rng.random(400) < 0.1)
    found = sri(lonlat, hits, SriParameters(published=True, **SETTINGS), centres=centres)
    own, common = (
        np.array(defined(lonlat, hits, centres, own_range=own))[:, :2] for own in (True, False)
    )
    made = np.stack([scores.score for scores in found[:2]], axis=-1)
    np.testing.assert_allclose(made, own, rtol=1e-9, atol=1e-12)
    assert not np.isclose(own, common).all()  # some cells are all wrong


def test_mirrored_places_score_alike_unless_as_published(rng):
    """In the south the published directions are those of places mirrored in longitude."""
    lonlat, hits = scattered(rng, middle=(100.0, 30.0)), rng.integers(2, size=400)
    centres = np.arange(0, 400, 9)

    def scores(places, published):
        parameters = SriParameters(published=published, **(SETTINGS | {'sectors': 8}))
        found = sri(places, hits, parameters, centres=centres)
        return found.distance_lag.score, found.direction_sector.score

    for published in (False, True):
        (lag, sector), (lag_south, sector_south) = (
            scores(lonlat * [1, side], published) for side in (1, -1)
        )
        np.testing.assert_allclose(lag, lag_south, rtol=1e-9)
        alike = np.isclose(sector, sector_south, rtol=1e-9, atol=1e-12, equal_nan=True)
        assert alike.mean() < 0.2 if published else alike.all()


def test_published_sectors_turn_with_longitude_and_mirror_the_south(rng):
    """Eight sectors of 45 degrees: a centre at 90 degrees east turns them by two."""
    north = np.deg2rad(scattered(rng, 50, middle=(90.0, 40.0))[:, ::-1])
    centre = np.broadcast_to(np.deg2rad([40.0, 90.0]), north.shape)
    true, turned = (direction_sectors(centre, north, 8, published=x) for x in (False, True))
    np.testing.assert_array_equal(turned, (true - 2) % 8)
    centre, south = centre * [-1, 0], (north - [0, np.pi / 2]) * [-1, 1]
    mirrored = direction_sectors(centre, south * [1, -1], 8, published=False)
    np.testing.assert_array_equal(direction_sectors(centre, south, 8, published=True), mirrored)


def test_a_turn_about_the_axis_changes_nothing(rng):
    lonlat, hits = scattered(rng), rng.integers(2, size=400)
    turned = np.stack([lonlat[:, 0] + 167.3, lonlat[:, 1]], axis=-1)
    turned[:, 0] = (turned[:, 0] + 180) % 360 - 180
    assert np.ptp(turned[:, 0]) > 350
    centres = np.arange(0, 400, 9)
    one, other = (
        sri(places, hits, SriParameters(**SETTINGS), centres=centres) for places in (lonlat, turned)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.score, b.score, rtol=1e-9)


def test_longitudes_may_run_to_360(rng):
    lonlat, hits = scattered(rng, middle=(1.0, 10.0)), rng.integers(2, size=400)
    east = np.stack([lonlat[:, 0] % 360, lonlat[:, 1]], axis=-1)
    for a, b in zip(
        *(sri(x, hits, SriParameters(**SETTINGS)) for x in (lonlat, east)), strict=True
    ):
        np.testing.assert_allclose(a.score, b.score, rtol=1e-9)


WRONG_PART = 0.2 * np.log(0.2 / (1 + 1e-8)) + 0.8 * np.log(0.8 / 1e-8)
RIGHT_PART = 0.2 * np.log(0.2 / 1e-8) + 0.8 * np.log(0.8 / (1 + 1e-8))


@pytest.mark.parametrize(
    ('published', 'expected'),
    [(False, [WRONG_PART, RIGHT_PART]), (True, [RIGHT_PART, RIGHT_PART])],
)
def test_all_right_and_all_wrong_parts_differ_unless_as_published(published, expected):
    """Eight of ten are right; a part of the two wrong ones, or of two right ones, remains."""
    values = np.array([0.0] * 2 + [1.0] * 8)
    histograms = Histograms(values, 2, published)
    whole = histograms.counts(np.arange(10), np.zeros(10, int), 1)
    parts = histograms.counts(np.arange(4), np.array([0, 0, 1, 1]), 2)
    scores = [relative_information(whole, parts[None, k : k + 1], 2)[0][0] for k in range(2)]
    np.testing.assert_allclose(scores, np.array(expected) * 2 / 10)


def test_published_histograms_are_those_of_numpy_over_their_own_range(rng):
    values, groups = rng.normal(size=200).round(1), rng.integers(5, size=200)
    values[groups == 3] = 1.25
    counts = Histograms(values, 7, True).counts(np.arange(200), groups, 6)
    for group in range(5):
        np.testing.assert_array_equal(counts[group], np.histogram(values[groups == group], 7)[0])
    assert counts[5].sum() == 0


def test_common_bins_are_those_of_numpy_over_all_values(rng):
    values = np.concatenate([np.linspace(-1, 2, 31), rng.normal(size=99)])
    ends = [np.full(len(values), end) for end in (values.min(), values.max())]
    found = np.bincount(bin_of(values, *ends, 10), minlength=10)
    np.testing.assert_array_equal(found, np.histogram(values, 10)[0])


def test_a_distance_on_an_edge_belongs_to_the_lag_that_begins_there():
    """0.7 / 0.1 rounds to 6.999..., and 0.3 < 3 * 0.1 as numbers of float64."""
    lag = 0.1
    np.testing.assert_array_equal(distance_lags(lag * np.arange(50), lag, 50), np.arange(50))
    assert distance_lags(np.array([0.3, 5.0]), lag, 50).tolist() == [2, -1]
    below = np.nextafter(lag * np.arange(1, 50), 0)
    assert (np.floor(below / lag) == np.arange(1, 50)).any()  # the quotient rounds up to an edge
    np.testing.assert_array_equal(distance_lags(below, lag, 50), np.arange(49))


def test_rounding_of_a_quotient_adds_no_ring():
    assert SriParameters(radius_km=0.7, scale_km=0.1, lag_km=0.1).lags == 7
    assert SriParameters(radius_km=3 * 0.1, scale_km=0.1, lag_km=0.1).half_cells == 3
    assert SriParameters(radius_km=100, scale_km=30, lag_km=30).lags == 4


def test_a_centre_is_in_the_first_lag_and_in_no_sector():
    """Three places in three directions, and the centre twice."""
    lonlat = np.array([[0.0, 0], [0, 0], [0.1, 0.1], [0.1, -0.1], [-0.1, 0.01]])
    settings = {'radius_km': 50.0, 'scale_km': 50.0, 'lag_km': 5.0, 'sectors': 4, 'threshold': 1}
    found = sri(lonlat, np.array([1, 0, 1, 0, 1]), SriParameters(**settings), centres=np.array([0]))
    assert found.direction_sector.parts == 3
    np.testing.assert_allclose(found.direction_sector.kept, 3 / 5)
    np.testing.assert_allclose(found.distance_lag.kept, 1)


def test_the_score_of_a_data_set(rng):
    lonlat, hits = scattered(rng), rng.integers(2, size=400)
    found = sri(lonlat, hits, SriParameters(**(SETTINGS | {'threshold': 60}))).distance_lag
    known = found.parts > 0
    assert 0 < known.sum() < 400 and np.isnan(found.score[~known]).all()
    terms = found.score[known] * found.n[known]
    np.testing.assert_allclose(found.total, terms.sum() / 400)
    np.testing.assert_allclose(found.weighted_mean, terms.sum() / found.n[known].sum())
    np.testing.assert_allclose((found.normalised * found.kept)[known], found.score[known])
    assert np.isnan(found.normalised[~known]).all()


def test_a_score_says_its_parameters_and_its_partition(rng):
    found = sri(scattered(rng), np.zeros(400), SriParameters(**SETTINGS))
    words = found.scale_grid.description
    for word in ('SRI', 'common bins', '300 km', '120 km', '70 km', '6 sectors', 'scale_grid'):
        assert word in words
    assert 'as published' in SriParameters(published=True, **SETTINGS).describe()


@pytest.mark.parametrize(
    ('settings', 'match'),
    [
        ({'radius_km': -1.0}, 'radius_km: expected more than 0'),
        ({'scale_km': 0.0}, 'scale_km: expected more than 0 and at most the radius, 300, found 0'),
        ({'lag_km': 301.0}, 'lag_km'),
        ({'sectors': 0}, 'sectors: expected at least 1'),
        ({'threshold': 0}, 'threshold: expected at least 1'),
        ({'bins': 1}, 'bins: expected at least 2'),
    ],
)
def test_parameters_out_of_range_are_refused(settings, match):
    with pytest.raises(InputError, match=match):
        SriParameters(**(SETTINGS | settings))


@pytest.mark.parametrize(
    ('lonlat', 'values', 'match'),
    [
        ([[0.0, 1], [2, -91]], [0, 1], 'latitudes'),
        ([[0.0, 1], [2, np.inf]], [0, 1], 'finite degrees'),
        ([[0.0, 1]], [0], 'at least 2 places'),
        ([[0.0, 1], [2, 3]], [0, 1, 1], 'values: expected one for each of 2 places'),
        ([[0.0, 1], [2, 3]], [0, np.nan], 'values: expected finite numbers, found nan in row 1'),
    ],
)
def test_bad_input_is_refused(lonlat, values, match):
    with pytest.raises(InputError, match=match):
        sri(np.array(lonlat), np.array(values), SriParameters(**SETTINGS))
