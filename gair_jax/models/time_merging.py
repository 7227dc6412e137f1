"""Several dates as one: each level [B, T, h, w, C] merged to [B, h, w, C] before the decoder."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError
from gair_jax.models.ltae import Ltae, LtaeSpec
from gair_jax.models.upernet import WEIGHTS


class LinearTime(nn.Module):
    """One weight a date and one bias, for all levels, channels and pixels; T is fixed by them."""

    @nn.compact
    def __call__(self, levels: list[Array]) -> list[Array]:
        """The merged levels."""
        kernel = self.param('kernel', WEIGHTS, (levels[0].shape[1], 1))
        bias = self.param('bias', nn.initializers.zeros, (1,))
        return [jnp.einsum('bthwc,t->bhwc', x, kernel[:, 0]) + bias[0] for x in levels]


class LtaeTime(nn.Module):
    """One L-TAE shared by the levels; each level's call updates its running statistics."""

    spec: LtaeSpec

    @nn.compact
    def __call__(
        self,
        levels: list[Array],
        days: Float[Array, 'b t'] | None = None,
        padded: Bool[Array, 'b t'] | None = None,
        train: bool = False,
    ) -> list[Array]:
        """The merged levels; arguments as of `Ltae.attend`.

        Raises:
          InputError: levels of different widths.
        """
        widths = sorted({x.shape[-1] for x in levels})
        if len(widths) > 1:
            raise InputError(f'levels: L-TAE expects one width, found {widths}.')
        shared = Ltae(self.spec, name='ltae')
        return [shared(x, days, padded, train) for x in levels]
