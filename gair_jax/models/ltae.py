"""L-TAE: a learned query for each head attends to the dates of a pixel (Garnot & Landrieu 2020).

norm -> linear -> keys and scores over dates -> mean of the values, which are channel slices ->
linear, batch norm, ReLU -> norm. PANGAEA's form (the default) has group norms, whose statistics go
over all dates, padded ones included; the first form, `norms='layer'`, has layer norms.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError
from gair_jax.models.batch_norm import BatchNorm

PADDED_SCORE = -1000.0  # the reference's, finite: a pixel whose dates are all padded gets a mean
PERIOD = 1000.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LtaeSpec:
    """Sizes and settings.

    Attributes:
      width: channels between the input's linear layer and the heads.
      mlp: widths after the heads.
      heads, key_dim: heads, which divide all widths where norms are by group; width of a key.
      norms: 'group' (as many groups as heads) or 'layer' for the first and the last norm.
      inner_norm: a norm over dates and channels after the input's linear layer; fixes T.
      positions: add sinusoids of the days.
      dropout, attention_dropout: rates in training.
    """

    width: int = 768
    mlp: tuple[int, ...] = (768,)
    heads: int = 16
    key_dim: int = 4
    norms: str = 'group'
    inner_norm: bool = False
    positions: bool = False
    dropout: float = 0.2
    attention_dropout: float = 0.1


# The module of the 2020 repository.
ORIGINAL = LtaeSpec(
    width=256, mlp=(128,), key_dim=8, norms='layer', inner_norm=True, positions=True
)


def day_sinusoids(days: Float[Array, 'b t'], width: int, heads: int) -> Float[Array, 'b t d']:
    """Angles day / 1000^(2 floor(j / 2) / d), sine on even j, cosine on odd, tiled over heads."""
    d = width // heads
    j = jnp.arange(d)
    angle = days[..., None] / (PERIOD ** (2 * (j // 2) / d))[None, None]
    table = jnp.where((j % 2 == 0)[None, None], jnp.sin(angle), jnp.cos(angle))
    return jnp.tile(table, (1, 1, heads))


class Ltae(nn.Module):
    """Merges the time axis; in float32."""

    spec: LtaeSpec

    def __call__(
        self,
        x: Float[Array, 'b t h w c'],
        days: Float[Array, 'b t'] | None = None,
        padded: Bool[Array, 'b t'] | None = None,
        train: bool = False,
    ) -> Float[Array, 'b h w d']:
        """See `attend`."""
        return self.attend(x, days, padded, train)[0]

    @nn.compact
    def attend(
        self,
        x: Float[Array, 'b t h w c'],
        days: Float[Array, 'b t'] | None = None,
        padded: Bool[Array, 'b t'] | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, 'b h w d'], Float[Array, 'k b t h w']]:
        """The merged map, and each head's weights of the dates.

        Args:
          x: features of each date.
          days: number of each date's day, any origin; needed for positions alone.
          padded: dates that no query attends to.
          train: dropout (stream 'dropout') and the batch's statistics.

        Raises:
          InputError: positions without days.
        """
        spec, (b, t, h, w, _) = self.spec, x.shape
        pixels = x.astype(jnp.float32).transpose(0, 2, 3, 1, 4).reshape(b * h * w, t, -1)
        y = nn.Dense(spec.width, name='inner')(self._norm('in_norm')(pixels))
        if spec.inner_norm:
            axes = (-2, -1)
            norm = nn.LayerNorm(1e-5, reduction_axes=axes, feature_axes=axes, name='inner_norm')
            y = norm(y)
        if spec.positions:
            if days is None:
                raise InputError('days: expected a day of each date for positions, found none.')
            table = day_sinusoids(days, spec.width, spec.heads)
            y = y + jnp.repeat(table, h * w, axis=0)
        mask = None if padded is None else jnp.repeat(padded, h * w, axis=0)
        merged, weights = self._heads(y, mask, train)
        out = self._norm('out_norm')(self._mlp(merged, train))
        kept = weights.reshape(b, h, w, t, spec.heads).transpose(4, 0, 3, 1, 2)
        return out.reshape(b, h, w, -1), kept

    def _norm(self, name: str) -> nn.Module:
        if self.spec.norms == 'layer':
            return nn.LayerNorm(1e-5, use_fast_variance=False, name=name)
        return nn.GroupNorm(self.spec.heads, epsilon=1e-5, use_fast_variance=False, name=name)

    def _heads(self, y: Array, mask: Array | None, train: bool) -> tuple[Array, Array]:
        heads, width = self.spec.heads, self.spec.key_dim
        start = nn.initializers.normal((2 / width) ** 0.5)
        query = self.param('query', start, (heads, width))
        keys = nn.Dense(heads * width, kernel_init=start, name='key')(y)
        keys = keys.reshape(*y.shape[:2], heads, width)
        scores = jnp.einsum('ntkd,kd->ntk', keys, query) / width**0.5
        if mask is not None:
            scores = jnp.where(mask[..., None], PADDED_SCORE, scores)
        weights = jax.nn.softmax(scores, axis=1)
        weights = nn.Dropout(self.spec.attention_dropout, deterministic=not train)(weights)
        values = y.reshape(*y.shape[:2], heads, -1)
        return jnp.einsum('ntk,ntkd->nkd', weights, values).reshape(len(y), -1), weights

    def _mlp(self, y: Array, train: bool) -> Array:
        for i, width in enumerate(self.spec.mlp):
            y = nn.Dense(width, name=f'mlp_{i}')(y)
            y = nn.relu(BatchNorm(name=f'mlp_norm_{i}')(y, train))
        return nn.Dropout(self.spec.dropout, deterministic=not train)(y)
