"""Products in the compute type, by the instructions that a device has for them.

XLA's compiler for CPUs uses bfloat16 instructions (AVX512-BF16, AMX) in one form alone: products
whose result is float32. All others it computes in float32, after converting both sides. On a GPU a
float32 result would be the worse choice: its gradient is float32 too, and so would be the products
that the gradient is made of.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def device() -> Any:
    """What a step that is traced now runs on: of the mesh that is set, or else the first device.

    That of a mesh need not be in this machine. It has `platform` and `device_kind`.
    """
    return jax.sharding.get_abstract_mesh().abstract_device or jax.devices()[0]


def sum_type(dtype: Any) -> Any:
    """Type that a product of two arrays of `dtype` is asked for; it is then rounded to `dtype`."""
    return jnp.float32 if dtype == jnp.bfloat16 and device().platform == 'cpu' else dtype


def dot_general(
    lhs: Array,
    rhs: Array,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """`jax.lax.dot_general` of two arrays of one type, in the form that suits the device."""
    wanted = preferred_element_type or lhs.dtype
    out = jax.lax.dot_general(
        lhs, rhs, dimension_numbers, precision, preferred_element_type=sum_type(wanted)
    )
    return out.astype(wanted)
