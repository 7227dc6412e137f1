"""The attention query: a learned token, placed at the point, attends to the tile's patches.

Kept in the official checkpoint and used by none of the authors' code; here it is one of the ways to
read the patch grid (`model.nili.kind`).
"""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.models import positions
from gair_jax.models.transformer import WEIGHTS, Transformer, TransformerSpec


class AttentionQuery(nn.Module):
    """One transformer run a point: patches and query attend to each other in every layer.

    Sine-cosine positions are added to each layer's attention result. Patches stand at integer
    cells, the query at its place counted from the grid's corner: half a patch apart, as in the
    reference.
    """

    layers: TransformerSpec

    @nn.compact
    def __call__(
        self, grid: Float[Array, 'b h w d'], xy: Float[Array, 'b q 2']
    ) -> Float[Array, 'b q d']:
        """Embeddings [B, Q, D] of the points xy of each grid, after a final norm."""
        b, h, w, d = grid.shape
        q = xy.shape[1]
        token = self.param('query', WEIGHTS, (d,))
        patches = jnp.repeat(grid.reshape(b, h * w, d), q, axis=0)
        tokens = jnp.concatenate(
            [patches, jnp.broadcast_to(token[None, None], (b * q, 1, d))], axis=1
        )
        table = jnp.broadcast_to(positions.sincos_table(h, w, d)[None], (b * q, h * w, d))
        place = query_position(xy.reshape(b * q, 1, 2), h, w, d)
        position = jnp.concatenate([table, place], axis=1)
        transformer = Transformer(self.layers, name='transformer')
        last = transformer(tokens, position=position)[:, -1].astype(jnp.float32)
        last = nn.LayerNorm(self.layers.norm_eps, name='norm')(last)
        return last.reshape(b, q, d)


def query_position(
    xy: Float[Array, '*batch 2'], h: int, w: int, dim: int
) -> Float[Array, '*batch {dim}']:
    """The sine-cosine vector of a point, in cells from the grid's upper left corner."""
    cells = jnp.stack([(xy[..., 0] + 1) / 2 * w, (xy[..., 1] + 1) / 2 * h], axis=-1)
    return positions.sincos(cells, dim, xp=jnp)
