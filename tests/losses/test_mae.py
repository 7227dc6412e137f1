import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.losses.mae import mae_loss, normalize_patches, patch_errors


def loss(pred, target, mask, *, valid, norm_pixels=False):
    return mae_loss(*patch_errors(pred, target, mask, norm_pixels=norm_pixels), valid=valid)


def draw():
    rng = np.random.default_rng(0)
    pred, target = jnp.float32(rng.normal(size=(2, 3, 5, 8)))
    return pred, target, jnp.float32(rng.random((3, 5)) < 0.6)


def test_mean_over_masked_patches_of_valid_rows():
    pred, target, mask = draw()
    valid = np.array([True, False, True])
    errors = [
        np.mean((pred[b, n] - target[b, n]) ** 2) for b in (0, 2) for n in range(5) if mask[b, n]
    ]
    ours = loss(pred, target, mask, valid=jnp.asarray(valid))
    np.testing.assert_allclose(ours, np.mean(errors), rtol=1e-6)


def test_normalised_targets_have_unbiased_variance():
    pred, target, mask = draw()
    t = np.asarray(target, np.float64)
    expected = (t - t.mean(-1, keepdims=True)) / np.sqrt(t.var(-1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(normalize_patches(target), expected, atol=1e-6)
    every = jnp.ones(3, bool)
    ours = loss(pred, target, mask, valid=every, norm_pixels=True)
    theirs = loss(pred, jnp.float32(expected), mask, valid=every)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_flat_patch_is_finite_and_no_row_gives_zero():
    flat = jnp.ones((3, 5, 8))
    assert (normalize_patches(flat) == 0).all()
    pred, target, mask = draw()
    nothing = jnp.zeros(3, bool)
    value, grad = jax.value_and_grad(lambda p: loss(p, target, mask, valid=nothing))(pred)
    assert value == 0 and (grad == 0).all()
