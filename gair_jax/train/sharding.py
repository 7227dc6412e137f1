"""One mesh for every machine: batches split over its devices, parameters replicated."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.config import InputError

AXES = ('data', 'fsdp')


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with axes `data` and `fsdp` (of size 1) over `devices`; all of them by default."""
    devices = jax.devices() if devices is None else devices
    # Auto by name: make_mesh's own default refuses the all-pairs product of a sharded batch.
    return jax.make_mesh(
        (len(devices), 1), AXES, devices=devices, axis_types=(AxisType.Auto, AxisType.Auto)
    )


def check_batch(mesh: Mesh, batch: int) -> None:
    """Refuses a global batch that the mesh cannot split evenly."""
    if batch % mesh.size:
        raise InputError(
            f'batch: expected a multiple of the {mesh.size} devices that share it, found {batch}.'
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, P())


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Global arrays from this process's slice, rows split over all devices."""
    split = NamedSharding(mesh, P(AXES))
    return {
        name: jax.make_array_from_process_local_data(split, rows) for name, rows in batch.items()
    }
