"""Where the variants of a data set lie, and what is noted of a finished one."""

import json
import os
import pathlib
import re
from typing import Any

from gair_jax.config import InputError

VERSION = '1.0.0'


def check_variant(variant: str) -> None:
    """Raises InputError unless the name of a variant can be part of a folder's name."""
    if not re.fullmatch(r'\w[\w-]*', variant, re.ASCII):
        raise InputError(f'variant: expected letters, digits, _ and -, found {variant!r}.')


def config_dir(data_dir: pathlib.Path, name: str, variant: str, kind: str) -> pathlib.Path:
    """Where the records of one kind ('photos' or 'acquisitions') of a variant lie."""
    return pathlib.Path(data_dir) / name / f'{variant}_{kind}' / VERSION


def staging_dir(data_dir: pathlib.Path, name: str, variant: str) -> pathlib.Path:
    """Where the chunks of an unfinished build lie."""
    return pathlib.Path(data_dir) / name / f'{variant}.staging'


def built(data_dir: pathlib.Path, name: str, variant: str) -> dict[str, Any]:
    """Metadata of a finished variant; empty if there is none."""
    path = config_dir(data_dir, name, variant, 'photos') / 'metadata.json'
    return json.loads(path.read_text()) if path.exists() else {}


def finished(data_dir: str | os.PathLike, name: str) -> list[str]:
    """Variants of a data set that lie prepared in a folder."""
    found = pathlib.Path(data_dir).glob(f'{name}/*_photos')
    return sorted(path.name.removesuffix('_photos') for path in found)
