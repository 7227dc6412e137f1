"""Loss and gradients of a batch, which may go through the encoders in parts.

A contrastive loss compares every row with every other, so the mean over parts would be another
objective. In parts, therefore, all rows are encoded first without gradient, the loss and its slopes
are computed once for the whole batch, and the parts are encoded again to carry the slopes back
(gradient caching, Gao et al. 2021, arXiv 2101.06983). That is exact, and costs one more forward
pass of the encoders.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gair_jax.train import sharding
from gair_jax.train.interface import Aux, Objective, Outputs
from gair_jax.train.memory_bank import MemoryBank
from gair_jax.train.state import Params

Rows = Mapping[str, Array]


def loss_and_gradients(
    objective: Objective,
    params: Params,
    batch: Rows,
    *,
    bank: MemoryBank,
    teacher: Params,
    key: Array,
    parts: int = 1,
) -> tuple[Array, Aux, Params]:
    """The loss of a batch, what it gives beside, and the gradient of every parameter.

    Args:
      objective: what is minimised.
      params: parameters.
      batch: rows, `row` among them.
      bank: memory bank.
      teacher: start encoders, or {}.
      key: for dropout and masks.
      parts: number of parts; each device's rows must divide by it.
    """

    def compared(params: Params, outputs: Outputs) -> tuple[Array, Aux]:
        return objective.compare(params, outputs, batch, bank=bank, key=key)

    if parts == 1:

        def whole(params: Params) -> tuple[Array, Aux]:
            return compared(params, objective.encode(params, batch, teacher=teacher, key=key))

        (loss, aux), slopes = jax.value_and_grad(whole, has_aux=True)(params)
        return loss, aux, slopes

    outputs = encode(objective, params, batch, teacher=teacher, key=key, parts=parts)
    value_and_slopes = jax.value_and_grad(compared, argnums=(0, 1), has_aux=True)
    (loss, aux), (slopes, of_outputs) = value_and_slopes(params, outputs)

    def carry_back(slopes: Params, given: tuple[Rows, Outputs]) -> tuple[Params, None]:
        part, of_part = given
        _, pull = jax.vjp(lambda p: objective.encode(p, part, teacher=teacher, key=key), params)
        return jax.tree.map(jnp.add, slopes, pull(of_part)[0]), None

    cut = sharding.cut(batch, parts), sharding.cut(of_outputs, parts)
    slopes, _ = jax.lax.scan(carry_back, slopes, cut)
    return loss, aux, slopes


def encode(
    objective: Objective, params: Params, batch: Rows, *, teacher: Params, key: Array | None,
    parts: int,
) -> Outputs:  # fmt: skip
    """What the encoders make of a batch, a part at a time."""
    if parts == 1:
        return objective.encode(params, batch, teacher=teacher, key=key)

    def of_part(part: Rows) -> Outputs:
        return objective.encode(params, part, teacher=teacher, key=key)

    return sharding.joined(jax.lax.map(of_part, sharding.cut(batch, parts)))
