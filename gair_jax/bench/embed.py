"""`gair bench embed`: a tile with one point in it, a photo and a place, through ViT-B encoders."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.bench import flops, record
from gair_jax.bench import peer as peers
from gair_jax.bench.program import Program, compile_ahead
from gair_jax.bench.timing import Call
from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.models.gair import Model, Params
from gair_jax.models.transformer import apart, together

OUTPUTS = ('localized', 'sv', 'location')
# Larger chunks leave a core's share of the third-level cache.
CHUNK_ON_CPU = 4

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one call.

    Attributes:
      batch: triples.
      chunk: of ours, how many go through the encoders at a time; 0 is the fastest on this device.
      dtype: compute type of our encoders.
    """

    batch: int = 32
    chunk: int = 0
    dtype: str = 'float32'


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """The record of our model and, where `peer` names its file, the peer's with the same weights.

    Beside the sides it holds `flops` of a triple, from the sizes and as compiled, `rate`, ours in
    FLOP/s, and `product_rate`, what the largest product of a layer reaches alone.

    Raises:
      InputError: the batch is no multiple of the chunk, or the peer cannot be used.
    """
    sizes = dataclasses.replace(sizes, chunk=sizes.chunk or _chunk(sizes.batch))
    if sizes.batch % sizes.chunk:
        raise InputError(f'--chunk: expected a divisor of {sizes.batch}, found {sizes.chunk}.')
    model = gair.build(peers.config(sizes.dtype))
    batch, params = inputs(model, sizes.batch), jax.device_get(model.init(jax.random.key(0)))
    sides = {}
    if peer:
        theirs = peers.made(peers.load(peer), 'GAIR')
        params = peers.params(theirs, params)
        sides['peer'] = peers.embed_side(theirs, batch)
    program, ours = ours_in_chunks(model, params, batch, sizes.chunk)
    product, product_flops = _product(model, sizes)
    sides = {'ours': ours, **sides}
    found, times = record.compared(sides, rounds, sizes.batch, {'product': product})
    found['ours'] |= program.record()
    each = flops.embed(model)
    return {
        'what': 'embed',
        'sizes': dataclasses.asdict(sizes),
        'flops': {'from_sizes': each, 'compiled': program.flops / sizes.chunk},
        'rate': each * sizes.batch / times['ours'].median,
        'product_rate': product_flops / times['product'].median,
        **found,
    }


def inputs(model: Model, count: int) -> Batch:
    """Triples of network input, drawn at random."""
    assert model.rs is not None and model.sv is not None
    draw = np.random.default_rng(0)
    rs, sv = model.rs.spec, model.sv.spec
    return {
        'rs': draw.random((count, *rs.image, rs.channels), np.float32),
        'sv': draw.standard_normal((count, *sv.image, sv.channels), np.float32),
        'xy': draw.uniform(-1, 1, (count, 2)).astype(np.float32),
        'lonlat': draw.uniform(-80, 80, (count, 2)).astype(np.float32),
    }


def ours_in_chunks(
    model: Model, params: Params, batch: Batch, chunk: int
) -> tuple[Program, record.Side]:
    """Our side: one program of a chunk, called for each chunk of the batch."""

    def embed(params: Params, batch: Mapping[str, jax.Array]) -> list[jax.Array]:
        out = model.apply(together(params), batch)
        return [out[name] for name in OUTPUTS]

    placed = jax.device_put(apart(params))
    count = len(batch['rs'])
    chunks = [
        jax.device_put({name: x[i : i + chunk] for name, x in batch.items()})
        for i in range(0, count, chunk)
    ]
    program = compile_ahead(embed, placed, chunks[0])

    def call() -> list[list[jax.Array]]:
        return jax.block_until_ready([program.call(placed, part) for part in chunks])

    def read(parts: list[list[jax.Array]]) -> list[np.ndarray]:
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    return program, record.Side(call, read)


def _product(model: Model, sizes: Sizes) -> tuple[Call, float]:
    """The largest product of a layer by itself, and its FLOPs: what the encoders consist of."""
    assert model.sv is not None
    spec = model.sv.spec
    rows, dim, wide = sizes.chunk * spec.patches, spec.layers.dim, spec.layers.mlp_dim
    x = jnp.ones((rows, dim), sizes.dtype)
    kernel = jnp.ones((dim, wide), sizes.dtype)
    program = compile_ahead(jnp.matmul, x, kernel)
    repeats = math.ceil(2e11 / (2 * rows * dim * wide))

    def call() -> None:
        for _ in range(repeats):
            jax.block_until_ready(program.call(x, kernel))

    return call, 2.0 * rows * dim * wide * repeats


def _chunk(batch: int) -> int:
    return math.gcd(batch, CHUNK_ON_CPU) if jax.default_backend() == 'cpu' else batch


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes, counted = found['sizes'], found['flops']
    title = (
        '{batch} triples a call: a 96 x 96 tile of 10 bands and one point in it, a 224 x 224 photo '
        'and a place, ViT-B, {dtype}; ours in chunks of {chunk}.'
    ).format(**sizes)
    sentences = [
        f'A triple costs {counted["from_sizes"] / 1e9:.1f} GFLOP by its sizes '
        f"({counted['compiled'] / 1e9:.1f} by the compiler's count).",
        f'Ours does {found["rate"] / 1e9:.0f} GFLOP/s, '
        f'{found["rate"] / found["product_rate"]:.0%} of the '
        f'{found["product_rate"] / 1e9:.0f} that the largest product of a layer reaches alone.',
        record.compiled_sentence(found['ours']),
    ]
    return f'{title}\n\n' + record.table(found, 'triples', sentences)
