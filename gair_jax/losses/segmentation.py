"""Losses of masks: cross entropy, weighted cross entropy and Dice, with ignored pixels.

  cross entropy = sum_p w[t_p] (-log softmax(logits_p)[t_p]) / sum_p w[t_p]  over valid pixels p
  Dice          = 1 - mean over images and classes of (2 I + eps) / (P + T + eps)

where I, P and T add up probability x truth, probability and truth over an image's pixels. These are
the losses of PANGAEA-Bench (Marsocci et al. 2024). Departure: a batch without a valid pixel gives
0 and a zero gradient here, and nan there.

A target that is neither a class nor `ignore` makes the cross entropy nan.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

EPS = 1e-6


def cross_entropy(
    logits: Float[Array, 'b h w k'], target: Integer[Array, 'b h w'], *, ignore: int
) -> Float[Array, '']:
    """Mean cross entropy of valid pixels, float32; 0 where there is none (the reference's is nan).

    Args:
      logits: of each class.
      target: classes 0..k-1, or `ignore` where the truth is unknown.
      ignore: may be negative, also for an unsigned target, which then has no ignored pixel.
    """
    ones = jnp.ones(logits.shape[-1], jnp.float32)
    return weighted_cross_entropy(logits, target, ones, ignore=ignore)


def weighted_cross_entropy(
    logits: Float[Array, 'b h w k'],
    target: Integer[Array, 'b h w'],
    weights: Float[Array, ' k'],
    *,
    ignore: int,
) -> Float[Array, '']:
    """`cross_entropy` with a weight > 0 for each class; divided by the weights of valid pixels.

    PANGAEA-Bench weights a class by 1 / its share of the pixels.
    """
    valid, label = _labels(target, ignore)
    k = logits.shape[-1]
    # Past the end there is nothing to take, and nan comes out; -1 would be the last class.
    label = jnp.where(label < 0, k, label)[..., None]
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    missed = -jnp.take_along_axis(log_p, label, axis=-1, mode='fill')[..., 0]
    weight = jnp.take(weights.astype(jnp.float32), label[..., 0], mode='fill', fill_value=1)
    weight = jnp.where(valid, weight, 0)
    total = jnp.sum(weight)
    return jnp.sum(weight * missed) / jnp.where(total > 0, total, 1)


def dice(
    logits: Float[Array, 'b h w k'],
    target: Integer[Array, 'b h w'],
    *,
    ignore: int,
    mask_probabilities: bool = False,
) -> Float[Array, '']:
    """1 - the mean Dice coefficient over classes and over images with a valid pixel, float32.

    Args:
      logits: of k classes (softmax), or k = 1, of the foreground (sigmoid).
      target: classes 0..k-1, or 0 and 1 for one logit; `ignore` where the truth is unknown.
      ignore: as in `cross_entropy`.
      mask_probabilities: leave ignored pixels out altogether. The reference does not: it masks the
        target alone, so that what is predicted at ignored pixels still counts in P.

    Returns:
      0..1; 0 without any valid pixel.
    """
    valid, label = _labels(target, ignore)
    p, truth = _probabilities(logits), _indicator(label, logits.shape[-1])
    truth = jnp.where(valid[..., None], truth, 0)
    if mask_probabilities:
        p = jnp.where(valid[..., None], p, 0)
    both, total = jnp.sum(p * truth, axis=(1, 2)), jnp.sum(p + truth, axis=(1, 2))
    has = jnp.any(valid, axis=(1, 2))
    overlap = jnp.mean((2 * both + EPS) / (total + EPS), axis=-1)
    return jnp.sum(jnp.where(has, 1 - overlap, 0)) / jnp.maximum(jnp.sum(has), 1)


def _labels(
    target: Integer[Array, 'b h w'], ignore: int
) -> tuple[Bool[Array, 'b h w'], Integer[Array, 'b h w']]:
    """Where the truth is known, and the class there, int32 (0 elsewhere)."""
    label = target.astype(jnp.int32)
    valid = label != ignore
    return valid, jnp.where(valid, label, 0)


def _probabilities(logits: Float[Array, 'b h w k']) -> Float[Array, 'b h w k']:
    logits = logits.astype(jnp.float32)
    return jax.nn.sigmoid(logits) if logits.shape[-1] == 1 else jax.nn.softmax(logits)


def _indicator(label: Integer[Array, 'b h w'], k: int) -> Float[Array, 'b h w k']:
    """1 at the class; of one logit, the truth itself."""
    if k == 1:
        return label[..., None].astype(jnp.float32)
    return jax.nn.one_hot(label, k, dtype=jnp.float32)
