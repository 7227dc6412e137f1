import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.models import positions
from gair_jax.models.attention_query import AttentionQuery, query_position
from gair_jax.models.transformer import TransformerSpec

QUERY = AttentionQuery(TransformerSpec(dim=8, depth=2, heads=2, mlp_dim=16, qkv_bias=False))
GRID = jax.random.normal(jax.random.key(0), (2, 3, 4, 8))
XY = jax.random.uniform(jax.random.key(1), (2, 5, 2), minval=-1)
PARAMS = QUERY.init(jax.random.key(2), GRID, XY)
PARAMS = jax.tree.map(
    lambda p: p + 0.3 * jax.random.normal(jax.random.key(p.size), p.shape), PARAMS
)


def test_points_do_not_see_each_other():
    together = QUERY.apply(PARAMS, GRID, XY)
    assert together.shape == (2, 5, 8)
    alone = jnp.concatenate([QUERY.apply(PARAMS, GRID, XY[:, i : i + 1]) for i in range(5)], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert jnp.abs(together[:, 0] - together[:, 1]).max() > 1e-3


def test_a_point_stands_half_a_patch_from_the_patch_it_lies_on():
    # The middle of the patch in row 2, column 1 of 3 x 4 is 1.5 and 2.5 patches from the corner.
    place = query_position(jnp.asarray([1.5 / 4 * 2 - 1, 2.5 / 3 * 2 - 1]), 3, 4, 8)
    np.testing.assert_allclose(place, positions.sincos(np.array([1.5, 2.5]), 8), atol=1e-6)
