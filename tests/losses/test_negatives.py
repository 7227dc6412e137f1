import functools

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.geo.sphere import great_circle_m
from gair_jax.losses import false_negatives


def test_by_tile_by_radius_and_never_the_positive():
    rng = np.random.default_rng(0)
    lonlat = np.array([139.7, 35.6]) + rng.uniform(-0.01, 0.01, (30, 2))
    tile = rng.integers(-1, 4, 30).astype(np.int32)
    distance = great_circle_m(lonlat[:, None], lonlat[None])
    near = distance < 500
    # float32 degrees decide pairs within 3 m of the radius either way.
    clear = np.abs(distance - 500) > 3
    assert clear.mean() > 0.95 and 0.1 < near.mean() < 0.9
    same = (tile[:, None] == tile[None, :]) & (tile[:, None] >= 0)
    off = ~np.eye(30, dtype=bool)
    given = jnp.asarray(tile), jnp.float32(lonlat)
    for same_tile, radius_m, expected in (
        (False, 0.0, same & False),
        (True, 0.0, same & off),
        (False, 500.0, near & off),
        (True, 500.0, (same | near) & off),
    ):
        mask = functools.partial(false_negatives, same_tile=same_tile, radius_m=radius_m)
        made = jax.jit(mask)(*given)
        np.testing.assert_array_equal(made[clear], expected[clear])


def test_holds_no_array_larger_than_the_pairs():
    """The largest value in the traced program has B x B entries."""
    rows = 32
    traced = jax.make_jaxpr(lambda t, p: false_negatives(t, p, same_tile=True, radius_m=1e3))(
        jnp.zeros(rows, jnp.int32), jnp.zeros((rows, 2))
    )
    sizes = [v.aval.size for eqn in traced.jaxpr.eqns for v in eqn.outvars]
    assert max(sizes) == rows * rows
