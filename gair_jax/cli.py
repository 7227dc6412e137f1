"""`gair VERB`: finds the verb, runs it, and turns what goes wrong into one sentence.

Exit codes: 0 fine, 1 a finding, 2 bad input, 3 a non-finite training step, 75 stopped by a signal
with a checkpoint saved, 76 another process of the run was lost.
"""

import argparse
import errno
import importlib
import sys
from collections.abc import Sequence

from gair_jax.config import InputError
from gair_jax.verbs import VERBS

# What the user can mend: a full or limited disk, a path that is absent, closed or of another kind.
MENDABLE = (
    errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.EACCES, errno.EISDIR,
    errno.ENOTDIR,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    parser = _parser()
    known, rest = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    if rest and not getattr(known, 'takes_overrides', False):
        parser.error(f'unrecognized arguments: {" ".join(rest)}')
    try:
        return known.run(known, rest)
    except InputError as error:
        return _refuse(error)
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        return _refuse(f'{error.filename or "output"}: {error.strerror}.')


def _refuse(message: object) -> int:
    print(f'gair: {str(message).rstrip(".")}.', file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='gair',
        description='GAIR: tiles, street view photos and places in one embedding, in JAX.',
        epilog='gair VERB --help explains a verb.',
    )
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    for name in VERBS:
        importlib.import_module(f'gair_jax.verbs.{name}').add(verbs)
    return parser


if __name__ == '__main__':
    sys.exit(main())
