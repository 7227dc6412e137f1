"""Finished chunks of a map or a table on disk, so that a killed run goes on where it stopped.

They lie in OUT.part beside the output, each renamed into place when it is whole, with a fingerprint
of everything they depend on. The folder goes when the output is there.
"""

import contextlib
import fcntl
import io
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gair_jax.config import InputError

FINISHED = ('.npz', '.parquet')


class Parts:
    """The folder of one output.

    Attributes:
      folder: its path.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        """Whether the part was finished."""
        return self._path(name).exists()

    def save(self, name: str, **arrays: Any) -> None:
        """Writes arrays under a name, whole or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        part = self._path(name).with_suffix('.part')
        part.write_bytes(buffer.getbuffer())
        os.replace(part, self._path(name))

    def load(self, name: str, array: str) -> np.ndarray:
        """One of the arrays that `save` wrote."""
        with np.load(self._path(name), allow_pickle=False) as stored:
            return stored[array]

    def _path(self, name: str) -> pathlib.Path:
        return self.folder / f'{name}.npz'


@contextlib.contextmanager
def parts(out: pathlib.Path, fingerprint: Mapping[str, Any]) -> Iterator[Parts]:
    """The parts of `out` that an earlier run with the same fingerprint left; removed on success.

    A folder of other settings is emptied, and a line says so. Nothing is left behind where the run
    fails before its first part.

    Raises:
      InputError: another run is writing the same output, or the folder cannot be written.
    """
    folder = out.with_name(out.name + '.part')
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{folder}: cannot be written: {error.strerror}.') from error
    with _locked(folder):
        try:
            _agree(folder, json.dumps(fingerprint, sort_keys=True, indent=1))
            yield Parts(folder)
        except BaseException:
            if not any(path.suffix in FINISHED for path in folder.iterdir()):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _agree(folder: pathlib.Path, text: str) -> None:
    path = folder / 'fingerprint.json'
    if path.exists() and path.read_text() == text:
        return
    if path.exists():
        print(f'{folder}: kept from a run with other settings or another input; starting over.')
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != 'lock':
            old.unlink()
    part = path.with_suffix('.part')
    part.write_text(text)
    os.replace(part, path)


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    with (folder / 'lock').open('w') as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f'{folder}: another run is writing this output.') from error
        yield
