"""Rows in blocks, and how the blocks of all devices come to see each other.

Rows of every array are split over all devices of the mesh that is set (`jax.set_mesh`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

_SIDES = (1024, 8192)  # of a block of pairs: smaller ones take more time, larger ones more memory

Visit = Callable[[Any, Any, Any], tuple[Any, Any]]


def block_side(rows: int) -> int:
    """Most rows and most columns of a block of pairs on a device that has `rows` anchors.

    A part of them, so that what a device holds falls with its share of the rows.
    """
    least, most = _SIDES
    return max(least, min(most, rows // 4))


def cut(side: int, arrays: Any) -> Any:
    """Rows as equal blocks of at most `side`, [blocks, rows, ...]; zeros fill up the last."""
    n = len(jax.tree.leaves(arrays)[0])
    blocks = -(-n // side)

    def one(x: Array) -> Array:
        filled = jnp.pad(x, ((0, -n % blocks),) + ((0, 0),) * (x.ndim - 1))
        return filled.reshape(blocks, -1, *x.shape[1:])

    return jax.tree.map(one, arrays)


def joined(blocks: Any, n: int) -> Any:
    """What was cut from n rows."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], blocks)


def add_at(x: Array, i: Array, more: Array) -> Array:
    """`x` with `more` added to its entry `i`, in place where a loop carries it."""
    return jax.lax.dynamic_update_index_in_dim(x, x[i] + more, i, 0)


def walk(
    fetch: str, prepare: Callable[[Any], Any], visit: Visit, state: Any, blocks: Any, into: Any
) -> tuple[Any, Any]:
    """Lets `visit(state, block, slopes) -> (state, slopes)` see every block of all devices.

    Args:
      fetch: how blocks come from other devices: 'none', 'chunked' (all are gathered) or 'ring'
        (each goes round).
      prepare: what is done with a block before it is shown or sent.
      visit: what a device does with a block; it adds to the block's slopes.
      state: what the device carries from block to block.
      blocks: this device's own.
      into: their slopes so far; None where there are none.

    Returns:
      The last state, and `into` with what all devices added.
    """
    axes = axis_names()
    if fetch != 'chunked' or not axes:
        return _one_by_one(fetch, prepare, visit, state, blocks, into)
    prepared = jax.lax.map(prepare, blocks)
    everywhere = jax.tree.map(lambda x: jax.lax.all_gather(x, axes, tiled=True), prepared)
    count = len(jax.tree.leaves(everywhere)[0])
    nothing = jax.tree.map(lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype), into)
    state, slopes = _one_by_one(fetch, lambda block: block, visit, state, everywhere, nothing)
    home = jax.tree.map(lambda x: jax.lax.psum_scatter(x, axes, tiled=True), slopes)
    return state, jax.tree.map(jnp.add, into, home)


def _one_by_one(
    fetch: str, prepare: Callable[[Any], Any], visit: Visit, state: Any, blocks: Any, into: Any
) -> tuple[Any, Any]:
    go = _go_round if fetch == 'ring' and axis_names() else _go

    def step(carry: Any, given: Any) -> tuple[Any, None]:
        (state, into), (i, block) = carry, given
        slopes = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), into)
        state, slopes = go(visit, state, prepare(block), slopes)
        return (state, jax.tree.map(lambda x, more: add_at(x, i, more), into, slopes)), None

    numbers = jnp.arange(len(jax.tree.leaves(blocks)[0]))
    return jax.lax.scan(step, (state, into), (numbers, blocks))[0]


def _go(visit: Visit, state: Any, block: Any, slopes: Any) -> tuple[Any, Any]:
    return visit(state, block, slopes)


def _go_round(visit: Visit, state: Any, block: Any, slopes: Any) -> tuple[Any, Any]:
    """A block and its slopes visit every device and come home.

    One block at a time, so that a device holds no more of the others' rows than that.
    """
    devices = jax.lax.axis_size(axis_names())
    onwards = [(i, (i + 1) % devices) for i in range(devices)]

    def turn(carry: Any, _: None) -> tuple[Any, None]:
        state, (block, slopes) = carry
        state, slopes = visit(state, block, slopes)
        return (
            state,
            jax.tree.map(lambda x: jax.lax.ppermute(x, axis_names(), onwards), (block, slopes)),
        ), None

    (state, (_, slopes)), _ = jax.lax.scan(turn, (state, (block, slopes)), length=devices)
    return state, slopes


def axis_names() -> tuple[str, ...]:
    """Of the mesh that is set; () where there is none to split over."""
    mesh = jax.sharding.get_abstract_mesh()
    return () if mesh.empty or mesh.size == 1 else mesh.axis_names


def device_count() -> int:
    """Devices of the mesh that is set, 1 where none is."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty else mesh.size


def summed(x: Array) -> Array:
    """`x` of all devices."""
    return jax.lax.psum(x, axis_names()) if axis_names() else x


def split() -> P:
    """Rows split over all devices."""
    return P(axis_names() or None)


def on_devices(function: Callable[..., Any], inputs: Any, outputs: Any) -> Callable[..., Any]:
    """`function` on each device's own rows."""
    if not axis_names():
        return function
    return jax.shard_map(function, in_specs=inputs, out_specs=outputs, check_vma=False)
