"""Places to embeddings: random Fourier features at several scales (paper section 3.3; GeoCLIP)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError, LocationConfig
from gair_jax.geo.projection import equal_earth

# ReLU layers keep the size of their input with He et al. 2015; a product without ReLU with LeCun's.
RELU_WEIGHTS = nn.initializers.he_normal()
LAST_WEIGHTS = nn.initializers.lecun_normal()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocationSpec:
    """Sizes: frequency scale of each branch, frequencies a branch, hidden widths, output width."""

    sigma: tuple[float, ...]
    frequencies: int
    hidden: tuple[int, ...]
    embed_dim: int


def spec(config: LocationConfig, embed_dim: int) -> LocationSpec:
    """The checked location encoder of a config section; InputError names a field out of range."""
    sigma, hidden = tuple(config.sigma), tuple(config.hidden)
    if not sigma or min(sigma) <= 0:
        raise InputError(f'model.location.sigma: expected scales above 0, found {sigma}.')
    if hidden and min(hidden) < 1:
        raise InputError(f'model.location.hidden: expected widths of at least 1, found {hidden}.')
    if config.frequencies < 1:
        raise InputError(
            f'model.location.frequencies: expected at least 1, found {config.frequencies}.'
        )
    return LocationSpec(
        sigma=sigma, frequencies=config.frequencies, hidden=hidden, embed_dim=embed_dim
    )


class Branch(nn.Module):
    """The ReLU network of one scale."""

    spec: LocationSpec

    @nn.compact
    def __call__(self, x: Float[Array, 'n f']) -> Float[Array, 'n d']:
        """Fourier features to this scale's share of the embedding."""
        for i, width in enumerate(self.spec.hidden):
            x = jax.nn.relu(nn.Dense(width, kernel_init=RELU_WEIGHTS, name=f'hidden_{i}')(x))
        return nn.Dense(self.spec.embed_dim, kernel_init=LAST_WEIGHTS, name='out')(x)


class LocationEncoder(nn.Module):
    """Equal Earth, then per scale cos and sin of random projections and a network; summed.

    The branches are stacked: every leaf has the scale as its first axis. `frequencies` are drawn
    once and never trained.
    """

    spec: LocationSpec

    @nn.compact
    def __call__(self, lonlat: Float[Array, 'n 2']) -> dict[str, Array]:
        """Encodes places, degrees, longitude first.

        Returns:
          embedding [N, D]; on the way to it projected [N, 2], rff [S, N, 2 F] (cosines first) and
          levels [S, N, D], the share of each scale.
        """
        frequencies = self.param('frequencies', self._draw)
        projected = equal_earth(lonlat.astype(jnp.float32), xp=jnp)
        rff = fourier_features(projected, jax.lax.stop_gradient(frequencies))
        branches = nn.vmap(Branch, variable_axes={'params': 0}, split_rngs={'params': True})
        levels = branches(self.spec, name='branches')(rff)
        return {
            'embedding': jnp.sum(levels, axis=0),
            'projected': projected,
            'rff': rff,
            'levels': levels,
        }

    def _draw(self, key: Array) -> Float[Array, 's f 2']:
        sigma = np.asarray(self.spec.sigma, np.float32)[:, None, None]
        normal = jax.random.normal(key, (len(sigma), self.spec.frequencies, 2))
        return jnp.asarray(sigma) * normal


def fourier_features(
    projected: Float[Array, 'n 2'], frequencies: Float[Array, 's f 2']
) -> Float[Array, 's n g']:
    """[cos, sin] of 2 pi times the projections of places on each frequency.

    True float32 whatever the matmul default: at sigma 256 bfloat16 operands leave only noise.
    """
    phase = jnp.einsum(
        'nk,sfk->snf', 2 * jnp.pi * projected, frequencies, precision=jax.lax.Precision.HIGHEST
    )
    return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)
