"""Small networks on top of a pooled embedding."""

from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.models.transformer import dense, gelu


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
