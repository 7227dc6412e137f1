"""The pre-norm transformer that every encoder and decoder here shares.

Two choices are for speed and do not change the numbers. The residual stream is kept flat, [B N, D],
because XLA otherwise lays it out with the batch innermost and unfuses every norm. Parameters are
stacked over layers while the loop over them is unrolled, because a rolled loop copies all that the
backward pass needs in and out of large buffers.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError
from gair_jax.models import attention, products

REMAT = {
    'none': None,
    'dots': jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    'full': jax.checkpoint_policies.nothing_saveable,
}
DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}
WEIGHTS = nn.initializers.truncated_normal(0.02)  # the ViT reference code's choice, all products
LAYERS = 'layers'  # sub-tree of the stacked parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerSpec:
    """Sizes and settings of a stack of layers.

    Attributes:
      dim, depth, heads, mlp_dim: width, layers, attention heads, hidden width of the feed-forward.
      qkv_bias: biases on queries, keys and values.
      norm_eps: epsilon of the layer norms.
      attention_dropout, hidden_dropout: rates; they act only when a key is given.
      dtype: compute type; parameters, norms and the softmax are float32 throughout.
      remat: key of `REMAT`, what the backward pass recomputes.
      rolled: one rolled loop instead of unrolled layers.
      attention: one of `attention.ATTENTIONS`, the form that computes it.
    """

    dim: int
    depth: int
    heads: int
    mlp_dim: int
    qkv_bias: bool = True
    norm_eps: float = 1e-6
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    dtype: str = 'float32'
    remat: str = 'none'
    rolled: bool = False
    attention: str = 'auto'

    def check(self, where: str) -> None:
        """InputError for sizes that cannot be built; `where` is put before the field's name."""
        for field in ('dim', 'depth', 'heads', 'mlp_dim'):
            if (found := getattr(self, field)) < 1:
                raise InputError(f'{where}{field}: expected at least 1, found {found}.')
        if self.dim % self.heads:
            raise InputError(
                f'{where}heads: expected a divisor of the width {self.dim}, found {self.heads}.'
            )
        for field in ('attention_dropout', 'hidden_dropout'):
            if not 0 <= (found := getattr(self, field)) < 1:
                raise InputError(f'{where}{field}: expected 0 <= rate < 1, found {found}.')
        dropped = self.attention_dropout > 0
        reason = attention.obstacle(self.dtype, self.dim // self.heads, dropped)
        if self.attention == 'cudnn' and reason:
            raise InputError(f'model.attention: cudnn {reason} ({where.rstrip(".")}).')
        if self.norm_eps <= 0:
            raise InputError(f'{where}norm_eps: expected more than 0, found {self.norm_eps}.')


def dense(features: int, dtype: Any = jnp.float32, bias: bool = True, name: str = '') -> nn.Dense:
    """A linear layer with the initialisation of the transformers."""
    return nn.Dense(
        features,
        use_bias=bias,
        dtype=dtype,
        kernel_init=WEIGHTS,
        dot_general=products.dot_general,
        name=name or None,
    )


def run(module: nn.Module, params: Any, *args: Any, **kwargs: Any) -> Any:
    """The output of a module that has parameters alone."""
    return module.apply({'params': params}, *args, **kwargs)


def apart(params: Any) -> Any:
    """Parameters with the layers of every stack as a list, for calls that run many times.

    A compiled call takes each layer out of a stack by copying it, which on a CPU costs a tenth of a
    small batch. `together` inside the compiled function undoes this, and XLA drops both.
    """
    if not isinstance(params, Mapping):
        return params
    taken = {name: apart(value) for name, value in params.items() if name != LAYERS}
    if LAYERS not in params:
        return taken
    layers = params[LAYERS]
    depth = len(jax.tree.leaves(layers)[0])
    return {**taken, LAYERS: [jax.tree.map(lambda x, i=i: x[i], layers) for i in range(depth)]}


def together(params: Any) -> Any:
    """What was given to `apart`."""
    if isinstance(params, list):
        return jax.tree.map(lambda *rows: jnp.stack(rows), *params)
    if not isinstance(params, Mapping):
        return params
    return {name: together(value) for name, value in params.items()}


@jax.custom_vjp
def gelu(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """The exact (erf) GELU, computed in float32 and returned in the type of x.

    Its own derivative keeps only x; autodiff of a bfloat16 erf would keep another such array.
    """
    u = x.astype(jnp.float32)
    return (0.5 * u * (1 + jax.lax.erf(u * 0.5**0.5))).astype(x.dtype)


def _gelu_forward(x: Array) -> tuple[Array, Array]:
    return gelu(x), x


def _gelu_backward(x: Array, cotangent: Array) -> tuple[Array]:
    u = x.astype(jnp.float32)
    density = jnp.exp(-0.5 * u * u) * (2 * jnp.pi) ** -0.5
    slope = 0.5 * (1 + jax.lax.erf(u * 0.5**0.5)) + u * density
    return ((cotangent.astype(jnp.float32) * slope).astype(x.dtype),)


gelu.defvjp(_gelu_forward, _gelu_backward)


class Keys(nn.Module):
    """The linear layer that makes keys, without its bias, which is kept with the weights alone.

    A bias on keys adds the same to all logits of a query, which the softmax does not see. Its
    gradient is zero, and what rounding makes of that would be turned into full steps by Adam.
    """

    features: int
    dtype: Any
    bias: bool

    @nn.compact
    def __call__(self, x: Float[Array, 'n d']) -> Float[Array, 'n k']:
        """The product with the kernel."""
        kernel = self.param('kernel', WEIGHTS, (x.shape[-1], self.features))
        if self.bias:
            self.param('bias', nn.initializers.zeros, (self.features,))
        contracted = (((x.ndim - 1,), (0,)), ((), ()))
        return products.dot_general(x.astype(self.dtype), kernel.astype(self.dtype), contracted)


class Layer(nn.Module):
    """x += attention(norm(x)), then x += feed-forward(norm(x)), on the flat stream [B N, D].

    `position` [N, D], where given, is added to the attention result before its output product
    (the release's attention query does so).
    """

    spec: TransformerSpec
    length: int  # N, which the flat stream does not tell
    deterministic: bool
    collect: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'bn d'],
        bias: Float[Array, '#b #h n n'] | None,
        position: Float[Array, '#b n d'] | None,
    ) -> tuple[Float[Array, 'bn d'], Float[Array, 'bn d'] | None]:
        """The stream after this layer, as a loop body's state and, to `collect`, its output."""
        spec, dtype = self.spec, DTYPES[self.spec.dtype]
        drop = nn.Dropout(spec.hidden_dropout, deterministic=self.deterministic)
        y = nn.LayerNorm(spec.norm_eps, dtype, name='attention_norm')(x)
        y = self._attention(y, bias, position)
        x = x + drop(dense(spec.dim, dtype, name='attention_out')(y))
        y = nn.LayerNorm(spec.norm_eps, dtype, name='mlp_norm')(x)
        y = gelu(dense(spec.mlp_dim, dtype, name='mlp_in')(y))
        x = x + drop(dense(spec.dim, dtype, name='mlp_out')(y))
        return x, x if self.collect else None

    def _attention(
        self, y: Array, bias: Array | None, position: Array | None
    ) -> Float[Array, 'bn d']:
        spec, dtype = self.spec, DTYPES[self.spec.dtype]
        heads = (-1, self.length, spec.heads, spec.dim // spec.heads)
        # Three products: one fused product would be sliced into three copies (and joined backward).
        query, value = (
            dense(spec.dim, dtype, spec.qkv_bias, name)(y).reshape(heads)
            for name in ('query', 'value')
        )
        key = Keys(spec.dim, dtype, spec.qkv_bias, name='key')(y).reshape(heads)
        drop = nn.Dropout(spec.attention_dropout)
        out = attention.attend(query, key, value, bias, drop, self.deterministic, spec.attention)
        out = out.reshape(-1, self.length, spec.dim)
        if position is not None:
            out = out + position.astype(out.dtype)
        return out.reshape(-1, spec.dim)


class Transformer(nn.Module):
    """The stack of layers; parameters of layer i are row i of each stacked leaf."""

    spec: TransformerSpec

    def __call__(
        self,
        tokens: Float[Array, 'b n d'],
        *,
        bias: Float[Array, '#b #h n n'] | None = None,
        position: Float[Array, '#b n d'] | None = None,
        deterministic: bool = True,
    ) -> Float[Array, 'b n d']:
        """Tokens after the last layer, in the compute type; without a final norm.

        Args:
          tokens: the input, any float type.
          bias: added to the attention logits of every layer, float32.
          position: see `Layer`.
          deterministic: no dropout; otherwise the caller gives the stream 'dropout'.
        """
        return self.levels(tokens, bias, position, deterministic)[0]

    @nn.compact
    def levels(
        self,
        tokens: Float[Array, 'b n d'],
        bias: Float[Array, '#b #h n n'] | None,
        position: Float[Array, '#b n d'] | None,
        deterministic: bool,
        wanted: tuple[int, ...] = (),
    ) -> tuple[Float[Array, 'b n d'], Float[Array, 'k b n d'] | None]:
        """What a call returns, and the tokens after each of the `wanted` layers, counted from 0.

        For these the tokens after every layer are held at once; without any, None is returned.
        """
        spec = self.spec
        b, n, d = tokens.shape
        x = tokens.astype(DTYPES[spec.dtype]).reshape(b * n, d)
        layers = nn.scan(
            self._layer(),
            variable_axes={'params': 0},
            split_rngs={'params': True, 'dropout': True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=spec.depth,
            unroll=1 if spec.rolled else spec.depth,
        )
        x, each = layers(spec, n, deterministic, bool(wanted), name=LAYERS)(x, bias, position)
        kept = None if each is None else each[np.asarray(wanted)].reshape(-1, b, n, d)
        return x.reshape(b, n, d), kept

    def _layer(self) -> type[nn.Module]:
        if self.spec.remat == 'none':
            return Layer
        # Inside a rolled loop XLA cannot merge the recomputation away; unrolled it could.
        return nn.remat(Layer, policy=REMAT[self.spec.remat], prevent_cse=not self.spec.rolled)
