"""Files of a build that are there whole or not at all, whatever ends the process."""

import contextlib
import os
import pathlib

from gair_jax.config import InputError


def write(path: pathlib.Path, data: bytes) -> None:
    """Writes beside the place and renames; what a full disk leaves of it is removed.

    Raises:
      InputError: it cannot be written.
    """
    part = path.with_name(f'.{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(f'{path}: cannot be written: {error.strerror}.') from error
