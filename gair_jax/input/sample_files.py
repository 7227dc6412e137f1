"""Samples of a prepared data set: files that name the rows of a split which are trained on.

`gair data sample` writes them, `data.sample` of a config names one. They hold no pixels, so that a
data set is balanced without a copy of it.
"""

import json
import os
import pathlib
from typing import Any

import numpy as np
from jaxtyping import Int

from gair_jax.config import DataConfig, InputError
from gair_jax.input.store import Store

FORMAT = 'gair_jax sample 1'


def key_of(data: DataConfig, store: Store, split: str) -> dict[str, Any]:
    """What a sample must agree in with the data set that it is drawn from."""
    return {
        'name': data.name,
        'variant': data.variant,
        'split': split,
        'records': len(store.photos(split)),
        'splits_sha256': store.metadata.get('splits_sha256', ''),
    }


def read(path: str | os.PathLike[str], data: DataConfig, split: str) -> Int[np.ndarray, ' n']:
    """The rows of a sample, in ascending order.

    Args:
      path: of the file.
      data: names the data set that is trained on.
      split: that is trained on.

    Raises:
      InputError: there is no such file, it is no sample, or one of another data set or split.
    """
    found = _json(pathlib.Path(path))
    expected = key_of(data, Store(data), split)
    for name, value in expected.items():
        if found.get(name) != value:
            raise InputError(
                f'{path}: expected a sample with {name} {value!r} (data.sample), found '
                f'{found.get(name)!r}.'
            )
    rows = found.get('rows')
    whole = isinstance(rows, list) and all(type(row) is int for row in rows)
    if not whole or not rows:
        raise InputError(f'{path}: expected `rows`, a list of row numbers, found {_short(rows)}.')
    made = np.unique(np.array(rows, np.int64))
    if len(made) != len(rows) or made[0] < 0 or made[-1] >= expected['records']:
        raise InputError(
            f'{path}: expected each of `rows` once and within 0..{expected["records"] - 1}.'
        )
    return made


def write(values: dict[str, Any], path: pathlib.Path) -> None:
    """Writes a sample, whole or not at all; `values` hold `key_of`, rows and what is said of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    part.write_text(json.dumps({'format': FORMAT, **values}), encoding='utf-8')
    os.replace(part, path)


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{path}: cannot be read (data.sample): {error.strerror}.') from error
    except ValueError as error:
        raise InputError(f'{path}: expected a file of `gair data sample`: {error}.') from error
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise InputError(f'{path}: expected a file of `gair data sample`, found another.')
    return found


def _short(value: Any) -> str:
    return 'an empty list' if value == [] else f'{value!r}'[:40]
