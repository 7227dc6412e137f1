"""Config files with overrides from the command line, refused in words."""

import dataclasses
import difflib
import os
import sys
import typing
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from gair_jax.config import Config, InputError, section_of

Kind = TypeVar('Kind')


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """The config of a training run; as `load_kind`."""
    return load_kind(Config, path, overrides)


def load_kind(kind: type[Kind], path: str, overrides: Sequence[str] = ()) -> Kind:
    """The config of a file (`path` or `path:argument`) with `--config.a.b=value` overrides.

    `kind` is the dataclass that the file's get_config must return.

    Raises InputError naming an unknown field, a value of the wrong type, or a missing file; in the
    file as on the command line.
    """
    from absl import flags
    from ml_collections import config_flags

    file = path.split(':')[0]
    if not os.path.isfile(file):
        raise InputError(f'--config: no such file: {file}')
    for override in overrides:
        _check_override(kind, override)
    # Every file is loaded as this one module, in which the names of the file before would stay.
    sys.modules.pop('config_config', None)
    values = flags.FlagValues()
    command = ['gair', f'--config={path}', *overrides]
    config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=command)
    try:
        values(command)
    except KeyError as error:  # an override of what this config has not
        raise InputError(
            f'{file}: expected get_config to return a gair_jax {kind.__name__}, found another '
            'config.'
        ) from error
    except (flags.IllegalFlagValueError, flags.UnrecognizedFlagError, TypeError) as error:
        # What the file itself refused comes as the end of a traceback.
        _, refused, said = ' '.join(str(error).split()).rpartition(
            f'{InputError.__module__}.{InputError.__name__}: '
        )
        raise InputError(said if refused else ' '.join(str(error).split())) from error
    if not isinstance(values.config, kind):
        found = type(values.config).__name__
        raise InputError(
            f'{file}: expected get_config to return a gair_jax {kind.__name__}, found {found}.'
        )
    _check_settings(values.config, 'config')
    return values.config


def _check_override(top: type, override: str) -> None:
    """Refuses an override that is not --config.FIELD=VALUE with a field that exists."""
    name, equals, _ = override.partition('=')
    if not name.startswith('--config.') or not equals:
        raise InputError(
            f'{override}: expected --config.FIELD=VALUE (fields: {_where(top)} lists them).'
        )
    kind: Any = top
    for part in name.removeprefix('--config.').split('.'):
        fields = {f.name: f for f in dataclasses.fields(kind)} if kind else {}
        if part not in fields:
            raise _unknown(top, name, part, fields)
        kind = section_of(fields[part])


def _unknown(kind: type, where: str, name: str, known: Iterable[str]) -> InputError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f' (did you mean {near[0]}?)' if near else ''
    return InputError(f'{where}: no such setting{hint}; {_where(kind)} lists them.')


def _where(kind: type) -> str:
    """The file that defines a config."""
    return kind.__module__.replace('.', '/') + '.py'


def _check_settings(section: Any, where: str) -> None:
    """Refuses attributes that are no field, which Python lets a file make, and wrong types."""
    fields = {field.name: field for field in dataclasses.fields(section)}
    for name in sorted(vars(section).keys() - fields.keys()):
        raise _unknown(type(section), f'{where}.{name}', name, fields)
    for name, field in fields.items():
        value, wanted = getattr(section, name), section_of(field) or type(field.default)
        if not _fits(value, wanted):
            raise InputError(f'{where}.{name}: expected {wanted.__name__}, found {value!r}.')
        if section_of(field):
            _check_settings(value, f'{where}.{name}')
        elif wanted is tuple:
            element = typing.get_args(field.type)[0]
            if not all(_fits(item, element) for item in value):
                raise InputError(
                    f'{where}.{name}: expected a tuple of {element.__name__}, found {value}.'
                )


def _fits(value: Any, wanted: type) -> bool:
    """Whether a value is of a type; whole numbers are floats too, and True is no number."""
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)
