"""Small networks on top of a pooled embedding."""

from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.models.transformer import dense, gelu

Module = nn.Module  # for annotations outside this folder


class ClipHead(nn.Module):
    """GeoCLIP's image head: CLIP features through one ReLU layer into the space of the places."""

    hidden: int
    out: int

    @nn.compact
    def __call__(self, features: Float[Array, 'b c']) -> Float[Array, 'b d']:
        """Embeddings that are compared with those of places."""
        return dense(self.out, name='out')(nn.relu(dense(self.hidden, name='hidden')(features)))


class Head(nn.Module):
    """Layer norm, a GELU layer for each width of `hidden`, then a linear map to `out` values."""

    out: int
    hidden: tuple[int, ...] = ()
    norm_eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, 'b d']) -> Float[Array, 'b k']:
        """Values of each row."""
        x = nn.LayerNorm(self.norm_eps, name='norm')(x)
        for i, width in enumerate(self.hidden):
            x = gelu(dense(width, name=f'hidden_{i}')(x))
        return dense(self.out, name='out')(x)


class Probe(nn.Module):
    """A linear map, or with `hidden` two with a sigmoid between, as wide as the features."""

    out: int
    hidden: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, '*b d']) -> Float[Array, '*b k']:
        """Values of each row."""
        if self.hidden:
            x = nn.sigmoid(dense(x.shape[-1], name='hidden')(x))
        return dense(self.out, name='out')(x)
