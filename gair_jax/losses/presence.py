"""Learning where classes are met from places where they were: no absence is ever observed.

With nl(p) = -ln(p + 1e-5), C classes, scores p of a place where class y was seen and q of a place
drawn at random, a row of the loss is

  mean over classes k of (C nl(p_k) if k = y else nl(1 - p_k)) + weight x mean_k nl(1 - q_k)

(Mac Aodha, Cole and Perona 2019, equation 7). With users, the place's embedding e, that of the
random place e', the user's row u and the class weights K add nl(s(u.e)) + nl(1 - s(u.e')) and the
first mean once more with p = s(u K^T), s the sigmoid.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

FLOOR = 1e-5


def negative_log(p: Float[Array, '*n']) -> Float[Array, '*n']:
    """-ln(p + 1e-5)."""
    return -jnp.log(p + FLOOR)


def observed(p: Float[Array, 'b c'], label: Int[Array, ' b']) -> Float[Array, '']:
    """The mean over rows and classes, in which the class seen weighs as all others together."""
    classes = p.shape[-1]
    own = jax.nn.one_hot(label, classes, dtype=p.dtype)
    return jnp.mean(own * classes * negative_log(p) + (1 - own) * negative_log(1 - p))


def presence(
    p: Float[Array, 'b c'], q: Float[Array, 'm c'], label: Int[Array, ' b'], *, weight: float = 1.0
) -> Float[Array, '']:
    """The loss without users.

    Args:
      p: scores 0..1 of places where a class was seen.
      q: of random places.
      label: the class seen.
      weight: of the random places.
    """
    return observed(p, label) + weight * jnp.mean(negative_log(1 - q))


def user_presence(
    user: Float[Array, 'b d'],
    embedding: Float[Array, 'b d'],
    background: Float[Array, 'b d'],
    class_weights: Float[Array, 'd c'],
    label: Int[Array, ' b'],
) -> Float[Array, '']:
    """What users add to `presence`: where a user goes, and which classes they report.

    Args:
      user: row of the user of each observation.
      embedding: of its place.
      background: of a random place.
      class_weights: of the class scores.
      label: the class seen.
    """
    here = jax.nn.sigmoid(jnp.sum(user * embedding, axis=-1))
    away = jax.nn.sigmoid(jnp.sum(user * background, axis=-1))
    affinity = observed(jax.nn.sigmoid(user @ class_weights), label)
    return jnp.mean(negative_log(here)) + jnp.mean(negative_log(1 - away)) + affinity
