"""What one worker is to fetch, and what it writes down of it."""

import contextlib
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gair_jax.builders.streetscapes import ledger, photos_files
from gair_jax.builders.streetscapes.photos_cities import LOST, Cities
from gair_jax.config import InputError


class Outcome(NamedTuple):
    """What the ledger is to say of a photo; the fields are those of its entries."""

    key: str
    state: str
    reason: str
    sha256: str
    size: int
    record: Mapping[str, Any]


def lost(key: str, state: str, reason: str) -> Outcome:
    """The outcome of a photo without files."""
    return Outcome(key, state, reason, '', 0, {})


class Share:
    """The photos of a worker: which are wanted, given what became of those before."""

    def __init__(
        self,
        cities: Cities,
        book: ledger.Ledger,
        out: pathlib.Path,
        known: Mapping[str, str],
        removed: frozenset[str],
    ) -> None:
        """Takes note; writes nothing yet.

        Args:
          cities: the photos.
          book: the worker's own ledger.
          out: folder of the build.
          known: states that any ledger has, also those of an earlier division among workers.
          removed: ids that are not to be had, whatever a ledger says.
        """
        self._cities, self._book, self._out = cities, book, out
        self._known, self._removed = known, removed

    def begin(self) -> tuple[int, list[str]]:
        """How many photos are wanted so far, and which of them are to be fetched."""
        wanted = self._cities.wanted(self._state)
        return len(wanted), self._admit(wanted)

    def settle(self, outcome: Outcome) -> list[str]:
        """Writes down what became of a photo; the photos that are to be fetched in its place.

        Raises:
          InputError: the ledger cannot be written.
        """
        if outcome.state != 'kept':
            photos_files.delete(self._out, outcome.key)
        self._write(outcome)
        if outcome.state not in LOST:
            return []
        key = self._cities.replacement(outcome.key)
        while key and self._state(key) in LOST:
            self._admit([key])
            key = self._cities.replacement(key)
        return self._admit([key] if key else [])

    def spend(self, **amounts: float) -> None:
        """Adds to what this worker has spent (`Ledger.spend`), if the ledger can be written."""
        with contextlib.suppress(InputError):
            self._book.spend(**amounts)

    def _state(self, key: str) -> str:
        if photos_files.is_removed(key, self._removed):
            return 'dropped'
        return self._known.get(key, 'todo')

    def _admit(self, wanted: Iterable[str]) -> list[str]:
        """Those of the photos that no ledger has done with; in this one from now on."""
        new = [key for key in wanted if self._known.get(key, 'todo') not in ledger.FINAL]
        self._book.add(new)
        fetched = []
        for key in new:
            if photos_files.is_removed(key, self._removed):
                self._write(lost(key, 'dropped', 'removed'))
            else:
                fetched.append(key)
        return fetched

    def _write(self, outcome: Outcome) -> None:
        key, state, reason, sha256, size, record = outcome
        self._book.settle(key, state, reason=reason, sha256=sha256, size=size, record=record)
