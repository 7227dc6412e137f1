"""What became of each key of a stage: one SQLite file a worker, one row a key.

A stage renames its file into place first and settles the row then. So a row that says `kept` is
true after any death of the process, and a death costs at most the keys in flight, which are still
`todo` and are done again. SQLite's write-ahead log lets any number of readers look on meanwhile
(sqlite.org/wal.html). It needs shared memory: ledgers belong on a disk of the machine that writes.
"""

import collections
import contextlib
import fcntl
import heapq
import itertools
import json
import operator
import pathlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self, TextIO

from gair_jax.config import InputError

STATES = ('todo', 'kept', 'dropped', 'gone', 'failed')
FINAL = ('kept', 'dropped', 'gone')
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_PAGE = 4096  # rows read at a time, so that a loop over entries may settle them
_SCHEMA = """
create table if not exists entries (
  key text primary key, state text not null, reason text not null, tries integer not null,
  sha256 text not null, size integer not null, record text not null
) without rowid;
create table if not exists spent (name text primary key, amount real not null) without rowid;
"""


class Entry(NamedTuple):
    """What is known of a key.

    key: of a tile, a scene or a photo.
    state: one of STATES.
    reason: why it was dropped, is gone or failed: 'kind' or 'kind: details'; else ''.
    tries: how often it was settled.
    sha256: of its file, hexadecimal; '' without one.
    size: of its file, bytes.
    record: whatever the stage wants to remember, as JSON can hold it.
    """

    key: str
    state: str
    reason: str
    tries: int
    sha256: str
    size: int
    record: dict[str, Any]


class Ledger:
    """The ledger of one worker of one stage; a context manager."""

    def __init__(self, path: pathlib.Path) -> None:
        """Opens it, and makes an empty one where there is none.

        Raises:
          InputError: the file cannot be opened, or is no ledger.
        """
        self._path = path
        self._lock: list[TextIO] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: a settled row is in the file when `settle` returns.
            self._db = sqlite3.connect(path, timeout=60.0, isolation_level=None)
            self._db.execute('pragma journal_mode = wal')
            # A crash of the machine may take the last rows along, never the file: they are redone.
            self._db.execute('pragma synchronous = normal')
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f'{path}: cannot be opened as a ledger: {error}.') from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self.close()

    def close(self) -> None:
        """Closes the file; another may write it then."""
        self._db.close()
        while self._lock:
            self._lock.pop().close()

    def add(self, keys: Iterable[str]) -> None:
        """Adds keys as todo; those that are there stay as they are."""
        rows = ((key, 'todo', '', 0, '', 0, '{}') for key in keys)
        with self._writing(), self._db:
            self._db.execute('begin')
            self._db.executemany('insert or ignore into entries values (?,?,?,?,?,?,?)', rows)

    def begin(self) -> None:
        """At the start of a run: what failed is to be tried again."""
        with self._writing():
            self._db.execute("update entries set state = 'todo' where state = 'failed'")

    def todo(self) -> list[str]:
        """Keys that are to be done, in order of key."""
        rows = self._db.execute("select key from entries where state = 'todo' order by key")
        return [key for (key,) in rows]

    def settle(
        self,
        key: str,
        state: str,
        *,
        reason: str = '',
        sha256: str = '',
        size: int = 0,
        record: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Says what became of a key, and counts a try.

        Args:
          key: one that was added; else KeyError.
          state: any of STATES but todo.
          reason: 'kind' or 'kind: details', for all states but kept.
          sha256: of the file that was renamed into place.
          size: of that file, bytes.
          record: JSON.
        """
        assert state in STATES[1:], state
        with self._writing():
            found = self._db.execute(
                'update entries set state = ?, reason = ?, tries = tries + 1, sha256 = ?, '
                'size = ?, record = ? where key = ?',
                (state, reason, sha256, size, json.dumps(dict(record), sort_keys=True), key),
            )
        if not found.rowcount:
            raise KeyError(key)

    def spend(self, **amounts: float) -> None:
        """Adds to what the worker has spent: `seconds`, `requests`, `fetched` (bytes).

        A death may lose what was spent since the last call, so sums are lower bounds.
        """
        with self._writing():
            self._db.executemany(
                'insert into spent values (?, ?) on conflict do update set amount = amount + ?',
                [(name, amount, amount) for name, amount in amounts.items()],
            )

    def spent(self) -> dict[str, float]:
        """What the worker has spent over all its runs, by name."""
        return dict(self._db.execute('select name, amount from spent'))

    def size(self) -> int:
        """Bytes of all files that are kept."""
        rows = self._db.execute("select total(size) from entries where state = 'kept'")
        return int(rows.fetchone()[0])

    def get(self, key: str) -> Entry:
        """The entry of a key; KeyError if it was never added."""
        for row in self._db.execute('select * from entries where key = ?', (key,)):
            return _entry(row)
        raise KeyError(key)

    def entries(self) -> Iterator[Entry]:
        """All entries by key; those settled meanwhile come as they are when reached."""
        last = ''
        while rows := self._db.execute(
            'select * from entries where key > ? order by key limit ?', (last, _PAGE)
        ).fetchall():
            yield from map(_entry, rows)
            last = rows[-1][0]

    def states(self) -> Iterator[tuple[str, str]]:
        """(key, state) of all entries, by key."""
        for key, state in self._db.execute('select key, state from entries order by key'):
            yield key, sys.intern(state)

    def counts(self) -> dict[str, int]:
        """Number of keys by state, of all states."""
        found = dict(self._db.execute('select state, count(*) from entries group by state'))
        return {state: found.get(state, 0) for state in STATES}

    def reasons(self) -> dict[str, int]:
        """Number of keys dropped, gone and failed by reason up to ': ', the commonest first."""
        rows = self._db.execute(
            "select reason, count(*) from entries where state in ('dropped', 'gone', 'failed') "
            'group by reason'
        )
        kinds = collections.Counter[str]()
        for reason, count in rows:
            kinds[reason.partition(': ')[0]] += count
        return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Claims the ledger for this process, and says in a sentence what cannot be written."""
        self._claim()
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(f'{self._path}: cannot be written: {error}.') from error

    def _claim(self) -> None:
        """The claim ends with the process, whatever ends it."""
        if self._lock:
            return
        file = self._path.with_suffix('.lock').open('w')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f'{self._path}: another process writes this ledger: this worker may have been '
                'started twice.'
            ) from error
        self._lock.append(file)


def merged(paths: Iterable[pathlib.Path]) -> Iterator[Entry]:
    """The entries of all workers of a stage, one a key, by key.

    Where workers were counted anew a key may stand in two ledgers: what is settled counts.

    Args:
      paths: of the ledgers; `.sqlite-wal` files beside them belong to them.

    Raises:
      InputError: two ledgers settled a key in different ways.
    """
    paths = sorted(paths)
    ledgers = [Ledger(path) for path in paths]
    try:
        streams = [
            zip(ledger.entries(), itertools.repeat(path))
            for ledger, path in zip(ledgers, paths, strict=True)
        ]
        rows = heapq.merge(*streams, key=lambda row: row[0].key)
        for _, group in itertools.groupby(rows, key=lambda row: row[0].key):
            yield _agreed(list(group))
    finally:
        for ledger in ledgers:
            ledger.close()


def _agreed(rows: list[tuple[Entry, pathlib.Path]]) -> Entry:
    """The one thing that ledgers say of a key."""
    settled = [row for row in rows if row[0].state in FINAL]
    said = operator.attrgetter('state', 'reason', 'sha256', 'size')
    for entry, path in settled[1:]:
        first, first_path = settled[0]
        if said(entry) != said(first):
            raise InputError(
                f'{path}: {entry.key} is {entry.state} {entry.reason or entry.sha256!r}, and in '
                f'{first_path} it is {first.state} {first.reason or first.sha256!r}.'
            )
    if settled:
        return settled[0][0]
    # Neither is final: a failure says more than nothing.
    return max((entry for entry, _ in rows), key=lambda entry: STATES.index(entry.state))


def _entry(row: tuple[str, str, str, int, str, int, str]) -> Entry:
    return Entry(*row[:-1], record=json.loads(row[-1]))
