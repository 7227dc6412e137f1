"""The kinds that the runner understands: a name, and a function from a case to full arrays."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.parity.weights import Case

Arrays = dict[str, np.ndarray]


class Unsupported(Exception):
    """The case asks for a variant of its kind that the project does not have."""


class FileMissing(Exception):
    """A real file that the case names does not lie under the data folder."""


@dataclasses.dataclass(frozen=True)
class Data:
    """The folder of real files."""

    root: pathlib.Path

    def file(self, name: str) -> pathlib.Path:
        """A file of the folder; FileMissing where it is absent."""
        path = self.root / name
        if not path.exists():
            raise FileMissing(f'{path} is absent')
        return path


Kind = Callable[[Case, Data], Arrays]
KINDS: dict[str, Kind] = {}


def kind(name: str) -> Callable[[Kind], Kind]:
    """Registers the function of a kind."""

    def register(function: Kind) -> Kind:
        KINDS[name] = function
        return function

    return register


def require(kwargs: dict[str, Any], **known: Any) -> None:
    """Unsupported unless each named kwarg, where the case gives it, has a value that we have.

    A tuple lists several allowed values.
    """
    for name, allowed in known.items():
        values = allowed if isinstance(allowed, tuple) else (allowed,)
        found = kwargs.get(name, values[0])
        if found not in values:
            raise Unsupported(f'{name}={found!r}, where we have {", ".join(map(repr, values))}')
