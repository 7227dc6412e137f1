"""One vision transformer for remote sensing and street view (Dosovitskiy et al. 2021)."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gair_jax.config import EncoderConfig, InputError, ModelConfig
from gair_jax.models import positions
from gair_jax.models.attention import ATTENTIONS, Case, Choice, choose
from gair_jax.models.transformer import DTYPES, REMAT, WEIGHTS, Transformer, TransformerSpec, dense

# dim, depth, heads, feed-forward width: B and L of Dosovitskiy et al. 2021, table 1; Ti and S of
# Touvron et al. 2021 (DeiT), table 1.
SIZES = {
    'Ti': (192, 12, 3, 768),
    'S': (384, 12, 6, 1536),
    'B': (768, 12, 12, 3072),
    'L': (1024, 24, 16, 4096),
}
POSITIONS = ('learned', 'sincos', 'alibi')
POOLINGS = ('mean', 'class', 'pooler', 'mean_norm')


@dataclasses.dataclass(frozen=True, kw_only=True)
class VitSpec:
    """A vision transformer of any size.

    Attributes:
      layers: the transformer.
      patch: side of a patch, pixels.
      channels: of the image.
      image: (height, width) the learned position table is made for, pixels; other position kinds
        take any image whose sides are multiples of `patch`.
      position: one of `POSITIONS`.
      class_token: a learned token before the patches.
      final_norm: layer norm after the last layer.
      pooling: one of `POOLINGS`: mean of the patch tokens; the class token; tanh of a linear map of
        it; or 'mean_norm', where the final norm follows the mean and leaves the tokens alone.
    """

    layers: TransformerSpec
    patch: int
    channels: int
    image: tuple[int, int]
    position: str = 'learned'
    class_token: bool = False
    final_norm: bool = True
    pooling: str = 'mean'

    @property
    def patches(self) -> int:
        """Patches of an image of the given size."""
        return (self.image[0] // self.patch) * (self.image[1] // self.patch)

    @property
    def attention(self) -> Choice:
        """How attention is computed in training, by a step that is traced now."""
        layers = self.layers
        case = Case(
            dtype=layers.dtype,
            head=layers.dim // layers.heads,
            tokens=self.patches + int(self.class_token),
            biased=self.position == 'alibi',
            dropped=layers.attention_dropout > 0,
        )
        return choose(layers.attention, case)

    def check(self, where: str) -> None:
        """InputError, naming the field under `where`, for settings that cannot be built."""
        self.layers.check(f'{where}.')
        expect(f'{where}.position', self.position, POSITIONS)
        expect(f'{where}.pooling', self.pooling, POOLINGS)
        if self.patch < 1 or any(side < 1 or side % self.patch for side in self.image):
            raise InputError(
                f'{where}.patch: expected a divisor of the input size {self.image[0]} x '
                f'{self.image[1]}, found {self.patch}.'
            )
        if self.pooling == 'mean_norm' and not self.final_norm:
            raise InputError(
                f"{where}.pooling: 'mean_norm' expects {where}.final_norm=True, found False."
            )
        if self.pooling in ('class', 'pooler') and not self.class_token:
            raise InputError(
                f'{where}.pooling: {self.pooling!r} expects {where}.class_token=True, found False.'
            )
        if self.position == 'sincos' and self.layers.dim % 4:
            raise InputError(
                f'{where}.dim: position sincos expects a multiple of 4, found {self.layers.dim}.'
            )


def expect(field: str, found: str, allowed: tuple[str, ...]) -> None:
    """InputError unless `found` is one of `allowed`."""
    if found not in allowed:
        raise InputError(f'{field}: expected one of {", ".join(allowed)}, found {found!r}.')


def spec(
    encoder: EncoderConfig, model: ModelConfig, *, channels: int, image: int, where: str
) -> VitSpec:
    """The checked transformer that a config section describes, for a square input.

    Raises:
      InputError: naming the field, what was found and what was expected.
    """
    expect(f'{where}.size', encoder.size, tuple(SIZES))
    expect('model.dtype', model.dtype, tuple(DTYPES))
    expect('model.remat', model.remat, tuple(REMAT))
    expect('model.attention', model.attention, ATTENTIONS)
    dim, depth, heads, mlp_dim = SIZES[encoder.size]
    layers = TransformerSpec(
        dim=encoder.dim or dim,
        depth=encoder.depth or depth,
        heads=encoder.heads or heads,
        mlp_dim=encoder.mlp_dim or mlp_dim,
        qkv_bias=encoder.qkv_bias,
        norm_eps=encoder.norm_eps,
        attention_dropout=encoder.attention_dropout,
        hidden_dropout=encoder.hidden_dropout,
        dtype=model.dtype,
        remat=model.remat,
        rolled=model.rolled,
        attention=model.attention,
    )
    vit = VitSpec(
        layers=layers,
        patch=encoder.patch,
        channels=channels,
        image=(image, image),
        position=encoder.position,
        class_token=encoder.class_token,
        final_norm=encoder.final_norm,
        pooling=encoder.pooling,
    )
    vit.check(where)
    return vit


def patchify(images: Float[Array, 'b y x c'], patch: int) -> Float[Array, 'b n p']:
    """Patch vectors, row-major; a vector is ordered (channel, row, column)."""
    b, y, x, c = images.shape
    cut = images.reshape(b, y // patch, patch, x // patch, patch, c)
    return cut.transpose(0, 1, 3, 5, 2, 4).reshape(b, -1, c * patch * patch)


class Vit(nn.Module):
    """Images [B, H, W, C] to tokens; bfloat16 or float32 inside, float32 out."""

    spec: VitSpec

    @nn.compact
    def __call__(
        self,
        images: Float[Array, 'b y x c'],
        *,
        keep: Int[Array, 'b k'] | None = None,
        deterministic: bool = True,
        levels: tuple[int, ...] = (),
        norm_last: bool = False,
    ) -> dict[str, Array]:
        """Encodes images.

        Args:
          images: network input, channels last.
          keep: indices of the patches that are encoded, in this order (masked autoencoding);
            None is all of them.
          deterministic: no dropout; otherwise the caller gives the stream 'dropout'.
          levels: indices of layers, from 0, whose patch tokens are wanted.
          norm_last: the final norm is applied to the last of them too, whichever layer it is.

        Returns:
          class_tokens [B, 0 or 1, D], patch_tokens [B, N or K, D] and pooled [B, D], float32, all
          after the final norm where there is one (but see pooling 'mean_norm'); with `levels` also
          levels [L, B, N or K, D].
        """
        spec = self.spec
        h, w = self._grid(images)
        x = dense(spec.layers.dim, DTYPES[spec.layers.dtype], name='patch')(
            patchify(images, spec.patch)
        )
        table, bias = self._position(h, w)
        first = int(spec.class_token)
        x = x.astype(jnp.float32) + table[None, first:]
        if keep is not None:
            x = jnp.take_along_axis(x, keep[..., None], axis=1)
            bias = None if bias is None else _kept_bias(bias, keep)
        if spec.class_token:
            x, bias = self._with_class(x, table[0], bias)
        x = nn.Dropout(spec.layers.hidden_dropout, deterministic=deterministic)(x)
        transformer = Transformer(spec.layers, name='transformer')
        x, each = transformer.levels(x, bias, None, deterministic, levels)
        norm: Callable[[Array], Array] = _unchanged
        if spec.final_norm:
            norm = _on_flat(nn.LayerNorm(spec.layers.norm_eps, name='norm'))
        out = self._split(x.astype(jnp.float32), norm)
        if each is None:
            return out
        kept = each[:, :, first:].astype(jnp.float32)
        return {**out, 'levels': kept.at[-1].set(norm(kept[-1])) if norm_last else kept}

    def _grid(self, images: Float[Array, 'b y x c']) -> tuple[int, int]:
        spec, (_, y, x, c) = self.spec, images.shape
        if c != spec.channels or y % spec.patch or x % spec.patch:
            raise InputError(
                f'image: expected {spec.channels} channels and sides divisible by {spec.patch}, '
                f'found {c} channels and {y} x {x} pixels.'
            )
        if spec.position == 'learned' and (y, x) != spec.image:
            raise InputError(
                f'image: the learned position table expects {spec.image[0]} x {spec.image[1]} '
                f'pixels, found {y} x {x}.'
            )
        return y // spec.patch, x // spec.patch

    def _position(
        self, h: int, w: int
    ) -> tuple[Float[Array, 'm d'], Float[Array, '1 h n n'] | None]:
        """What is added to the class token, if any, and the patches; the grid's attention bias."""
        spec, first = self.spec, int(self.spec.class_token)
        dim = spec.layers.dim
        if spec.position == 'learned':
            return self.param('position', WEIGHTS, (first + h * w, dim)), None
        if spec.position == 'sincos':
            table = jnp.asarray(positions.sincos_table(h, w, dim))
            return jnp.pad(table, ((first, 0), (0, 0))), None
        bias = jnp.asarray(positions.alibi_bias(h, w, spec.layers.heads))
        return jnp.zeros((first + h * w, dim)), bias[None]

    def _with_class(
        self, x: Float[Array, 'b k d'], position: Float[Array, ' d'], bias: Array | None
    ) -> tuple[Float[Array, 'b m d'], Array | None]:
        """The class token put first; by the bias it is at distance 0 of every patch."""
        token = self.param('class_token', WEIGHTS, position.shape) + position
        first = jnp.broadcast_to(token[None, None], (len(x), 1, x.shape[-1]))
        if bias is not None:
            bias = jnp.pad(bias, ((0, 0), (0, 0), (1, 0), (1, 0)))
        return jnp.concatenate([first, x], axis=1), bias

    def _split(self, x: Float[Array, 'b m d'], norm: Callable[[Array], Array]) -> dict[str, Array]:
        first, pooling = int(self.spec.class_token), self.spec.pooling
        x = x if pooling == 'mean_norm' else norm(x)
        tokens = {'class_tokens': x[:, :first], 'patch_tokens': x[:, first:]}
        if pooling == 'mean_norm':
            return {**tokens, 'pooled': norm(jnp.mean(x[:, first:], axis=1))}
        if self.spec.pooling == 'mean':
            return {**tokens, 'pooled': jnp.mean(x[:, first:], axis=1)}
        pooled = x[:, 0]
        if self.spec.pooling == 'pooler':
            pooled = jnp.tanh(dense(self.spec.layers.dim, name='pooler')(pooled))
        return {**tokens, 'pooled': pooled}


def _on_flat(norm: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`norm` of the flat stream [B N, D]: of [B, N, D] XLA would make a transposed copy."""
    return lambda x: norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def _unchanged(x: Array) -> Array:
    return x


def _kept_bias(bias: Float[Array, '1 h n n'], keep: Int[Array, 'b k']) -> Float[Array, 'b h k k']:
    return bias[0][:, keep[:, :, None], keep[:, None, :]].transpose(1, 0, 2, 3)
