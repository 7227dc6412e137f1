"""Two dates as one list of levels, for a decoder that knows nothing of time."""

import jax.numpy as jnp
from jaxtyping import Array

from gair_jax.config import InputError


def merge(first: list[Array], second: list[Array], strategy: str) -> list[Array]:
    """Levels [B, h, w, C] of both dates: `diff` second - first, `conc` both, [B, h, w, 2 C].

    Raises:
      InputError: another strategy.
    """
    pairs = list(zip(first, second, strict=True))
    if strategy == 'diff':
        return [later - earlier for earlier, later in pairs]
    if strategy == 'conc':
        return [jnp.concatenate(pair, axis=-1) for pair in pairs]
    raise InputError(f'strategy: expected diff or conc, found {strategy}.')
