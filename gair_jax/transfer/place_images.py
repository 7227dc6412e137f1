"""Features of an image at each place of a table: a .npy with as many rows as the table."""

import pathlib

import numpy as np
from jaxtyping import Bool, Float

from gair_jax.config import InputError
from gair_jax.transfer.moments import CONSTANT


def read(path: pathlib.Path, rows: int, kept: np.ndarray) -> Float[np.ndarray, 'n d']:
    """Features of the kept rows, float32.

    Args:
        path: .npy of numbers, [rows, d]; never unpickled. Only the kept rows are read.
        rows: of the table.
        kept: which of them, int [n].

    Raises:
        InputError: no such file, another shape, or values that are not finite.
    """
    try:
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f'{path}: no such file of image features.') from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f'{path}: cannot be read as an array (.npy): {error}.') from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or len(values) != rows:
        found = ' x '.join(map(str, getattr(values, 'shape', ('several arrays',))))
        raise InputError(f'{path}: expected {rows} rows (those of the table) x features, '
                         f'found {found}.')  # fmt: skip
    if values.dtype.kind not in 'fiu':
        raise InputError(f'{path}: expected numbers, found {values.dtype}.')
    found = values[kept].astype(np.float32)
    if not np.isfinite(found).all():
        row = int(kept[np.argmin(np.isfinite(found).all(axis=1))])
        raise InputError(f'{path}: row {row + 1}: expected finite numbers, found others.')
    return found


def standardised(
    images: Float[np.ndarray, 'n d'], fitted: Bool[np.ndarray, ' n']
) -> Float[np.ndarray, 'n d']:
    """Features in units of the fitted rows' spread, 0 where they do not vary; float32."""
    known = images[fitted]
    mean, spread = known.mean(axis=0, dtype=np.float64), known.std(axis=0, dtype=np.float64)
    scale = np.where(spread > CONSTANT * (1 + np.abs(mean)), spread, np.inf)
    return ((images - mean) / scale).astype(np.float32)
