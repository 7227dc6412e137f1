"""`gair VERB`: parses, calls, prints; no logic.

Nothing heavy is imported before a verb runs, so `gair VERB --help` answers at once.
Exit codes: 0 fine, 1 a finding, 2 bad input, 3 a non-finite training step, 75 stopped by a signal
with a checkpoint saved.
"""

import argparse
import dataclasses
import difflib
import errno
import importlib
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from gair_jax.config import Config, InputError, check_types, section_of

FULL = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    if rest and known.verb not in TAKES_OVERRIDES:
        parser.error(f'unrecognized arguments: {" ".join(rest)}')
    try:
        return known.run(known, rest)
    except InputError as error:
        return _refuse(error)
    except OSError as error:
        if error.errno not in (*FULL, errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR):
            raise
        return _refuse(f'{error.filename or "output"}: {error.strerror}.')


def _refuse(message: object) -> int:
    print(f'gair: {message}', file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    from gair_jax.cli_arguments import add_verbs

    parser = argparse.ArgumentParser(
        prog='gair',
        description='GAIR: tiles, street view photos and places in one embedding, in JAX.',
        epilog='gair VERB --help explains a verb.',
    )
    add_verbs(
        parser.add_subparsers(dest='verb', required=True, metavar='VERB'),
        {
            'train': run_train, 'first-look': run_first_look,
            'build': run_build, 'list': run_list, 'check': run_check,
        },
    )  # fmt: skip
    return parser


TAKES_OVERRIDES = ('train',)


def load_config(path: str, overrides: Sequence[str]) -> Config:
    """The config of a file (`path` or `path:argument`) with `--config.a.b=value` overrides.

    Raises InputError naming an unknown field, a value of the wrong type, or a missing file.
    """
    from absl import flags
    from ml_collections import config_flags

    file = path.split(':')[0]
    if not os.path.isfile(file):
        raise InputError(f'--config: no such file: {file}')
    for override in overrides:
        _check_override(override)
    values = flags.FlagValues()
    command = ['gair', f'--config={path}', *overrides]
    config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=command)
    try:
        values(command)
    except (flags.IllegalFlagValueError, flags.UnrecognizedFlagError, TypeError) as error:
        raise InputError(' '.join(str(error).split())) from error
    check_types(values.config)
    return values.config


def _check_override(override: str) -> None:
    """Refuses an override that is not --config.FIELD=VALUE with a field that exists."""
    name, equals, _ = override.partition('=')
    if not name.startswith('--config.') or not equals:
        raise InputError(f'{override}: expected --config.FIELD=VALUE (fields: gair_jax/config.py).')
    kind: Any = Config
    for part in name.removeprefix('--config.').split('.'):
        fields = {f.name: f for f in dataclasses.fields(kind)} if kind else {}
        if part not in fields:
            near = difflib.get_close_matches(part, fields, 1)
            hint = f' (did you mean {near[0]}?)' if near else ''
            raise InputError(f'{name}: no such setting{hint}; gair_jax/config.py lists them.')
        kind = section_of(fields[part])


def run_train(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """`gair train`."""
    config = load_config(arguments.config, overrides)
    from gair_jax.train import loop

    try:
        result = loop.train(config, arguments.workdir)
    except loop.NonFiniteStepError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 3
    except loop.StoppedError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 75
    print(f'{result.steps} steps done; checkpoints in {arguments.workdir}.')
    return 0


def run_first_look(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair first-look`."""
    from gair_jax.report import first_look

    first_look.run(
        pathlib.Path(arguments.checkpoint),
        pathlib.Path(arguments.out or arguments.checkpoint),
        data_dir=arguments.data_dir,
        seed=arguments.seed,
    )
    return 0


def run_build(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data build NAME`."""
    builder = importlib.import_module(f'gair_jax.builders.{arguments.name}.builder')
    words = ('verb', 'action', 'name', 'run')
    print(builder.build(**{k: v for k, v in vars(arguments).items() if k not in words}))
    return 0


def run_list(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data list`."""
    from gair_jax.builders import catalogue

    catalogue.print_table(arguments.data_dir)
    return 0


def run_check(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data check NAME`."""
    from gair_jax.builders import catalogue

    found = catalogue.check(arguments.data_dir, arguments.name, arguments.variant)
    print(found)
    return 1 if found.findings else 0


if __name__ == '__main__':
    sys.exit(main())
