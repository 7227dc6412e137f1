import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.models import positions
from gair_jax.models.attention_query import AttentionQuery, query_position
from gair_jax.models.transformer import TransformerSpec
from tests.models import small

LAYERS = TransformerSpec(dim=8, depth=2, heads=2, mlp_dim=16, qkv_bias=False, rolled=True)
QUERY = AttentionQuery(LAYERS)
RNG = np.random.default_rng(0)
GRID = jnp.asarray(RNG.normal(size=(2, 3, 4, 8)), jnp.float32)
XY = jnp.asarray(RNG.uniform(-1, 1, (2, 3, 2)), jnp.float32)
PARAMS = small.drawn(QUERY.init, GRID, XY)


def test_points_do_not_see_each_other():
    apply = jax.jit(QUERY.apply)
    together = apply(PARAMS, GRID, XY)
    assert together.shape == (2, 3, 8)
    alone = jnp.concatenate([apply(PARAMS, GRID, XY[:, i : i + 1]) for i in range(3)], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert jnp.abs(together[:, 0] - together[:, 1]).max() > 1e-3


def test_a_point_stands_half_a_patch_from_the_patch_it_lies_on():
    # The middle of the patch in row 2, column 1 of 3 x 4 is 1.5 and 2.5 patches from the corner.
    place = query_position(jnp.asarray([1.5 / 4 * 2 - 1, 2.5 / 3 * 2 - 1]), 3, 4, 8)
    np.testing.assert_allclose(place, positions.sincos(np.array([1.5, 2.5]), 8), atol=1e-6)
