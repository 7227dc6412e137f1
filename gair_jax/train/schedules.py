"""Learning rates of the protocols that are compared with."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def multistep(
    rate: float, steps: int, *, at: tuple[float, ...] = (0.6, 0.9), factor: float = 0.1
) -> optax.Schedule:
    """PANGAEA-Bench's: `rate`, times `factor` from each of the steps int(share x steps) on.

    Args:
      rate: of the first step.
      steps: of the run.
      at: shares of the run.
      factor: of each drop.
    """
    drops = [int(share * steps) for share in at]

    def of_step(step: Any) -> jax.Array:
        passed = sum(jnp.where(step >= drop, 1, 0) for drop in drops)
        return jnp.asarray(rate * factor**passed, jnp.float32)

    return of_step
