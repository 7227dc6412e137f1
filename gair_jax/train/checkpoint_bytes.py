"""Whether the bytes of a checkpoint are all there.

Where some are missing, Orbax leaves tasks behind that go on to log a traceback for each array; so
they are read once beforehand, and the user gets one sentence.
"""

import pathlib

import tensorstore

from gair_jax.config import InputError


def require_readable(item: pathlib.Path, *, absent_is_fine: bool = True) -> None:
    """Reads the stored arrays of an item of a checkpoint; InputError where one cannot be read.

    An item that is absent as a whole is left to Orbax, or refused too.
    """
    if not item.is_dir():
        if absent_is_fine:
            return
        raise damaged(item, ValueError('it is not there'))
    base = {'driver': 'file', 'path': f'{item}/'}
    try:
        store = tensorstore.KvStore.open({'driver': 'ocdbt', 'base': base}).result()
        keys = store.list().result()
        # A value whose file is gone is read as one of no bytes.
        found = [len(store.read(key).result().value) > 0 for key in keys]
    except ValueError as error:
        raise damaged(item, error) from error
    if not found or not all(found):
        raise damaged(item, ValueError(f'{sum(found)} of {len(found)} stored values are there'))


def damaged(path: pathlib.Path, error: BaseException) -> InputError:
    """The error that says so."""
    return InputError(f'{path}: expected a whole checkpoint, found it damaged ({cause(error)}).')


def cause(error: BaseException) -> str:
    """The first line of what an error says."""
    return str(error).strip().split('\n')[0][:160] or type(error).__name__
