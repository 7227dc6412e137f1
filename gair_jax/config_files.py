"""Config files with overrides from the command line, refused in words."""

import dataclasses
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any

from gair_jax.config import Config, InputError, check_types, section_of


def load(path: str, overrides: Sequence[str] = ()) -> Config:
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
    # Every file is loaded as this one module, in which the names of the file before would stay.
    sys.modules.pop('config_config', None)
    values = flags.FlagValues()
    command = ['gair', f'--config={path}', *overrides]
    config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=command)
    try:
        values(command)
    except (flags.IllegalFlagValueError, flags.UnrecognizedFlagError, TypeError) as error:
        raise InputError(' '.join(str(error).split())) from error
    if not isinstance(values.config, Config):
        kind = type(values.config).__name__
        raise InputError(f'{file}: expected get_config to return a gair_jax Config, found {kind}.')
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
