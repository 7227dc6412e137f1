"""What an examination says, and what it holds files against."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gair_jax import sensors
from gair_jax.sensors import SensorContract

# In order of gravity: the place of a level is the exit code of `gair doctor`.
FINE, SUSPICIOUS, UNUSABLE = LEVELS = ('fine', 'suspicious', 'unusable')
Path = str | os.PathLike[str]


class Finding(NamedTuple):
    """One sentence about a file.

      level: 'fine', 'suspicious' (it can be used, and the result is doubtful) or 'unusable'.
    text: names the file, what was found and what was expected, and what to do.
    """

    level: str
    text: str


class Expected(NamedTuple):
    """What files are held against.

    sensor: contract of the tiles' bands.
    window: side in pixels of what the encoder sees of a tile; 0 is any.
    photo_side: side in pixels of its photos.
    data_dir: prepared data sets of configs; '' is where the config says.
    root: folder of the files that a table names; '' is this folder or that of the table.
    columns: column of a table for each field whose name differs (`gair data build photos`).
    check_data_set: reads every record of a data set, given data_dir, name and variant, and
      returns sentences; without it only the ends of a data set are read.
    """

    sensor: SensorContract = sensors.CONTRACTS['sentinel2_10']
    window: int = 0
    photo_side: int = 224
    data_dir: str = ''
    root: str = ''
    columns: Mapping[str, str] = {}
    check_data_set: Callable[[Path, str, str], Any] | None = None


def suspicious(path: Path, text: str) -> Finding:
    """It can be used, and should be looked at."""
    return Finding(SUSPICIOUS, f'{os.fspath(path)}: suspicious: {text}.')


def unusable(path: Path, text: str) -> Finding:
    """It cannot be used as it is."""
    return Finding(UNUSABLE, f'{os.fspath(path)}: unusable: {text}.')


def or_fine(path: Path, found: list[Finding], what: str) -> list[Finding]:
    """The findings, or where there are none, that the file is fine and what it is."""
    return found or [Finding(FINE, f'{os.fspath(path)}: fine: {what}.')]
