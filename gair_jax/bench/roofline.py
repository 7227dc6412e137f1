"""How long a compiled program would take if every kernel ran at one of a GPU's ceilings.

Each kernel takes the longer of its FLOPs and its bytes at the GPU's rates, one after the other. The
products of a step are smaller than those that the rate was measured with, so they are given a share
e of it, which only a measurement on the GPU can tell. Starting kernels costs nothing here.
"""

from collections.abc import Sequence
from typing import Any

from gair_jax.bench.kernels import CLASSES, Kernel
from gair_jax.bench.target import Rates

SHARES = (1.0, 0.9, 0.8)


def seconds(kernels: Sequence[Kernel], rates: Rates, share: float) -> dict[str, float]:
    """Of each class of kernels; `share` is e."""
    found = dict.fromkeys(CLASSES, 0.0)
    for kernel in kernels:
        found[kernel.kind] += kernel.times * _seconds(kernel, rates, share)
    return found


def _seconds(kernel: Kernel, rates: Rates, share: float) -> float:
    moving = kernel.bytes / rates.copy
    if kernel.kind == 'other':
        return moving
    at = rates.attention if kernel.kind == 'attention' else share * rates.product[kernel.number]
    return max(moving, kernel.flops / at)


def predicted(
    kernels: Sequence[Kernel], rates: Rates, triples: int, flops: float
) -> list[dict[str, Any]]:
    """For each share: the step's seconds by class and whole, its rate, and the two MFU.

    Args:
      kernels: of a step.
      rates: of the GPU.
      triples: in the batch.
      flops: model FLOPs of the step; what is computed again or beside the model is not in it.
    """
    rows = []
    for share in SHARES:
        parts = seconds(kernels, rates, share)
        whole = sum(parts.values())
        rows.append(
            {
                'share': share,
                'seconds': round(whole, 5),
                'by_class': {name: round(value, 5) for name, value in parts.items()},
                'triples_per_second': round(triples / whole, 1),
                'mfu_of_measured_product': round(flops / whole / rates.product['bf16'], 4),
                'mfu_of_peak': round(flops / whole / rates.peak, 4),
            }
        )
    return rows
