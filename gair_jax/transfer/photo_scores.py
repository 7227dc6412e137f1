"""What an image model says of photos, P(class | photo): dense .npy or SciPy's sparse .npz.

Files are never unpickled. Rows are given out in blocks, dense float64, so that thousands of classes
need not be held dense at once; a .npy stays on disk.
"""

import hashlib
import pathlib
import zipfile
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float

from gair_jax.config import InputError

CHECKED = 1 << 22  # numbers looked at together


class PhotoScores(NamedTuple):
    """Scores [n, C], 0 or more; they need not add up to 1.

    path: of the file.
    values: array on disk, or compressed sparse rows.
    digest: of the file's bytes.
    """

    path: pathlib.Path
    values: Any
    digest: str

    def rows(self, at: np.ndarray) -> Float[np.ndarray, 'b c']:
        """Those of some rows, dense."""
        found = self.values[at]
        dense = found.toarray() if scipy.sparse.issparse(found) else np.asarray(found)
        return dense.astype(np.float64)


def read(path: pathlib.Path, rows: int, classes: int) -> PhotoScores:
    """Scores of a file, checked.

    Args:
        path: .npy or .npz.
        rows: how many there must be.
        classes: columns.

    Raises:
        InputError: no such file, a file of another kind, another shape, or scores that cannot be.
    """
    values = _opened(path)
    if values.ndim != 2 or values.shape != (rows, classes):
        found = ' x '.join(map(str, values.shape))
        raise InputError(
            f'{path}: expected {rows} rows (one each photo) x {classes} columns (one each class), '
            f'found {found}.'
        )
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise InputError(f'{path}: expected numbers, found {values.dtype}.')
    _check_values(path, values)
    with path.open('rb') as file:
        return PhotoScores(path, values, hashlib.file_digest(file, 'sha256').hexdigest())


def width(path: pathlib.Path) -> int:
    """How many classes a file scores."""
    shape = _opened(path).shape
    if len(shape) != 2:
        raise InputError(f'{path}: expected rows x classes, found {len(shape)} dimensions.')
    return int(shape[1])


def _opened(path: pathlib.Path) -> Any:
    if path.suffix not in ('.npy', '.npz'):
        raise InputError(f'{path}: expected predictions as *.npy or *.npz (scipy.sparse.save_npz).')
    try:
        if path.suffix == '.npy':
            return np.load(path, mmap_mode='r', allow_pickle=False)
        return scipy.sparse.load_npz(path).tocsr()
    except FileNotFoundError:
        raise InputError(f'{path}: no such file of predictions.') from None
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        kind = 'an array of numbers' if path.suffix == '.npy' else 'a sparse matrix'
        raise InputError(f'{path}: cannot be read as {kind}: {error}.') from error


def _check_values(path: pathlib.Path, values: Any) -> None:
    """Refuses what is no score; row and column are those of the file, from 1."""
    if scipy.sparse.issparse(values):
        wrong = ~np.isfinite(values.data) | (values.data < 0)
        if wrong.any():
            at = int(np.argmax(wrong))
            row = int(np.searchsorted(values.indptr, at, side='right'))
            raise _not_a_score(path, row, int(values.indices[at]) + 1, values.data[at])
        return
    step = max(1, CHECKED // values.shape[1])
    for start in range(0, len(values), step):
        block = np.asarray(values[start : start + step])
        wrong = ~np.isfinite(block) | (block < 0)
        if wrong.any():
            line, column = (int(at[0]) for at in np.nonzero(wrong))
            raise _not_a_score(path, start + line + 1, column + 1, block[line, column])


def _not_a_score(path: pathlib.Path, row: int, column: int, value: Any) -> InputError:
    hint = '; logits must go through a softmax first' if value < 0 else ''
    return InputError(
        f'{path}: row {row}, column {column}: expected a probability, found {value:g}{hint}.'
    )
