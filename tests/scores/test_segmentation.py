import numpy as np

from gair_jax.scores.segmentation import IGNORED, class_shares


def test_shares_of_a_hand_made_mask():
    mask = np.array([[0, 0, 1, 1], [0, 2, 1, 1], [2, 2, 0, 1], [2, 2, IGNORED, IGNORED]])
    shares = class_shares(mask, (2, 2), 3)
    expected = [[[0.75, 0, 0.25], [0, 1, 0]], [[0, 0, 1], [0.5, 0.5, 0]]]
    np.testing.assert_allclose(shares, expected)


def test_an_unknown_patch_is_nan():
    shares = class_shares(np.full((4, 4), IGNORED, np.uint8), (2, 2), 2)
    assert np.isnan(shares).all()


def test_shares_sum_to_one_on_a_grid_that_does_not_divide(rng):
    mask = rng.integers(4, size=(13, 10))
    shares = class_shares(mask, (3, 4), 4)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-6)


def test_shares_are_the_mean_of_the_indicator(rng):
    mask = rng.integers(3, size=(12, 12))
    one = (mask == 1).reshape(3, 4, 3, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(class_shares(mask, (3, 3), 3)[..., 1], one, rtol=1e-6)
