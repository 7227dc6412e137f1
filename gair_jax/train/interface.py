"""What a step asks of an objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from gair_jax.train.memory_bank import MemoryBank

Params = dict[str, Any]
Outputs = dict[str, Array]


class Aux(NamedTuple):
    """What a loss gives beside its value.

    metrics: scalars; in evaluation also `weight`, how much they count beside other batches, and
      `confusion` [k, k], which is added up.
    pushed: arguments of memory_bank.push; empty: nothing is pushed.
    kept: sub-trees of the parameters as they are after the step, whatever the optimiser does:
      running statistics.
    """

    metrics: dict[str, Array]
    pushed: tuple[Array, ...] = ()
    kept: Params = {}


class Objective(NamedTuple):
    """Pure functions that a step is made of.

    `encode` takes (params, batch, *, teacher, key) and gives arrays with a row for each of the
    batch; without a key there is no dropout. `compare` takes (params, outputs, batch, *, bank,
    key), of the batch only what is not an image, and gives (value, Aux); without a key it
    evaluates. `batch` holds `row`, each row's number. `choice` is the metric of a validation that
    chooses the best parameters: the loss, which is to be low, or a score, which is to be high.
    """

    init: Callable[[Array], Params]
    init_bank: Callable[[Array], MemoryBank]
    init_teacher: Callable[[Params], Params]
    encode: Callable[..., Outputs]
    compare: Callable[..., tuple[Array, Aux]]
    choice: str = 'loss'
