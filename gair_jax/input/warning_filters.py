"""Warnings filtered around one call, from any thread.

`warnings.catch_warnings` swaps filters of the whole process: two threads inside it at once can
leave each other's filters behind.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.RLock()


@contextlib.contextmanager
def filtered(error: type[Warning] | None, ignore: type[Warning]) -> Iterator[None]:
    """Raises warnings of `error` and passes over those of `ignore`; one thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter('ignore', ignore)
        if error is not None:
            warnings.simplefilter('error', error)
        yield
