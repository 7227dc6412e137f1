import numpy as np

from gair_jax.transfer import floors

SUBSETS = np.array([[True, True, True, False], [False, False, True, True]])


def test_the_commonest_class_of_the_rows_that_are_fitted():
    found = floors.constant(np.array([2, 2, 0, 0]), SUBSETS, 3)
    np.testing.assert_array_equal(found, [[2, 2, 2], [0, 0, 0]])


def test_the_mean_of_the_rows_that_are_fitted():
    targets = np.array([[0.0, 1.0], [3.0, 1.0], [6.0, 1.0], [8.0, 3.0]])
    found = floors.constant(targets, SUBSETS, 2)
    np.testing.assert_allclose(found, [[[3, 1], [3, 1]], [[7, 2], [7, 2]]])


def test_what_is_true_at_the_nearest_place_that_is_fitted():
    places = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    lonlat = np.array([[1.0, 0.5], [29.0, 0.0]])
    found = floors.nearest(np.array([5, 6, 7, 8]), SUBSETS, places, lonlat)
    np.testing.assert_array_equal(found, [[5, 7], [7, 8]])
    values = floors.nearest(places, SUBSETS, places, lonlat)
    np.testing.assert_allclose(values[0], [[0, 0], [20, 0]])
