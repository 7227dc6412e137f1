"""One mesh for every machine: batches split over all devices, parameters whole or split too."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.config import Config, InputError, MeshConfig

AXES = ('data', 'fsdp')
# Sub-trees whose leaves hold one row for each layer or scale, which are used one at a time.
STACKED = ('layers', 'branches')


def make_mesh(devices: Sequence[jax.Device] | None = None, fsdp: int = 1) -> Mesh:
    """A mesh with axes `data` and `fsdp` over `devices`; all of them by default.

    Neighbouring devices, which have the fastest links, share parameters.

    Raises:
      InputError: `fsdp` does not divide the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    if fsdp < 1 or len(devices) % fsdp:
        raise InputError(
            f'mesh.fsdp: expected a divisor of the {len(devices)} devices, found {fsdp}.'
        )
    # Auto by name: make_mesh's own default refuses the all-pairs product of a sharded batch.
    return jax.make_mesh(
        (len(devices) // fsdp, fsdp),
        AXES,
        devices=devices,
        axis_types=(AxisType.Auto, AxisType.Auto),
    )


def check_batch(mesh: Mesh, config: Config) -> None:
    """Refuses a global batch that the devices, or their parts, cannot split evenly."""
    if config.batch % mesh.size:
        raise InputError(
            f'batch: expected a multiple of the {mesh.size} devices that share it, '
            f'found {config.batch}.'
        )
    rows = config.batch // mesh.size
    if config.accumulation < 1 or rows % config.accumulation:
        raise InputError(
            f'accumulation: expected a divisor of the {rows} rows of a device, '
            f'found {config.accumulation}.'
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, P())


def of_state(mesh: Mesh, mesh_config: MeshConfig, shapes: Any) -> Any:
    """Where each leaf of a training state lies: split over `fsdp` where it is large enough.

    A leaf is split along the largest axis that divides; the bank's embeddings by their rows.
    """

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = [str(getattr(key, 'key', getattr(key, 'name', key))) for key in path]
        if names[0] == 'bank':
            split = leaf.ndim == 2 and leaf.shape[1] > 2 and leaf.shape[0] % mesh.size == 0
            return NamedSharding(mesh, P(AXES) if split else P())
        if leaf.size < mesh_config.whole_below:
            return replicated(mesh)
        stacked = any(name in STACKED for name in names)
        return NamedSharding(mesh, _split(leaf.shape, mesh.shape['fsdp'], int(stacked)))

    return jax.tree_util.tree_map_with_path(place, shapes)


def _split(shape: tuple[int, ...], ways: int, first: int) -> P:
    """Along the largest axis from `first` on that divides by `ways`; whole without one."""
    fitting = [axis for axis in range(first, len(shape)) if shape[axis] % ways == 0]
    if ways == 1 or not fitting:
        return P()
    chosen = max(fitting, key=lambda axis: shape[axis])
    return P(*('fsdp' if axis == chosen else None for axis in range(chosen + 1)))


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Global arrays from this process's slice, rows split over all devices."""
    split = NamedSharding(mesh, P(AXES))
    return {
        name: jax.make_array_from_process_local_data(split, rows) for name, rows in batch.items()
    }


def device_count() -> int:
    """Devices of the mesh that is set; 1 where none is."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty else mesh.size


def split_rows(rows: Any) -> Any:
    """Arrays with their rows split over all devices, zero rows being put behind to fill up."""
    devices = device_count()
    if devices == 1:
        return rows

    def split(x: jax.Array) -> jax.Array:
        more = -len(x) % devices
        filled = jnp.pad(x, ((0, more),) + ((0, 0),) * (x.ndim - 1))
        return jax.lax.with_sharding_constraint(filled, P(AXES))

    return jax.tree.map(split, rows)


def cut(rows: Any, parts: int) -> Any:
    """Arrays [N, ...] as [parts, N / parts, ...]; each device keeps its own rows."""
    devices = device_count()

    def one(x: jax.Array) -> jax.Array:
        by_device = x.reshape(devices, parts, -1, *x.shape[1:])
        return _laid(by_device.swapaxes(0, 1).reshape(parts, -1, *x.shape[1:]), P(None, AXES))

    return jax.tree.map(one, rows)


def joined(rows: Any) -> Any:
    """Arrays that `cut` gave, as they were."""
    devices = device_count()

    def one(x: jax.Array) -> jax.Array:
        by_device = x.reshape(len(x), devices, -1, *x.shape[2:])
        return _laid(by_device.swapaxes(0, 1).reshape(-1, *x.shape[2:]), P(AXES))

    return jax.tree.map(one, rows)


def _laid(x: jax.Array, spec: P) -> jax.Array:
    return x if device_count() == 1 else jax.lax.with_sharding_constraint(x, spec)
