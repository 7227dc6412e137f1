"""What the ledgers of a stage say in sums, without reading what they remember of each key.

A million photos take some seconds, while the workers go on writing.
"""

import collections
import contextlib
import pathlib
import sqlite3
from typing import NamedTuple

from gair_jax.builders.streetscapes.ledger import FINAL, STATES, Ledger
from gair_jax.config import InputError

_SEEN = """
create table seen (
  key text primary key, state text, reason text, size integer, rank integer
) without rowid
"""
# Where workers were counted anew a key may stand in two ledgers: what is settled counts.
_FINAL = ', '.join(f"'{state}'" for state in FINAL)
_MERGE = f"""
insert into seen
  select key, state, reason, size,
    case when state in ({_FINAL}) then 2 when state = 'failed' then 1 else 0 end
  from one.entries where true
on conflict (key) do update set
  state = excluded.state, reason = excluded.reason, size = excluded.size, rank = excluded.rank
  where excluded.rank > rank
"""


class Tally(NamedTuple):
    """Sums over all workers of a stage.

    states: keys by state, of all states.
    reasons: keys by (state, kind of reason), of those that have one, the commonest first.
    size: bytes of files that are kept.
    spent: `seconds`, `requests` and `fetched` (bytes), see `Ledger.spend`.
    rate: keys settled a second, of all workers together; 0 unknown.
    left: seconds until the last worker is done at its own rate; 0 unknown.
    """

    states: dict[str, int]
    reasons: dict[tuple[str, str], int]
    size: int
    spent: dict[str, float]
    rate: float
    left: float

    @property
    def settled(self) -> int:
        """Keys that no run will look at again."""
        return sum(self.states[state] for state in FINAL)


def paths(out: pathlib.Path, stage: str) -> list[pathlib.Path]:
    """The ledgers of a stage that there are."""
    return sorted((out / 'ledgers').glob(f'{stage}-*.sqlite'))


def of(out: pathlib.Path, stage: str) -> Tally:
    """The sums of a stage of a build, all 0 where it has not begun.

    Raises:
      InputError: a ledger cannot be read.
    """
    found = paths(out, stage)
    states, reasons, size = _entries(found)
    spent, rate, left = collections.Counter[str](), 0.0, 0.0
    for path in found:
        with Ledger(path) as book:
            mine, counts = book.spent(), book.counts()
        spent.update(mine)
        done = sum(counts[state] for state in FINAL)
        if done and mine.get('seconds'):
            pace = done / mine['seconds']
            rate, left = rate + pace, max(left, counts['todo'] / pace)
    return Tally(states, reasons, size, dict(spent), rate, left)


def states(found: list[pathlib.Path]) -> dict[str, str]:
    """What ledgers say of each key, a final state before any other."""
    said: dict[str, str] = {}
    for path in found:
        with Ledger(path) as book:
            for key, state in book.states():
                if said.get(key) not in FINAL:
                    said[key] = state
    return said


def _entries(found: list[pathlib.Path]) -> tuple[dict[str, int], dict[tuple[str, str], int], int]:
    states, reasons, size = collections.Counter[str](), collections.Counter[tuple[str, str]](), 0
    with contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as db:
        db.execute(_SEEN)
        for path in found:
            try:
                db.execute('attach ? as one', (str(path),))
                db.execute(_MERGE)
                db.execute('detach one')
            except sqlite3.Error as error:
                raise InputError(f'{path}: cannot be read as a ledger: {error}.') from error
        rows = db.execute(
            'select state, reason, count(*), total(size) from seen group by state, reason'
        )
        for state, reason, count, total in rows:
            states[state] += count
            size += int(total)
            if reason:
                reasons[state, reason.partition(': ')[0]] += count
    return {state: states[state] for state in STATES}, dict(reasons.most_common()), size


def size_text(count: float) -> str:
    """'640 B', '12.5 MB', '1.2 TB': bytes in powers of 1000."""
    for unit in ('B', 'KB', 'MB', 'GB'):
        if count < 1000:
            return f'{count:.3g} {unit}'
        count /= 1000
    return f'{count:.3g} TB'


def time_text(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h' or '2.1 days'."""
    for most, unit, name in ((90, 1, 's'), (5400, 60, 'min')):
        if seconds < most:
            return f'{seconds / unit:.0f} {name}'
    hours = seconds / 3600
    return f'{hours:.1f} h' if hours < 48 else f'{hours / 24:.1f} days'
