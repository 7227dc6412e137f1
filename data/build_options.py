"""What every build takes beside its source."""

import os
from typing import TypedDict


class Options(TypedDict, total=False):
    """Options of all builds.

    data_dir: folder that holds prepared data sets; 'prepared'.
    variant: name of this build; 'default'.
    workers: processes; never changes the result; 1.
    """

    data_dir: str | os.PathLike
    variant: str
    workers: int


class RowOptions(Options, total=False):
    """Options of builds whose rows may fail.

    max_failed: largest share of rows that may, 0..1; 0.2.
    """

    max_failed: float
