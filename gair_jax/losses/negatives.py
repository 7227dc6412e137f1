"""False negatives: candidates that show the anchor's own surroundings."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gair_jax.geo.sphere import great_circle_m


def false_negatives(
    tile: Int[Array, ' b'], lonlat: Float[Array, 'b 2'], *, same_tile: bool, radius_m: float
) -> Bool[Array, 'b b']:
    """Pairs (anchor, candidate) of a batch that should not be negatives; never the diagonal.

    Args:
      tile: number of each row's tile; -1 is no tile, and equals no other.
      lonlat: degrees.
      same_tile: candidates on the anchor's tile are excluded.
      radius_m: candidates nearer than this are excluded; 0: none is.
    """
    excluded = jnp.zeros((len(tile), len(tile)), bool)
    if same_tile:
        excluded |= (tile[:, None] == tile[None, :]) & (tile[:, None] >= 0)
    if radius_m > 0:
        excluded |= within(lonlat, lonlat, radius_m)
    return excluded & ~jnp.eye(len(tile), dtype=bool)


def within(a: Float[Array, 'b 2'], b: Float[Array, 'm 2'], radius_m: float) -> Bool[Array, 'b m']:
    """Pairs of places (lonlat, degrees) less than `radius_m` apart."""
    return great_circle_m(a[:, None, :], b[None, :, :], xp=jnp) < radius_m
