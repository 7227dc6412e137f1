import numpy as np
import pytest
import scipy.stats

from gair_jax.scores.geo_bias import surprisal
from gair_jax.scores.geo_bias.surprisal import Moments, moments, morans_sums
from tests.scores import geo_bias_oracle as oracle


def test_morans_i_of_a_path_of_four_points_by_hand():
    """Values 0 0 2 2, less their mean -1 -1 1 1; a point in its own list does not count."""
    lists = np.array([[0, 1], [0, 2], [1, 3], [3, 2]])
    values = np.array([[0.0, 0, 2, 2], [5.0, 5, 5, 5]])
    np.testing.assert_allclose(morans_sums(values, lists), [1 + (1 - 1) + (-1 + 1) + 1, 0])


def test_moments_of_two_values_by_hand():
    """Eight 0 and two 1; mean 0.2: apart by -0.2 and 0.8, and only the ones have a variance."""
    found = moments(np.array([0.0, 1.0]), np.array([8, 2]))
    mean = 0.04 * (4 * 8 * 7 / 10 - 1) + 0.64 * (4 * 2 / 10 - 1) - 2 * 0.16 * (4 * 16 / 10)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.variance, 8 * 2 / 10 * (1 - 4 * 3 / 30))


def test_moments_are_those_of_the_formulas_term_by_term(rng):
    values = np.array([-1.0, 0.0, 1.0, 3.0])
    counts = rng.integers(1, 40, size=(30, 4))
    expected = np.array([oracle.moments(values.tolist(), row.tolist()) for row in counts])
    found = moments(values, counts)
    np.testing.assert_allclose(np.stack(found, axis=-1), expected, rtol=1e-10)


def test_a_value_that_does_not_occur_changes_nothing():
    with_it = moments(np.array([-1.0, 0.0, 1.0]), np.array([[0, 50, 7], [7, 50, 0]]))
    without = moments(np.array([0.0, 1.0]), np.array([50, 7]))
    for both, one in zip(with_it, without, strict=True):
        np.testing.assert_allclose(both, one)


def test_of_equally_common_values_the_smallest_has_no_variance():
    """Of 0 and 1 three each, and one 3: terms of the ones and of ones and threes remain."""
    values, counts = [0.0, 1.0, 3.0], [3, 3, 1]
    found = moments(np.array(values), np.array(counts))
    np.testing.assert_allclose(found.variance, oracle.moments(values, counts)[1])
    other = moments(np.array([-3.0, -1.0, 0.0]), np.array([1, 3, 3]))  # mirrored: -1 is left out
    assert abs(other.variance - found.variance) > 0.1


def test_both_probabilities_are_those_of_the_normal_law():
    expected = Moments(np.array(-3.0), np.array(25.0))
    for observed in (-9.0, -3.0, 4.5):
        density = surprisal.density(np.array(observed), expected)
        np.testing.assert_allclose(density, scipy.stats.norm.pdf(observed, -3, 5), rtol=1e-12)
        beyond = 2 * scipy.stats.norm.sf(abs(observed + 3), scale=6)
        np.testing.assert_allclose(surprisal.tail(np.array(observed), expected), beyond, rtol=1e-12)


def test_no_surprisal_is_above_the_cap():
    far = surprisal.density(np.array(1e6), Moments(np.array(0.0), np.array(1.0)))
    np.testing.assert_allclose(surprisal.surprisal(far), 589.4618, atol=1e-4)


@pytest.mark.parametrize(('variance', 'tail'), [(0.0, 1.0), (-1.0, np.nan)])
def test_without_variance_there_is_no_density(variance, tail):
    expected = Moments(np.array(2.0), np.array(variance))
    assert np.isnan(surprisal.surprisal(surprisal.density(np.array(2.0), expected)))
    np.testing.assert_equal(float(surprisal.tail(np.array(2.0), expected)), tail)
