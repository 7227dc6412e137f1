"""Reads a parity case and draws the weights that it does not store.

A case is one .npz: `meta` (a JSON string), inputs under `in/`, reference outputs under `out/`, and
under `param/` the parameters that were stored. Every other parameter named in `param_shapes` is
drawn: 0.02 times a standard normal, plus 1 for the keys listed in `ones`, from NumPy's default
generator seeded with the case's seed and the CRC-32 of the parameter's name.
"""

import dataclasses
import json
import pathlib
import zipfile
import zlib
from typing import Any

import numpy as np

SPREAD = 0.02
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """One case as stored; `path` names it, nothing is read out of the name."""

    path: pathlib.Path
    meta: dict[str, Any]
    params: Arrays
    inputs: Arrays
    outputs: Arrays

    @property
    def kind(self) -> str:
        return self.meta['kind']

    @property
    def kwargs(self) -> dict[str, Any]:
        return self.meta['kwargs']


def drawn(name: str, shape: tuple[int, ...], seed: int, centre: float) -> np.ndarray:
    """The float32 array that stands for the parameter `name`."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode('utf-8'))])
    return np.asarray(centre + SPREAD * generator.standard_normal(shape), np.float32)


def load(path: pathlib.Path) -> Case:
    """Reads a case; ValueError where the file is not one."""
    try:
        with path.open('rb') as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        meta = json.loads(str(arrays.pop('meta')))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ValueError(f'{path}: not a parity case: {error}') from error
    parts: dict[str, Arrays] = {'param': {}, 'in': {}, 'out': {}}
    for name, array in arrays.items():
        group, _, rest = name.partition('/')
        parts[group][rest] = array
    ones = frozenset(meta.get('ones', ()))
    params = {
        name: drawn(name, tuple(shape), meta['seed'], 1.0 if name in ones else 0.0)
        for name, shape in meta.get('param_shapes', {}).items()
        if name not in parts['param']
    }
    return Case(path, meta, params | parts['param'], parts['in'], parts['out'])
