"""A function of a model's parameters and a batch, compiled once a shape and called many times."""

import os
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gair_jax.config import Config
from gair_jax.models.gair import Params
from gair_jax.models.transformer import DTYPES, LAYERS, apart, together

# Of rows; more of a ViT-B leave a core's share of the third-level cache.
CHUNK_ON_CPU = 4
LEAST_FLOPS = 1e9  # of a row: below, handing over chunks takes longer than it saves
# Of products on a CPU: each runs on the core that its chunk is on.
ONE_CORE = {'xla_cpu_multi_thread_eigen': False}


class Program:
    """`function(params, *batch)` as `program(*batch)`; a batch may have any number of rows.

    On a CPU a batch of large rows goes through in chunks, as many at a time as there are cores,
    each on one of them: nearly all that a core can do, where cores that share every product wait
    for each other. Fewer rows than cores, small ones, and any on another device go through as one.
    """

    def __init__(self, function: Callable[..., Any], params: Any, row_flops: float) -> None:
        """`function` gives a row for each of a batch.

        Args:
          function: of parameters and arrays with the same number of rows.
          params: what `placed` gives.
          row_flops: what a row costs, about (`models.flops`).
        """

        def whole(params: Any, *batch: Array) -> Any:
            return function(together(params), *batch)

        self._params, self._row_flops = params, row_flops
        self._whole = jax.jit(whole)
        self._on_a_core = jax.jit(whole, compiler_options=ONE_CORE)

    def __call__(self, *batch: np.ndarray | Array) -> Any:
        """The results, on the device; they need not be finished yet."""
        chunk = chunk_rows(len(batch[0]), self._row_flops)
        if not chunk:
            return self._whole(self._params, *batch)
        # Each call returns at once, and the device's threads take them as they come.
        parts = [
            self._on_a_core(self._params, *(x[start : start + chunk] for x in batch))
            for start in range(0, len(batch[0]), chunk)
        ]
        return jax.tree.map(lambda *rows: jnp.concatenate(rows), *parts)


def chunk_rows(rows: int, row_flops: float) -> int:
    """Rows that go through on one core; 0 where a batch is not cut."""
    if jax.default_backend() != 'cpu' or row_flops < LEAST_FLOPS:
        return 0
    return min(CHUNK_ON_CPU, rows // cores())


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == 'linux' else os.cpu_count() or 1


def placed(params: Params, config: Config) -> Any:
    """Parameters on the device as a `Program` takes them.

    The layers of every stack are arrays of their own, and the kernels of layers are rounded to the
    compute type once, which every call would do otherwise.
    """
    dtype = DTYPES[config.model.dtype]

    def rounded(path: tuple[Any, ...], leaf: Array) -> Array:
        names = [part.key for part in path]
        return leaf.astype(dtype) if LAYERS in names and names[-1] == 'kernel' else leaf

    return jax.device_put(apart(jax.tree_util.tree_map_with_path(rounded, params)))
