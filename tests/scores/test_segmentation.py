import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from gair_jax.config import InputError
from gair_jax.scores import segmentation
from gair_jax.scores.classification import class_scores
from gair_jax.scores.intervals import bootstrap
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


def masks(rng, n=6):
    target = rng.integers(3, size=(n, 5, 4)).astype(np.uint8)
    target[:, 0] = IGNORED
    return rng.integers(3, size=target.shape), target


def test_each_image_has_the_confusion_matrix_of_its_valid_pixels(rng):
    predicted, target = masks(rng)
    found = segmentation.confusions(predicted, target, 3)
    for matrix, p, t in zip(found, predicted, target, strict=True):
        # scikit-learn has the truth on rows.
        np.testing.assert_array_equal(matrix.T, confusion_matrix(t[1:].ravel(), p[1:].ravel()))


def test_chunks_give_the_matrices_of_the_whole_split(rng):
    predicted, target = masks(rng)
    chunks = ((predicted[i : i + 4], target[i : i + 4]) for i in (0, 4))
    whole = segmentation.confusions(predicted, target, 3)
    np.testing.assert_array_equal(segmentation.split_confusions(chunks, 3), whole)


def test_no_chunk_and_a_stray_class_are_refused(rng):
    with pytest.raises(InputError, match='at least one chunk'):
        segmentation.split_confusions([], 3)
    predicted, target = masks(rng)
    with pytest.raises(InputError, match='expected classes'):
        segmentation.confusions(predicted, target, 2)


def test_one_logit_is_foreground_above_a_half_and_many_take_the_largest():
    one = np.array([[-0.1], [0.0], [0.1]], np.float32)
    assert segmentation.predicted_classes(one).tolist() == [0, 0, 1]
    many = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]], np.float32)
    assert segmentation.predicted_classes(many).tolist() == [1, 0]


def test_constant_answers_on_three_quarters_background():
    """Closed forms: one class has its share as IoU, the other 0."""
    matrix = np.array([[40, 10], [35, 15]])
    made = segmentation.trivial(matrix, np.array([2, 3]))
    mean_iou = {name: float(class_scores(m).mean_iou) for name, m in made.items()}
    assert mean_iou == {'majority': 0.125, 'all_background': 0.375, 'all_foreground': 0.125}
    assert set(segmentation.trivial(np.eye(3, dtype=np.int64), np.ones(3, int))) == {'majority'}


def test_the_interval_of_images_equals_that_of_their_pixels(rng):
    predicted, target = masks(rng, n=12)
    matrices = segmentation.confusions(predicted, target, 3)
    groups = np.repeat(np.arange(6), 2)

    def of_pixels(images):
        valid = target[images] != IGNORED
        return jaccard_score(
            target[images][valid], predicted[images][valid], average='macro', labels=range(3)
        )

    ours = segmentation.interval(
        matrices, groups, lambda m: class_scores(m).mean_iou, resamples=30, seed=1
    )
    np.testing.assert_allclose(ours, bootstrap(of_pixels, groups, resamples=30, seed=1))
