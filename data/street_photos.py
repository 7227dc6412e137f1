"""Photos in a folder, by the uuid that their file is named after."""

import os
import pathlib

import pandas as pd

from gair_jax.config import InputError

SUFFIXES = ('.jpeg', '.jpg', '.png')


def find(root: pathlib.Path, uuids: pd.Series) -> pd.Series:
    """Path under `root`, at any depth, of the photo of each uuid; '' where there is none.

    Raises:
      InputError: the root is no folder, or two files are named after one of the uuids.
    """
    if not root.is_dir():
        raise InputError(f'{root}: expected a folder of photos, found none.')
    wanted, found = set(uuids), dict[str, str]()
    for folder, _, names in os.walk(root):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in SUFFIXES or stem not in wanted:
                continue
            path = os.path.relpath(os.path.join(folder, name), root)
            if stem in found:
                raise InputError(
                    f'{root}: expected one photo of {stem}, found {found[stem]} and {path}.'
                )
            found[stem] = path
    return uuids.map(found).fillna('')
