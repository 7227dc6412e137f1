"""`gair bench nili`: localized embeddings on a dense grid of points, NILI with one affine layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gair_jax.bench import peer as peers
from gair_jax.bench import record
from gair_jax.bench.program import compile_ahead
from gair_jax.models.nili import Nili, NiliSpec
from gair_jax.models.transformer import run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one call.

    Attributes:
      batch: patch grids.
      queries: points a side of each grid, queries^2 points in all.
      side, width: of a patch grid, in patches and in channels.
    """

    batch: int = 4
    queries: int = 96
    side: int = 12
    width: int = 768


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """The record of our NILI and, where `peer` names its file, the peer's with the same weights."""
    grid, xy = inputs(sizes)
    width = sizes.width
    nili = Nili(NiliSpec(dim=width, embed_dim=width, hidden=()))
    params = nili.init(jax.random.key(0), jnp.asarray(grid[:1]), jnp.asarray(xy[:1, :1]))['params']
    sides = {}
    if peer:
        theirs = peers.made(peers.load(peer), 'NILI', width)
        params = peers.nili_params(theirs, params)
        sides['peer'] = peers.nili_side(theirs, grid, xy)
    program = compile_ahead(
        lambda params, grid, xy: run(nili, params, grid, xy, 'convolve'), params, grid, xy
    )
    sides = {'ours': record.ours(program, params, grid, xy), **sides}
    found = record.compared(sides, rounds, sizes.batch * sizes.queries**2)
    found['ours'] |= program.record()
    return {'what': 'nili', 'sizes': dataclasses.asdict(sizes), **found}


def inputs(
    sizes: Sizes,
) -> tuple[Float[np.ndarray, 'b h h d'], Float[np.ndarray, 'b q 2']]:
    """Patch grids drawn from a normal distribution, and the same centred grid of points in each."""
    shape = (sizes.batch, sizes.side, sizes.side, sizes.width)
    grid = np.random.default_rng(0).standard_normal(shape, np.float32)
    at = (np.arange(sizes.queries, dtype=np.float32) * 2 + 1) / sizes.queries - 1
    xy = np.stack(np.meshgrid(at, at), axis=-1).reshape(1, -1, 2)
    return grid, np.repeat(xy, sizes.batch, axis=0)


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes = found['sizes']
    title = (
        'Dense NILI, one affine layer: {batch} grids of {side} x {side} patches of width {width}, '
        '{queries} x {queries} points each.'
    ).format(**sizes)
    return f'{title}\n\n' + record.table(found, 'points', [record.compiled_sentence(found['ours'])])
