"""Machines that a program is compiled for and counted on, present or not.

JAX's CUDA plug-in compiles for a GPU that is only described. The descriptions are NVIDIA's data
sheets of the SXM modules. Nothing is tuned, since tuning runs kernels, and products go to cuBLASLt;
so a program is the same wherever it is compiled.
"""

import importlib.metadata
import importlib.util
import os
from typing import NamedTuple

import jax

from gair_jax.config import InputError

PLUGINS = ('jax_plugins.xla_cuda13', 'jax_plugins.xla_cuda12')
# All must be set before JAX starts.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cuda,cpu',
    'JAX_SKIP_CUDA_CONSTRAINTS_CHECK': '1',
    'XLA_FLAGS': '--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false',
    'TF_CPP_MIN_LOG_LEVEL': '2',
}

_DESCRIPTION = """
gpu_device_info {{
  cuda_compute_capability {{ major: 9 }}
  core_count: 132  fpus_per_core: 128  clock_rate_ghz: 1.98
  threads_per_warp: 32  threads_per_block_limit: 1024  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  registers_per_block_limit: 65536  registers_per_core_limit: 65536
  shared_memory_per_block: 49152  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  l2_cache_size: {cache}  memory_bandwidth: {bandwidth}  device_memory_size: {memory}
}}
platform_name: "CUDA"
device_description_str: "{name}"
dnn_version_info {{ {dnn} }}
runtime_version {{ major: {runtime} }}
"""


class Rates(NamedTuple):
    """What a GPU does, per second.

    Attributes:
      peak: bfloat16 FLOPs of the data sheet.
      product: FLOPs of large products, by what is multiplied.
      attention: FLOPs of cuDNN's attention.
      copy: bytes read and written.
    """

    peak: float
    product: dict[str, float]
    attention: float
    copy: float


class Target(NamedTuple):
    """A GPU: its name, bytes of memory and of its second cache, bytes a second, and its rates."""

    name: str
    memory: int
    cache: int
    bandwidth: int
    rates: Rates


# Measured on an H200: 789 TFLOP/s for the product of two 8192 x 8192 matrices in bfloat16, and
# 4.3 TB/s copied, of which other kernels are taken to reach 90 %. Assumed: attention; and, as in
# the data sheet, half that product rate for tf32 and a fifteenth for float32.
_PRODUCT = {'bf16': 789e12, 'tf32': 394e12, 'f32': 53e12}
TARGETS = {
    'h200': Target(
        'NVIDIA H200', 150_000_000_000, 62_914_560, 4_800_000_000_000,
        Rates(989e12, _PRODUCT, 250e12, 3.9e12),
    ),
    # The same cores. Its copy rate is taken to be the same share of its bandwidth.
    'h100': Target(
        'NVIDIA H100 80GB HBM3', 85_000_000_000, 52_428_800, 3_350_000_000_000,
        Rates(989e12, _PRODUCT, 250e12, 2.7e12),
    ),
}  # fmt: skip


def prepared() -> bool:
    """Whether this process was started with `ENVIRONMENT`."""
    return all(os.environ.get(name) == value for name, value in ENVIRONMENT.items())


def require_plugin(name: str) -> None:
    """Raises InputError where JAX's CUDA plug-in is not installed."""
    if _plugin() < 0:
        raise InputError(
            f"--target {name}: compiling for an NVIDIA GPU needs JAX's CUDA plug-in, which is not "
            "installed; pip install 'jax[cuda13]' gets it, and no GPU is needed."
        )


def _plugin() -> int:
    """Index of the plug-in that is installed; -1 for none."""
    if importlib.util.find_spec('jax_plugins') is None:
        return -1
    installed = [importlib.util.find_spec(plugin) is not None for plugin in PLUGINS]
    return installed.index(True) if any(installed) else -1


def devices(name: str) -> list[jax.Device]:
    """One device that programs are compiled for; it runs nothing unless it is this machine's CPU.

    Args:
      name: of `TARGETS`, in a `prepared` process; or 'cpu'.
    """
    if name == 'cpu':
        return jax.devices('cpu')[:1]
    from jax.experimental import topologies

    target, runtime = TARGETS[name], 13 - _plugin()
    description = _DESCRIPTION.format(
        name=target.name,
        memory=target.memory,
        cache=target.cache,
        bandwidth=target.bandwidth,
        dnn=_version(f'nvidia-cudnn-cu{runtime}'),
        runtime=runtime,
    )
    found = topologies.get_topology_desc(
        platform='cuda', target_config=description, topology='1x1x1'
    )
    return list(found.devices)


def _version(package: str) -> str:
    """Of an installed package, as a description has it."""
    numbers = importlib.metadata.version(package).split('.')
    return ' '.join(
        f'{part}: {n}' for part, n in zip(('major', 'minor', 'patch'), numbers, strict=False)
    )
