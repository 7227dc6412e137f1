"""Batch norm as PyTorch keeps it: running <- 0.9 running + 0.1 of the batch, variance unbiased.

The batch is normalised by its biased variance, n / (n - 1) times smaller than what is kept. Under
jit a batch sharded over devices is one array, so its statistics are those of the global batch and
nothing more is needed to synchronise them.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError


class BatchNorm(nn.Module):
    """Normalises channels over all other axes; statistics are float32, in `batch_stats`."""

    dtype: Any = jnp.float32
    eps: float = 1e-5
    momentum: float = 0.1

    @nn.compact
    def __call__(self, x: Float[Array, '*shape c'], train: bool) -> Float[Array, '*shape c']:
        """Values in the compute type; `train`: by the batch's statistics, which are kept.

        Raises:
          InputError: training on one value a channel, which has no variance.
        """
        width, axes = x.shape[-1:], tuple(range(x.ndim - 1))
        scale = self.param('scale', nn.initializers.ones, width)
        bias = self.param('bias', nn.initializers.zeros, width)
        kept_mean = self.variable('batch_stats', 'mean', jnp.zeros, width)
        kept_var = self.variable('batch_stats', 'var', jnp.ones, width)
        mean, var = kept_mean.value, kept_var.value
        u = x.astype(jnp.float32)
        if train and not self.is_initializing():
            count = x.size // x.shape[-1]
            if count < 2:
                raise InputError('batch: expected 2 values a channel to train batch norm, found 1.')
            mean = u.mean(axes)
            var = jnp.square(u - mean.reshape((1,) * len(axes) + width)).mean(axes)
            kept_mean.value += self.momentum * (mean - kept_mean.value)
            kept_var.value += self.momentum * (var * (count / (count - 1)) - kept_var.value)
        row = (1,) * len(axes) + width
        slope = scale / jnp.sqrt(var + self.eps)
        y = (u - mean.reshape(row)) * slope.reshape(row) + bias.reshape(row)
        return y.astype(self.dtype)
