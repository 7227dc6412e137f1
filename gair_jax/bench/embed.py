"""`gair bench embed`: a tile with one point in it, a photo and a place, through ViT-B encoders."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gair_jax.bench import peer as peers
from gair_jax.bench import record
from gair_jax.bench.program import compile_ahead
from gair_jax.bench.timing import Call, in_turn
from gair_jax.models import flops, gair, products
from gair_jax.models.gair import Model, Params
from gair_jax.models.transformer import DTYPES, together
from gair_jax.serve.program import Program, chunk_rows, placed

OUTPUTS = ('localized', 'sv', 'location')
FIELDS = ('rs', 'xy', 'sv', 'lonlat')
PRODUCT_FLOPS = 2e11  # of a timed call, which takes a core two seconds

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of one call.

    Attributes:
      batch: triples.
      dtype: type that our encoders compute in; '' is each that there is.
    """

    batch: int = 32
    dtype: str = ''


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """The record of our model and, where `peer` names its file, the peer's with the same weights.

    `ours` is in the type in which it is fastest here, `dtype`, and `peer` is in float32; `sides`
    has all that were timed, ours and the peer's in each type. Beside them are `flops` of a triple,
    from the sizes and as compiled, `rate`, ours in FLOP/s, and `product_rate`, what the largest
    product of a layer reaches alone in that type.

    Raises:
      InputError: the peer cannot be used.
    """
    dtypes = [sizes.dtype] if sizes.dtype else list(DTYPES)
    models = {dtype: gair.build(peers.config(dtype)) for dtype in dtypes}
    sides = _sides(models, sizes.batch, peer)
    alone = {dtype: _product(model, sizes.batch) for dtype, model in models.items()}
    calls = {name: side.call for name, side in sides.items()}
    calls |= {f'product {dtype}': call for dtype, (call, _) in alone.items()}
    found = record.machine()
    times = in_turn(calls, rounds)
    dtype = min(models, key=lambda name: times[f'ours {name}'].median)
    pair = {'ours': f'ours {dtype}'} | ({'peer': 'peer float32'} if peer else {})
    each = flops.embed(models[dtype])
    return {
        'what': 'embed',
        'sizes': dataclasses.asdict(sizes),
        'dtype': dtype,
        'flops': {'from_sizes': each, 'compiled': _compiled_flops(models[dtype], sizes.batch)},
        'rate': each * sizes.batch / times[pair['ours']].median,
        'product_rate': alone[dtype][1] / times[f'product {dtype}'].median,
        'sides': {name: record.figures(times[name], sizes.batch) for name in sides},
        **record.summary(
            {key: sides[name] for key, name in pair.items()},
            {key: times[name] for key, name in pair.items()},
            sizes.batch,
        ),
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


def _sides(models: Mapping[str, Model], count: int, peer: str) -> dict[str, record.Side]:
    """Ours in each type and, where there is one, the peer in all types."""
    model = next(iter(models.values()))
    batch, params = inputs(model, count), jax.device_get(model.init(jax.random.key(0)))
    theirs = {}
    if peer:
        module = peers.made(peers.load(peer), 'GAIR')
        params = peers.params(module, params)
        theirs = {f'peer {dtype}': peers.embed_side(module, batch, dtype) for dtype in DTYPES}
    return {f'ours {dtype}': ours(m, params, batch) for dtype, m in models.items()} | theirs


def ours(model: Model, params: Params, batch: Batch) -> record.Side:
    """Our side, by the program that embeds batches everywhere (`serve.program`)."""
    program = Program(_embed(model), placed(params, model.config), flops.embed(model))
    rows = [jax.device_put(batch[field]) for field in FIELDS]
    return record.Side(lambda: jax.block_until_ready(program(*rows)), record.leaves)


def _embed(model: Model) -> Any:
    def embed(params: Params, *rows: Array) -> list[Array]:
        out = model.apply(params, dict(zip(FIELDS, rows, strict=True)))
        return [out[name].astype(jnp.float32) for name in OUTPUTS]

    return embed


def _compiled_flops(model: Model, count: int) -> float:
    """Of a triple, by the compiler's count of a program of one chunk."""
    rows = _rows(model, count)
    batch = inputs(model, rows)
    params = placed(jax.device_get(model.init(jax.random.key(0))), model.config)
    embed = _embed(model)
    program = compile_ahead(
        lambda params, *given: embed(together(params), *given),
        params,
        *(batch[field] for field in FIELDS),
    )
    return program.flops / rows


def _rows(model: Model, count: int) -> int:
    """Triples that go through at a time."""
    return chunk_rows(count, flops.embed(model)) or count


def _product(model: Model, count: int) -> tuple[Call, float]:
    """The largest product of a layer by itself, and its FLOPs: what the encoders consist of."""
    assert model.sv is not None
    spec, dtype = model.sv.spec, DTYPES[model.config.model.dtype]
    rows = _rows(model, count) * spec.patches
    dim, wide = spec.layers.dim, spec.layers.mlp_dim
    x, kernel = jnp.ones((rows, dim), dtype), jnp.ones((dim, wide), dtype)
    sums = products.sum_type(dtype)
    program = compile_ahead(
        lambda x, kernel: jnp.matmul(x, kernel, preferred_element_type=sums), x, kernel
    )
    repeats = math.ceil(PRODUCT_FLOPS / (2 * rows * dim * wide))

    def call() -> None:
        for _ in range(repeats):
            jax.block_until_ready(program.call(x, kernel))

    return call, 2.0 * rows * dim * wide * repeats


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes, counted = found['sizes'], found['flops']
    title = (
        f'{sizes["batch"]} triples a call: a 96 x 96 tile of 10 bands and one point in it, a '
        f'224 x 224 photo and a place, ViT-B; ours in {found["dtype"]}, the peer in float32.'
    )
    sentences = [
        f'A triple costs {counted["from_sizes"] / 1e9:.1f} GFLOP by its sizes '
        f"({counted['compiled'] / 1e9:.1f} by the compiler's count).",
        f'Ours does {found["rate"] / 1e9:.0f} GFLOP/s, '
        f'{found["rate"] / found["product_rate"]:.0%} of the '
        f'{found["product_rate"] / 1e9:.0f} that the largest product of a layer reaches alone.',
        'Each compute type: '
        + ', '.join(f'{name} {side["seconds"]:.4g} s' for name, side in found['sides'].items())
        + '.',
    ]
    return f'{title}\n\n' + record.table(found, 'triples', sentences)
