import functools

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.geo.sphere import great_circle_m
from gair_jax.losses import Rule, batch_rows, past_rows
from gair_jax.losses.negatives import negatives, padded


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
    positive = np.eye(30, dtype=bool)
    rows = batch_rows(30, tile=jnp.asarray(tile), lonlat=jnp.float32(lonlat))
    for same_tile, radius_m, spared in (
        (False, 0.0, positive),
        (True, 0.0, same | positive),
        (False, 500.0, near | positive),
        (True, 500.0, same | near | positive),
    ):
        made = jax.jit(functools.partial(negatives, Rule(same_tile, radius_m)))(rows, rows)
        np.testing.assert_array_equal(made[clear], ~spared[clear])


def test_of_the_past_empty_slots_and_the_anchors_own_position_are_spared():
    past = past_rows(
        jnp.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]), jnp.array([True, True, False])
    )
    anchors = batch_rows(2, lonlat=jnp.array([[1.0, 2.0], [1.0, 4.0]]), groups=2)
    expected = [[False, True, False], [True, True, False]]
    np.testing.assert_array_equal(negatives(Rule(), anchors, past), expected)
    # (1, 4) is 222 km from both entries.
    near = negatives(Rule(radius_m=230e3), anchors, past)
    np.testing.assert_array_equal(near, [[False, True, False], [False, False, False]])


def test_rows_put_behind_are_no_negatives():
    rows = batch_rows(3)
    made = negatives(Rule(), rows, padded(rows, 5))
    np.testing.assert_array_equal(made[:, 3:], np.zeros((3, 2), bool))
    np.testing.assert_array_equal(made[:, :3], ~np.eye(3, dtype=bool))


def test_holds_no_array_larger_than_the_pairs():
    """The largest value in the traced program has B x B entries."""
    rows = batch_rows(32)
    traced = jax.make_jaxpr(functools.partial(negatives, Rule(True, 1e3)))(rows, rows)
    sizes = [v.aval.size for eqn in traced.jaxpr.eqns for v in eqn.outvars]
    assert max(sizes) == 32 * 32
