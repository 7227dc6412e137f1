"""Every test runs on 8 virtual CPU devices, with shapes checked and ranks never promoted."""

import os

# Before the first import of jax, which reads them once.
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = (
    os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
)

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update('jax_numpy_rank_promotion', 'raise')
# Not `train`: its dataclasses hold shape structs and shardings in the places of arrays.
CHECKED = ('geo', 'input', 'losses', 'models', 'scores', 'sensors')
install_import_hook([f'gair_jax.{room}' for room in CHECKED], 'beartype.beartype')
