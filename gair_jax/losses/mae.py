"""The loss of masked autoencoding (He et al. 2022, section 3; the paper's MAE ablation)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def normalize_patches(target: Float[Array, '*patches p']) -> Float[Array, '*patches p']:
    """Each patch minus its mean, over sqrt(variance + 1e-6), the variance unbiased."""
    mean = jnp.mean(target, axis=-1, keepdims=True)
    variance = jnp.var(target, axis=-1, keepdims=True, ddof=1)
    return (target - mean) / jnp.sqrt(variance + 1e-6)


def patch_errors(
    pred: Float[Array, 'b n p'],
    target: Float[Array, 'b n p'],
    mask: Float[Array, 'b n'],
    *,
    norm_pixels: bool = False,
) -> tuple[Float[Array, ' b'], Float[Array, ' b']]:
    """Of each row: the sum over masked patches of a patch's mean squared error, and their number.

    Args:
      pred: predicted pixels of each patch.
      target: true pixels of each patch.
      mask: 1 where the patch was hidden from the encoder, 0 where it was seen.
      norm_pixels: compare with `normalize_patches(target)`.
    """
    if norm_pixels:
        target = normalize_patches(target)
    error = jnp.mean((pred.astype(jnp.float32) - target) ** 2, axis=-1)
    return jnp.sum(error * mask, axis=1), jnp.sum(mask, axis=1)


def mae_loss(
    errors: Float[Array, ' b'], patches: Float[Array, ' b'], *, valid: Bool[Array, ' b']
) -> Float[Array, '']:
    """Mean error of a masked patch over valid rows, from `patch_errors`; without any row 0."""
    total = jnp.sum(jnp.where(valid, errors, 0))
    return total / jnp.maximum(jnp.sum(jnp.where(valid, patches, 0)), 1)
