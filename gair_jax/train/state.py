"""What a training run carries from step to step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from gair_jax.train.memory_bank import MemoryBank

Params = dict[str, Any]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that training changes; randomness and data follow from (seed, step).

    `teacher` holds the start encoders that distillation compares with, and is empty without it.
    """

    step: Int[Array, '']
    params: Params
    opt_state: Any
    bank: MemoryBank
    teacher: Params


def parameter_count(params: Params) -> int:
    """The number of scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def initial_step() -> Int[Array, '']:
    """No step has been taken."""
    return jnp.zeros((), jnp.int32)
