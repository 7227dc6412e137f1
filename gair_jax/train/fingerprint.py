"""One line that tells parameters apart, whatever they were read from."""

import concurrent.futures
import hashlib
from typing import Any

import numpy as np

from gair_jax.convert.table import flatten


def fingerprint(params: dict[str, Any]) -> str:
    """The sha256 of parameters: of each one's path, type, shape and sha256, sorted by path."""
    leaves = sorted(flatten(params).items())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        lines = pool.map(_line, *zip(*leaves, strict=True)) if leaves else iter(())
        return hashlib.sha256('\n'.join(lines).encode()).hexdigest()


def _line(path: str, leaf: Any) -> str:
    array = np.array(leaf, order='C')
    return f'{path} {array.dtype} {array.shape} {hashlib.sha256(array.data).hexdigest()}'
