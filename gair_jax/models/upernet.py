"""UPerNet: per-pixel classes from the levels of an encoder (Xiao et al. 2018, PANGAEA's form).

A neck makes a pyramid of x4, x2, x1, x0.5 from equal grids; the last level is pooled at several
sizes; a top-down path adds each level to the one above; all are joined at the first level's size.
Resizes are bilinear at half-pixel centres. Weights start as convolutions of PyTorch do, with zero
biases.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError
from gair_jax.models.batch_norm import BatchNorm
from gair_jax.models.transformer import DTYPES, gelu

# Uniform within 1 / sqrt(fan in).
WEIGHTS = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
RESCALES = (4, 2, 1, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UPerNetSpec:
    """Sizes and settings.

    Attributes:
      classes: logits a pixel; a binary task may use 1.
      channels: width of all that follows the neck.
      pools: sizes to which the last level is pooled.
      pyramid: the levels are a pyramid already, and the neck leaves them alone.
      dropout: rate at which whole channels are dropped in training.
      dtype: compute type; parameters, statistics and logits are float32.
    """

    classes: int
    channels: int = 512
    pools: tuple[int, ...] = (1, 2, 3, 6)
    pyramid: bool = False
    dropout: float = 0.1
    dtype: str = 'float32'

    def rescale(self, level: int, levels: int) -> float:
        """The factor by which the neck resizes a level."""
        return 1 if self.pyramid else RESCALES[4 * level // levels]


def resize(x: Float[Array, 'b h w c'], size: tuple[int, ...]) -> Float[Array, 'b i j c']:
    """Bilinear to (rows, columns) at half-pixel centres, edges clamped, without antialiasing."""
    return jax.image.resize(x, (len(x), *size, x.shape[-1]), 'bilinear', antialias=False)


def pooling_weights(length: int, size: int) -> Float[np.ndarray, 'size length']:
    """Row i averages floor(i n / s) to ceil((i + 1) n / s): windows overlap, or repeat if n < s."""
    weights = np.zeros((size, length), np.float32)
    for i in range(size):
        start, stop = i * length // size, -(-(i + 1) * length // size)
        weights[i, start:stop] = 1 / (stop - start)
    return weights


def adaptive_pool(x: Float[Array, 'b h w c'], size: int) -> Float[Array, 'b s s c']:
    """Averages over size x size windows, in float32."""
    rows, columns = (jnp.asarray(pooling_weights(n, size)) for n in x.shape[1:3])
    u = x.astype(jnp.float32)
    pooled = jnp.einsum('bhwc,sh,tw->bstc', u, rows, columns, precision='highest')
    return pooled.astype(x.dtype)


class Up(nn.Module):
    """Transposed 2 x 2 convolution of stride 2: out[2i + a, 2j + b] = x[i, j] W[a, b] + bias."""

    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b 2*h 2*w c']:
        """Twice the grid, at the same width; the kernel is not flipped."""
        b, h, w, c = x.shape
        kernel = self.param('kernel', WEIGHTS, (2, 2, c, c)).astype(self.dtype)
        bias = self.param('bias', nn.initializers.zeros, (c,)).astype(self.dtype)
        y = jnp.einsum('bhwc,ijco->bhiwjo', x.astype(self.dtype), kernel)
        return y.reshape(b, 2 * h, 2 * w, c) + bias[None, None, None]


class Neck(nn.Module):
    """One level resized by 4, 2, 1 or 0.5."""

    rescale: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool) -> tuple[Array, Array | None]:
        """The level, and what enters the second of two transposed convolutions."""
        if self.rescale == 0.5:
            if min(x.shape[1:3]) < 2:
                raise InputError(f'levels: expected a grid of 2 x 2 or more, found {x.shape[1:3]}.')
            return nn.max_pool(x, (2, 2), strides=(2, 2)), None
        if self.rescale == 1:
            return x, None
        x = Up(self.dtype, name='up_0')(x)
        if self.rescale == 2:
            return x, None
        within = gelu(BatchNorm(self.dtype, name='norm')(x, train))
        return Up(self.dtype, name='up_1')(within), within


class Block(nn.Module):
    """Convolution, batch norm, ReLU; the convolution has a bias that the norm takes away."""

    features: int
    side: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool) -> Float[Array, 'b h w d']:
        """The same grid."""
        sides = (self.side, self.side)
        conv = nn.Conv(self.features, sides, dtype=self.dtype, kernel_init=WEIGHTS, name='conv')
        return nn.relu(BatchNorm(self.dtype, name='norm')(conv(x), train))


class UPerNet(nn.Module):
    """The decoder; `train` needs the stream 'dropout' and the collection `batch_stats` mutable."""

    spec: UPerNetSpec

    def __call__(
        self, levels: list[Array], size: tuple[int, int], train: bool = False
    ) -> Float[Array, 'b i j k']:
        """Logits, float32, at `size` (rows, columns) from maps [B, h, w, C], first level first.

        Raises:
          InputError: no levels, or a grid that is too small.
        """
        return self.parts(levels, size, train)['logits']

    @nn.compact
    def parts(
        self, levels: list[Array], size: tuple[int, int], train: bool = False
    ) -> dict[str, Array]:
        """Logits and what leads to them: neck{i}, neck0_after_gelu, psp, fpn_feats, and so on."""
        if not levels:
            raise InputError('levels: expected at least 1 map, found none.')
        out = self._neck([x.astype(DTYPES[self.spec.dtype]) for x in levels], train)
        necks = [out[f'neck{i}'] for i in range(len(levels))]
        out['psp'] = self._pooling(necks[-1], train)
        out['fpn_feats'] = self._top_down(necks[:-1], out['psp'], train)
        drop = nn.Dropout(self.spec.dropout, broadcast_dims=(1, 2), deterministic=not train)
        last = nn.Conv(self.spec.classes, (1, 1), kernel_init=WEIGHTS, name='logits')
        out['logits_before_resize'] = last(drop(out['fpn_feats']))
        out['logits'] = resize(out['logits_before_resize'], size)
        return out

    def _neck(self, levels: list[Array], train: bool) -> dict[str, Array]:
        out: dict[str, Array] = {}
        for i, x in enumerate(levels):
            rescale = self.spec.rescale(i, len(levels))
            neck = Neck(rescale, DTYPES[self.spec.dtype], name=f'neck_{i}')
            out[f'neck{i}'], within = neck(x, train)
            if within is not None:
                out[f'neck{i}_after_gelu'] = within
        return out

    def _block(self, side: int, name: str) -> Block:
        return Block(self.spec.channels, side, DTYPES[self.spec.dtype], name=name)

    def _pooling(self, x: Array, train: bool) -> Array:
        joined = [x]
        for i, pool in enumerate(self.spec.pools):
            pooled = self._block(1, f'pool_{i}')(adaptive_pool(x, pool), train)
            joined.append(resize(pooled, x.shape[1:3]))
        return self._block(3, 'bottleneck')(jnp.concatenate(joined, axis=-1), train)

    def _top_down(self, levels: list[Array], top: Array, train: bool) -> Array:
        laterals = [self._block(1, f'lateral_{i}')(x, train) for i, x in enumerate(levels)]
        laterals.append(top)
        for i in range(len(levels) - 1, -1, -1):
            laterals[i] = laterals[i] + resize(laterals[i + 1], laterals[i].shape[1:3])
        maps = [self._block(3, f'fpn_{i}')(x, train) for i, x in enumerate(laterals[:-1])]
        maps.append(top)
        joined = [resize(x, maps[0].shape[1:3]) for x in maps]
        return self._block(3, 'fuse')(jnp.concatenate(joined, axis=-1), train)
