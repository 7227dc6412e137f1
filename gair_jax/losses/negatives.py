"""Which candidates are negatives of which anchor, decided from a few numbers a row.

A mask over all pairs would be as large as the logits, which the larger forms of the loss never
hold; so a row carries what decides, and a mask exists for one block of pairs at a time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gair_jax.geo.sphere import great_circle_m


class Rows(NamedTuple):
    """Anchors or candidates, n rows.

    Attributes:
      row: number in the batch, by which an anchor knows its own positive; -1: not of the batch.
      valid: rows that may be negatives.
      tile: number of the row's tile; -1 is no tile, and equals no other.
      lonlat: degrees.
      group: rows of the batch are negatives within their group alone.
    """

    row: Int[Array, ' n']
    valid: Bool[Array, ' n']
    tile: Int[Array, ' n']
    lonlat: Float[Array, 'n 2']
    group: Int[Array, ' n']


class Rule(NamedTuple):
    """Which candidates show the anchor's own surroundings and are spared.

    Attributes:
      same_tile: those on the anchor's tile.
      radius_m: those nearer than this, metres; 0: none for being near.
    """

    same_tile: bool = False
    radius_m: float = 0.0


def batch_rows(
    n: int,
    *,
    tile: Int[Array, ' n'] | None = None,
    lonlat: Float[Array, 'n 2'] | None = None,
    groups: int = 1,
) -> Rows:
    """The n rows of a batch, all valid, in `groups` groups of neighbours; None: not known."""
    row = jnp.arange(n, dtype=jnp.int32)
    return Rows(
        row=row,
        valid=jnp.ones(n, bool),
        tile=jnp.full(n, -1, jnp.int32) if tile is None else tile,
        lonlat=jnp.zeros((n, 2), jnp.float32) if lonlat is None else lonlat,
        group=row // (n // groups),
    )


def past_rows(lonlat: Float[Array, 'n 2'], valid: Bool[Array, ' n']) -> Rows:
    """Rows of a memory bank, which belong to no batch, tile or group."""
    none = jnp.full(len(valid), -1, jnp.int32)
    return Rows(row=none, valid=valid, tile=none, lonlat=lonlat, group=none)


def negatives(rule: Rule, anchors: Rows, candidates: Rows) -> Bool[Array, 'b m']:
    """Pairs (anchor, candidate) that count; a positive never does.

    Of the past, entries at exactly the anchor's position are spared too: they are the same photo,
    an epoch ago.
    """
    of_batch = candidates.row >= 0
    same = _equal(anchors.row, candidates.row)
    at_place = _equal(anchors.lonlat[:, 0], candidates.lonlat[:, 0]) & _equal(
        anchors.lonlat[:, 1], candidates.lonlat[:, 1]
    )
    other_group = ~_equal(anchors.group, candidates.group)
    spared = jnp.where(of_batch[None, :], same | other_group, at_place)
    if rule.same_tile:
        spared |= _equal(anchors.tile, candidates.tile) & (anchors.tile >= 0)[:, None]
    if rule.radius_m > 0:
        spared |= within(anchors.lonlat, candidates.lonlat, rule.radius_m)
    return candidates.valid[None, :] & ~spared


def within(a: Float[Array, 'b 2'], b: Float[Array, 'm 2'], radius_m: float) -> Bool[Array, 'b m']:
    """Pairs of places (lonlat, degrees) less than `radius_m` apart."""
    return great_circle_m(a[:, None, :], b[None, :, :], xp=jnp) < radius_m


def padded(rows: Rows, n: int) -> Rows:
    """`rows` with invalid ones put behind them, until there are `n`."""
    more = n - len(rows.valid)
    return jax.tree.map(lambda x: jnp.pad(x, ((0, more),) + ((0, 0),) * (x.ndim - 1)), rows)


def _equal(a: Array, b: Array) -> Bool[Array, 'b m']:
    return a[:, None] == b[None, :]
