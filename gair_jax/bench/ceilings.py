"""What a device can do at most: by its data sheet, and as two simple programs find it."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gair_jax.bench.program import compile_ahead
from gair_jax.bench.timing import Call

# Dense bfloat16 FLOP/s, by a part of the name that JAX gives the device. NVIDIA data sheets (H100
# and H200 SXM, A100, without sparsity); jax-ml/scaling-book for the TPUs.
PEAKS = {
    'H200': 989e12,
    'H100': 989e12,
    'A100': 312e12,
    'TPU v5 lite': 197e12,
    'TPU v5p': 459e12,
    'TPU v5': 459e12,
    'TPU v6 lite': 918e12,
}


class Load(NamedTuple):
    """A call, and how many FLOPs or bytes it takes."""

    call: Call
    amount: float


def peak(device_kind: str) -> float | None:
    """FLOP/s by the data sheet; None for a device that is not listed, a CPU among them."""
    return next((flops for name, flops in PEAKS.items() if name in device_kind), None)


def product(dtype: str) -> Load:
    """A square matrix product large enough to keep the device busy."""
    n = 2048 if jax.default_backend() == 'cpu' else 8192
    x = jnp.ones((n, n), dtype)
    program = compile_ahead(jnp.matmul, x, x)
    repeats = math.ceil((2e11 if jax.default_backend() == 'cpu' else 2e13) / (2 * n**3))

    def call() -> None:
        jax.block_until_ready([program.call(x, x) for _ in range(repeats)])

    return Load(call, 2.0 * n**3 * repeats)


def copy() -> Load:
    """Memory read and written, bytes of both, by adding 1 to a large array."""
    size = 2**28 if jax.default_backend() == 'cpu' else 2**31
    x = jnp.zeros(size // 4, jnp.float32)
    program = compile_ahead(lambda x: x + 1, x)
    return Load(lambda: jax.block_until_ready(program.call(x)), 2.0 * size)
