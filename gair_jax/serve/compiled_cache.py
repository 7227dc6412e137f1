"""Compiled programs kept on disk, so that a second run of a verb starts at once."""

import os
import pathlib

import jax

DEFAULT = pathlib.Path('~/.cache/gair_jax/compiled')
LEAST_SECONDS = 0.2  # of compilation, for a program to be worth a file


def use() -> pathlib.Path:
    """Keeps compiled programs in $JAX_COMPILATION_CACHE_DIR, else in `DEFAULT`.

    For the command line alone: whoever calls from Python settles this for their own process.
    """
    folder = pathlib.Path(os.environ.get('JAX_COMPILATION_CACHE_DIR') or DEFAULT).expanduser()
    jax.config.update('jax_compilation_cache_dir', str(folder))
    if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
        jax.config.update('jax_persistent_cache_min_compile_time_secs', LEAST_SECONDS)
    return folder
