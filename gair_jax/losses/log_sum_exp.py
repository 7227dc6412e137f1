"""Log-sum-exp of the cosines of anchors with their negatives, in three forms of one value.

  plain    holds all logits; the reference
  chunked  holds a block of columns at a time, forwards and, computed again, backwards; on several
           devices the candidates are gathered first
  ring     the same, but candidates travel from device to device and none holds them all

The chunked sum is the online one of Milakov and Gimelshein 2018 (arXiv 1805.02867); computing
logits again in the backward pass follows Rabe and Staats 2021 (arXiv 2112.05682), the ring follows
Inf-CLIP (arXiv 2410.17243). On a mesh (`jax.set_mesh`) anchors and candidates are split over all
its devices, and both counts must be multiples of their number.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from gair_jax.losses.negatives import Rows, Rule, negatives, padded

FORMS = ('plain', 'chunked', 'ring')
PRODUCTS = ('float32', 'bfloat16')
# Finite, so that a masked logit has a gradient of exactly 0 where minus infinity could give nan.
MASKED = -1e30
_LARGEST_BLOCK = 2**25  # logits of a block over all devices: 128 MiB
_CHUNKS = (256, 4096)  # fewest and most columns: smaller products are slow, larger ones no faster


class Form(NamedTuple):
    """How the sum is computed.

    Attributes:
      name: one of `FORMS`.
      products: type of the operands of the products, one of `PRODUCTS`; sums are float32.
    """

    name: str = 'plain'
    products: str = 'float32'


class Sums(NamedTuple):
    """Of each anchor's negatives: the log-sum-exp of their logits, and the largest (no gradient).

    Both are `MASKED` for an anchor that has none.
    """

    total: Float[Array, ' b']
    top: Float[Array, ' b']


def log_sum_exp(
    query: Float[Array, 'b d'],
    key: Float[Array, 'm d'],
    temperature: Float[Array, ''],
    anchors: Rows,
    candidates: Rows,
    *,
    rule: Rule,
    form: Form,
    apart: bool = False,
) -> Sums:
    """Sums over the negatives of each anchor.

    Args:
      query: anchors, unit rows, float32.
      key: candidates, unit rows, float32.
      temperature: divides the cosines.
      anchors: what `query` are rows of.
      candidates: what `key` are rows of.
      rule: which candidates are spared.
      form: how it is computed; the value does not depend on it.
      apart: no candidate on another device counts, so none needs to be fetched from there.
    """
    if form.name == 'plain':
        logits = _logits(query, key, temperature, anchors, candidates, rule, form.products)
        top = jnp.max(jax.lax.stop_gradient(logits), axis=1)
        return Sums(jax.nn.logsumexp(logits, axis=1), top)
    blocks = _Blocks(rule, form.products, 'none' if apart else form.name, chunk_of(len(query)))
    return _blockwise(blocks, query, key, temperature, anchors, candidates)


def chunk_of(rows: int) -> int:
    """Columns of a block for a batch of `rows`."""
    fewest, most = _CHUNKS
    return max(fewest, min(most, _LARGEST_BLOCK // rows))


class _Blocks(NamedTuple):
    """How a device walks over candidates: `fetch` is 'none', 'chunked' (gathered) or 'ring'."""

    rule: Rule
    products: str
    fetch: str
    chunk: int


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blockwise(
    blocks: _Blocks, query: Array, key: Array, temperature: Array, anchors: Rows, candidates: Rows
) -> Sums:
    return _forward(blocks, query, key, temperature, anchors, candidates)[0]


def _forward(blocks: _Blocks, *given: Any) -> tuple[Sums, tuple[Any, ...]]:
    split, whole = _layout()
    local = functools.partial(_forward_local, blocks)
    # One place for both of the sums.
    sums = _on_devices(local, (split, split, whole, split, split), split)(*given)
    return sums, (*given, sums.total)


def _backward(blocks: _Blocks, kept: tuple[Any, ...], cotangent: Sums) -> tuple[Any, ...]:
    split, whole = _layout()
    kept = jax.tree.map(jnp.asarray, kept)  # a constant temperature comes back as NumPy's
    local = functools.partial(_backward_local, blocks)
    places = (split, split, whole, split, split, split, split)
    slopes = _on_devices(local, places, (split, split, whole))(*kept, cotangent.total)
    return *slopes, None, None


_blockwise.defvjp(_forward, _backward)


def _forward_local(
    blocks: _Blocks, query: Array, key: Array, temperature: Array, anchors: Rows, candidates: Rows
) -> Sums:
    """This device's anchors against the candidates of all."""

    def visit(sums: Sums, key: Array, candidates: Rows) -> tuple[Sums, None]:
        def block(sums: Sums, part: tuple[Array, Rows]) -> tuple[Sums, None]:
            logits = _logits(
                query, part[0], temperature, anchors, part[1], blocks.rule, blocks.products
            )
            return _added(sums, logits), None

        return jax.lax.scan(block, sums, _cut(blocks.chunk, key, candidates))

    nothing = jnp.full(len(query), MASKED, jnp.float32)
    return _visit_all(blocks, visit, Sums(nothing, nothing), key, candidates, None)[0]


def _backward_local(
    blocks: _Blocks, query: Array, key: Array, temperature: Array, anchors: Rows, candidates: Rows,
    total: Array, slope: Array,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Slopes of this device's anchors, of its candidates, and of the temperature."""

    def block(
        state: tuple[Array, Array], part: tuple[Array, Rows]
    ) -> tuple[tuple[Array, Array], Array]:
        key, candidates = part
        logits = _logits(query, key, temperature, anchors, candidates, blocks.rule, blocks.products)
        # An anchor without negatives has total MASKED: its logits must not count as exp(0).
        shares = jnp.where(logits > MASKED / 2, jnp.exp(logits - total[:, None]), 0)
        pull = shares * slope[:, None]
        of_query = state[0] + _product('bm,md->bd', pull, key, blocks.products) / temperature
        of_temperature = state[1] - jnp.sum(pull * jnp.maximum(logits, MASKED / 2)) / temperature
        of_key = _product('bm,bd->md', pull, query, blocks.products) / temperature
        return (of_query, of_temperature), of_key

    def visit(
        state: tuple[Array, Array], key: Array, candidates: Rows
    ) -> tuple[tuple[Array, Array], Array]:
        state, of_key = jax.lax.scan(block, state, _cut(blocks.chunk, key, candidates))
        return state, of_key.reshape(-1, key.shape[1])[: len(key)]

    start = jnp.zeros_like(query), jnp.zeros((), jnp.float32)
    state, of_key = _visit_all(blocks, visit, start, key, candidates, jnp.zeros_like(key))
    axes = _axes()
    return state[0], of_key, jax.lax.psum(state[1], axes) if axes else state[1]


def _visit_all(
    blocks: _Blocks, visit: Callable[..., tuple[Any, Any]], start: Any, key: Array,
    candidates: Rows, zero: Array | None,
) -> tuple[Any, Any]:  # fmt: skip
    """Lets `visit(state, key, candidates) -> (state, slopes)` see the candidates of all devices.

    `zero` is what slopes are summed from, None where there are none. Returns the last state, and
    the slopes of this device's own candidates, summed over all devices.
    """
    axes = _axes()
    if blocks.fetch == 'none' or not axes:
        return visit(start, key, candidates)
    # Half the bytes for operands that will be rounded anyway.
    key = key.astype(blocks.products)
    if blocks.fetch == 'chunked':
        gathered = jax.tree.map(
            lambda x: jax.lax.all_gather(x, axes, tiled=True), (key, candidates)
        )
        state, slopes = visit(start, *gathered)
        return state, jax.tree.map(lambda x: jax.lax.psum_scatter(x, axes, tiled=True), slopes)
    devices = jax.lax.axis_size(axes)
    onwards = [(i, (i + 1) % devices) for i in range(devices)]

    def turn(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        state, (key, candidates, slopes) = carry
        state, more = visit(state, key, candidates)
        travelling = (key, candidates, jax.tree.map(jnp.add, slopes, more))
        return (state, jax.tree.map(lambda x: jax.lax.ppermute(x, axes, onwards), travelling)), None

    (state, (_, _, slopes)), _ = jax.lax.scan(
        turn, (start, (key, candidates, zero)), length=devices
    )
    return state, slopes


def _logits(
    query: Array, key: Array, temperature: Array, anchors: Rows, candidates: Rows, rule: Rule,
    products: str,
) -> Float[Array, 'b m']:  # fmt: skip
    logits = _product('bd,md->bm', query, key, products) / temperature
    return jnp.where(negatives(rule, anchors, candidates), logits, MASKED)


def _added(sums: Sums, logits: Array) -> Sums:
    """The sums after one more block."""
    top = jnp.maximum(sums.top, jnp.max(logits, axis=1))
    some = jnp.sum(jnp.exp(logits - top[:, None]), axis=1) + jnp.exp(sums.total - top)
    # Where all is masked so far, the sum counts masked entries.
    return Sums(jnp.where(top > MASKED / 2, top + jnp.log(some), MASKED), top)


def _product(spec: str, a: Array, b: Array, products: str) -> Array:
    """A product of matrices with float32 sums."""
    return jnp.einsum(
        spec,
        a.astype(products),
        b.astype(products),
        precision='highest',
        preferred_element_type=jnp.float32,
    )


def _cut(chunk: int, key: Array, candidates: Rows) -> tuple[Array, Rows]:
    """Candidates in blocks along a new first axis; the last is filled with invalid ones."""
    chunk = min(chunk, len(key))
    n = -(-len(key) // chunk) * chunk
    filled = jnp.pad(key, ((0, n - len(key)), (0, 0))), padded(candidates, n)
    return jax.tree.map(lambda x: x.reshape(-1, chunk, *x.shape[1:]), filled)


def _axes() -> tuple[str, ...]:
    """Names of the axes of the mesh that is set; () where there is none to split over."""
    mesh = jax.sharding.get_abstract_mesh()
    return () if mesh.empty or mesh.size == 1 else mesh.axis_names


def _layout() -> tuple[P, P]:
    """Rows split over all devices, and an array whole on each."""
    return P(_axes() or None), P()


def _on_devices(function: Callable[..., Any], inputs: Any, outputs: Any) -> Callable[..., Any]:
    """`function` on each device's own rows."""
    if not _axes():
        return function
    return jax.shard_map(function, in_specs=inputs, out_specs=outputs, check_vma=False)
