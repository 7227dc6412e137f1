"""Draws the weights that a parity case does not store.

Every other parameter named in `param_shapes` is
drawn: 0.02 times a standard normal, plus 1 for the keys listed in `ones`, from NumPy's default
generator seeded with the case's seed and the CRC-32 of the parameter's name.
"""

import dataclasses
import pathlib
import zlib

import numpy as np

from gair_jax.serve import parity
from gair_jax.serve.parity import Case

SPREAD = 0.02


def drawn(name: str, shape: tuple[int, ...], seed: int, centre: float) -> np.ndarray:
    """The float32 array that stands for the parameter `name`."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode('utf-8'))])
    return np.asarray(centre + SPREAD * generator.standard_normal(shape), np.float32)


def load(path: pathlib.Path) -> Case:
    """Reads a case with all its parameters; InputError where the file is not one."""
    case = parity.read_case(path)
    meta, stored = case.meta, case.params
    ones = frozenset(meta.get('ones', ()))
    params = {
        name: drawn(name, tuple(shape), meta['seed'], 1.0 if name in ones else 0.0)
        for name, shape in meta.get('param_shapes', {}).items()
        if name not in stored
    }
    return dataclasses.replace(case, params=params | stored)
