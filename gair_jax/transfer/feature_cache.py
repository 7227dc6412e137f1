"""Features of frozen encoders on disk: computed once, whole or resumed, never another model's.

A folder under the root belongs to one key: everything that its features depend on, down to the
bytes of the parameters. An array grows block by block in NAME.part.npy; NAME.json says how many
rows are whole, and is written after them. A run that dies goes on behind that row.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gair_jax.config import InputError

ROWS = 1024  # computed between two notes of how far it is; bounds the memory
Make = Callable[[np.ndarray], np.ndarray]


class FeatureCache:
    """The arrays of one key."""

    def __init__(self, root: str | os.PathLike[str], key: Mapping[str, Any]) -> None:
        """Opens or begins the folder of `key`, which is plain JSON.

        Raises:
          InputError: the folder cannot be written, or holds another key.
        """
        text = json.dumps(key, sort_keys=True, indent=1)
        self.folder = pathlib.Path(root) / hashlib.sha256(text.encode()).hexdigest()[:24]
        note = self.folder / 'key.json'
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not note.exists():
                _replace(note, text)
            found = note.read_text()
        except OSError as error:
            raise InputError(f'{self.folder}: cannot be used as a cache: {error}.') from error
        if found != text:
            raise InputError(f'{note}: expected the key of these features, found another.')

    def features(self, name: str, count: int, make: Make) -> np.ndarray:
        """The array `name` [count, ...], mapped from disk; what is missing of it is made.

        Args:
          name: letters, digits, _ and -.
          count: its rows.
          make: row numbers int [m], at most `ROWS` -> features [m, ...], row by row: the same for
            a row whatever else is asked for. float32 is stored as it is.

        Raises:
          InputError: a stored array has another number of rows, or the disk is full.
        """
        whole = self.folder / f'{name}.npy'
        if not whole.exists():
            try:
                self._extend(name, count, make)
            except OSError as error:
                raise InputError(f'{whole}: cannot be written: {error}.') from error
        found = np.load(whole, mmap_mode='r', allow_pickle=False)
        if len(found) != count:
            raise InputError(f'{whole}: expected {count} rows, found {len(found)}.')
        return found

    def _extend(self, name: str, count: int, make: Make) -> None:
        part, note = self.folder / f'{name}.part.npy', self.folder / f'{name}.json'
        done = json.loads(note.read_text())['rows'] if part.exists() and note.exists() else 0
        array = np.lib.format.open_memmap(part, mode='r+') if done else None
        for rows in _blocks(done, count):
            made = np.asarray(make(rows))
            if array is None:
                shape = (count, *made.shape[1:])
                array = np.lib.format.open_memmap(part, 'w+', made.dtype, shape)
            array[rows] = made
            array.flush()
            _replace(note, json.dumps({'rows': int(rows[-1]) + 1}))
        if array is None:
            raise InputError(f'{part}: expected at least one row.')
        del array
        part.rename(self.folder / f'{name}.npy')
        note.unlink()


def _blocks(begin: int, end: int) -> Iterator[np.ndarray]:
    for start in range(begin, end, ROWS):
        yield np.arange(start, min(start + ROWS, end))


def _replace(path: pathlib.Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    part = path.with_suffix('.tmp')
    part.write_text(text)
    part.rename(path)
