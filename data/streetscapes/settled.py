"""Whether the stages before `pair` have done all of their work, whoever did it.

A worker that never ran leaves no trace: so what is in the ledgers is held against the plan, and not
against itself.
"""

import collections
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from gair_jax.builders.streetscapes import keys, ledger, photos_files, scenes_fetch, tally
from gair_jax.builders.streetscapes.ledger import Entry
from gair_jax.config import InputError

KEPT = 'kept'


def check(
    out: pathlib.Path, tiles: Iterable[str], photos: pd.DataFrame, *, allow_failed: bool
) -> None:
    """Refuses a build of which something was never asked for, is to be done or has failed.

    Args:
      out: its folder.
      tiles: keys of the plan's tiles.
      photos: of the plan: `key`, `source`, `reserve`.
      allow_failed: what failed and may still be had is as good as dropped.

    Raises:
      InputError: names the stage and a key.
    """
    searched = _complete(out, 'search', set(tiles), allow_failed)
    found = [key for key, entry in searched.items() if entry.state == KEPT]
    selected = _complete(out, 'select', set(found), allow_failed)
    dates = {key: e.record['dates'] for key, e in selected.items() if e.state == KEPT}
    read = collections.Counter[str]()
    for entry in entries(out, scenes_fetch.STAGE, allow_failed):
        read[entry.key.rpartition('/')[0]] += 1
    _refuse(out, scenes_fetch.STAGE, dates, [key for key in dates if read[key] < dates[key]])
    wanted = set(photos['key'][~photos['reserve'] & (photos['source'] != keys.PLACE)])
    # Their states are looked at when they are read: a million records are not read for it twice.
    asked = tally.states(tally.paths(out, photos_files.STAGE))
    _refuse(out, photos_files.STAGE, wanted, wanted - asked.keys())


def entries(out: pathlib.Path, stage: str, allow_failed: bool) -> Iterator[Entry]:
    """Entries of all workers; InputError where one is still to be done or, unless allowed, failed.

    They are read twice, not held: each has a record of its origin.
    """
    paths = tally.paths(out, stage)
    if not paths:
        raise InputError(f'{out}: the stage {stage} has not run.')
    states, first = collections.Counter[str](), dict[str, str]()
    for entry in ledger.merged(paths):
        states[entry.state] += 1
        first.setdefault(entry.state, entry.key)
    for state, words in (
        ('todo', 'are still to be done'),
        ('failed', 'have failed and may be had later'),
    ):
        if states[state] and not (state == 'failed' and allow_failed):
            raise InputError(
                f'{out}: {stage}: {states[state]} of {states.total()} {words}, as {first[state]}.'
            )
    return ledger.merged(paths)


def _complete(
    out: pathlib.Path, stage: str, wanted: set[str], allow_failed: bool
) -> Mapping[str, Entry]:
    """The entries of a stage of tiles, by key."""
    found = {entry.key: entry for entry in entries(out, stage, allow_failed)}
    _refuse(out, stage, wanted, wanted - found.keys())
    return found


def _refuse(out: pathlib.Path, stage: str, wanted: Iterable[str], missing: Iterable[str]) -> None:
    missing = sorted(missing)
    if missing:
        raise InputError(
            f'{out}: {stage}: {len(missing)} of {len(list(wanted))} were never asked for, as '
            f'{missing[0]}: a worker has not run.'
        )
