import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import log_loss

from gair_jax.losses.segmentation import cross_entropy, dice, weighted_cross_entropy


def draw(k=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = jnp.asarray(rng.normal(size=(2, 4, 5, k)), jnp.float32)
    target = rng.integers(max(k, 2), size=(2, 4, 5))
    target[0, :2] = -1
    return logits, target


def valid_rows(logits, target):
    p = np.asarray(jax.nn.softmax(logits), np.float64)[target != -1]
    return p / p.sum(axis=1, keepdims=True), target[target != -1]


def test_cross_entropy_is_that_of_scikit_learn_on_valid_pixels():
    logits, target = draw()
    p, label = valid_rows(logits, target)
    ours = cross_entropy(logits, jnp.asarray(target), ignore=-1)
    np.testing.assert_allclose(ours, log_loss(label, p, labels=[0, 1, 2]), rtol=1e-6)


def test_weights_divide_by_the_weights_of_valid_pixels():
    logits, target = draw()
    weights = np.array([1.0, 4.0, 0.5])
    p, label = valid_rows(logits, target)
    expected = log_loss(label, p, labels=[0, 1, 2], sample_weight=weights[label])
    ours = weighted_cross_entropy(
        logits, jnp.asarray(target), jnp.asarray(weights, jnp.float32), ignore=-1
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize('loss', [cross_entropy, dice])
def test_a_batch_without_valid_pixel_gives_zero_and_no_gradient(loss):
    logits, target = draw()
    value, grad = jax.value_and_grad(loss)(logits, jnp.full(target.shape, -1), ignore=-1)
    assert value == 0
    assert not np.any(grad)


def test_unsigned_targets_are_read_as_numbers():
    logits, target = draw()
    stored = jnp.asarray(np.where(target < 0, 255, target), jnp.uint8)
    np.testing.assert_array_equal(
        cross_entropy(logits, stored, ignore=255),
        cross_entropy(logits, jnp.asarray(target), ignore=-1),
    )


@pytest.mark.parametrize('stray', [3, -2])
def test_a_stray_target_makes_the_cross_entropy_nan(stray):
    logits, target = draw()
    target[1, 0, 0] = stray
    assert np.isnan(cross_entropy(logits, jnp.asarray(target), ignore=-1))


def dice_oracle(p, target, mask_probabilities):
    """Pixel by pixel: the definition."""
    coefficients = []
    for b in range(len(p)):
        for k in range(p.shape[-1]):
            valid = target[b] != -1
            truth = (target[b] == (k if p.shape[-1] > 1 else 1)) & valid
            total = p[b][valid, k].sum() if mask_probabilities else p[b][..., k].sum()
            coefficients.append((2 * p[b][truth, k].sum() + 1e-6) / (total + truth.sum() + 1e-6))
    return 1 - np.mean(coefficients)


@pytest.mark.parametrize('k', [1, 3])
@pytest.mark.parametrize('mask_probabilities', [False, True])
def test_dice_with_and_without_ignored_pixels(k, mask_probabilities):
    logits, target = draw(k)
    p = np.asarray(jax.nn.sigmoid(logits) if k == 1 else jax.nn.softmax(logits), np.float64)
    ours = dice(logits, jnp.asarray(target), ignore=-1, mask_probabilities=mask_probabilities)
    np.testing.assert_allclose(ours, dice_oracle(p, target, mask_probabilities), rtol=1e-5)


def test_an_image_without_valid_pixel_is_left_out_of_dice():
    logits, target = draw()
    target[0] = -1
    both = dice(logits, jnp.asarray(target), ignore=-1)
    np.testing.assert_allclose(both, dice(logits[1:], jnp.asarray(target[1:]), ignore=-1))


def test_masked_probabilities_have_no_gradient_at_ignored_pixels():
    logits, target = draw()
    slope = jax.grad(dice)
    ignored = target == -1
    masked = slope(logits, jnp.asarray(target), ignore=-1, mask_probabilities=True)
    plain = slope(logits, jnp.asarray(target), ignore=-1)
    assert not np.any(np.asarray(masked)[ignored])
    assert np.any(np.asarray(plain)[ignored])
