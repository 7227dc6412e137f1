"""The loss of masked autoencoding (He et al. 2022, section 3; the paper's MAE ablation)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def normalize_patches(target: Float[Array, '*patches p']) -> Float[Array, '*patches p']:
    """Each patch minus its mean, over sqrt(variance + 1e-6), the variance unbiased."""
    mean = jnp.mean(target, axis=-1, keepdims=True)
    variance = jnp.var(target, axis=-1, keepdims=True, ddof=1)
    return (target - mean) / jnp.sqrt(variance + 1e-6)


def mae_loss(
    pred: Float[Array, 'b n p'],
    target: Float[Array, 'b n p'],
    mask: Float[Array, 'b n'],
    *,
    valid: Bool[Array, ' b'],
    norm_pixels: bool = False,
) -> Float[Array, '']:
    """Mean over the masked patches of valid rows of a patch's mean squared error.

    Args:
      pred: predicted pixels of each patch.
      target: true pixels of each patch.
      mask: 1 where the patch was hidden from the encoder, 0 where it was seen.
      valid: rows that have the image at all; without any the loss is 0.
      norm_pixels: compare with `normalize_patches(target)`.
    """
    if norm_pixels:
        target = normalize_patches(target)
    error = jnp.mean((pred.astype(jnp.float32) - target) ** 2, axis=-1)
    weight = jnp.where(valid[:, None], mask, 0)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1)
