"""Distillation to frozen encoders, by cosine (the authors' earlier code; off by default)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gair_jax.losses.info_nce import masked_mean
from gair_jax.losses.pairs import normalize


def distillation(
    student: Float[Array, 'b d'],
    teacher: Float[Array, 'b d'],
    *,
    weight: float,
    valid: Bool[Array, ' b'],
) -> Float[Array, '']:
    """-weight x mean cosine of student and teacher over valid rows; no gradient to the teacher."""
    frozen = jax.lax.stop_gradient(normalize(teacher))
    return -weight * masked_mean(jnp.sum(normalize(student) * frozen, axis=-1), valid)
