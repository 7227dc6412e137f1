import signal
import subprocess
import sys
import time

import pytest

from gair_jax.builders.streetscapes import ledger
from gair_jax.builders.streetscapes.ledger import Entry, Ledger
from gair_jax.config import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'ledgers' / 'fetch-photos-0.sqlite'


def test_keys_are_added_once_and_done_in_order_of_key(path):
    with Ledger(path) as book:
        book.add(['b', 'ä', 'a'])
        book.settle('b', 'kept')
        book.add(['b', 'c'])
        assert book.todo() == ['a', 'c', 'ä']
        assert book.get('b').state == 'kept'


def test_what_is_settled_is_read_back_whole(path):
    said = {'reason': 'too dark: 3 %', 'sha256': 'ab' * 32, 'size': 2**40}
    record = {'creator': 'Łódź', 'lon': 139.7460578479397, 'views': [0, 90]}
    with Ledger(path) as book:
        book.add(['k'])
        book.settle('k', 'dropped', record=record, **said)
    with Ledger(path) as book:
        assert book.get('k') == Entry('k', 'dropped', tries=1, record=record, **said)


def test_failures_are_tried_again_and_nothing_else_is(path):
    with Ledger(path) as book:
        book.add(['a', 'b', 'c', 'd', 'e'])
        for key, state in zip('abcd', ledger.STATES[1:], strict=True):
            book.settle(key, state, reason='why')
        assert book.todo() == ['e']
        book.begin()
        assert book.todo() == ['d', 'e'] and book.get('d').tries == 1
        book.settle('d', 'failed', reason='again')
        assert book.get('d').tries == 2


def test_states_and_reasons_are_counted(path):
    with Ledger(path) as book:
        book.add(str(i) for i in range(7))
        book.settle('0', 'kept', reason='not counted')
        book.settle('1', 'dropped', reason='too dark: 3 %')
        book.settle('2', 'failed', reason='too dark: 4 %')
        book.settle('3', 'gone', reason='404')
        book.settle('4', 'failed', reason='http://host:80')
        assert book.counts() == {'todo': 2, 'kept': 1, 'dropped': 1, 'gone': 1, 'failed': 2}
        assert list(book.reasons().items()) == [
            ('too dark', 2),
            ('404', 1),
            ('http://host:80', 1),
        ]


def test_an_empty_ledger_names_all_states(path):
    with Ledger(path) as book:
        assert book.counts() == dict.fromkeys(ledger.STATES, 0)
        assert book.reasons() == {} and book.todo() == [] and list(book.entries()) == []


def test_a_key_that_was_never_added_is_an_error(path):
    with Ledger(path) as book:
        with pytest.raises(KeyError, match='nobody'):
            book.settle('nobody', 'kept')
        with pytest.raises(KeyError, match='nobody'):
            book.get('nobody')


def test_entries_can_be_settled_while_they_are_read(path, monkeypatch):
    monkeypatch.setattr(ledger, '_PAGE', 3)
    keys = [f'{i:02}' for i in range(10)]
    with Ledger(path) as book:
        book.add(keys)
        for entry in book.entries():
            book.settle(entry.key, 'kept')
        assert [(entry.key, entry.tries) for entry in book.entries()] == [(k, 1) for k in keys]


def test_a_reader_sees_each_row_as_soon_as_it_is_settled(path):
    with Ledger(path) as book, Ledger(path) as reader:
        book.add(['a', 'b'])
        book.settle('a', 'kept')
        assert reader.counts()['kept'] == 1
        open_loop = reader.entries()
        next(open_loop)
        book.settle('b', 'kept')
        assert reader.counts()['kept'] == 2


def test_a_ledger_has_one_writer(path):
    with Ledger(path) as first, Ledger(path) as second:
        first.add(['a'])
        with pytest.raises(InputError, match='another process writes this ledger'):
            second.settle('a', 'kept')
    with Ledger(path) as later:
        later.settle('a', 'kept')


def test_a_file_that_is_no_ledger_is_refused(path):
    path.parent.mkdir()
    path.write_text('not a data base' * 100)
    with pytest.raises(InputError, match='cannot be opened as a ledger'):
        Ledger(path)


SETTLES = """
import os, pathlib, sys
from gair_jax.builders.streetscapes.ledger import Ledger
with Ledger(pathlib.Path(sys.argv[1])) as book:
    for key in book.todo():
        book.settle(key, 'kept', size=int(key))
        os.write(1, key.encode() + b'\\n')
"""


def kill_while_it_settles(path, after):
    """Kills a settling process after `after` rows; the last key that it reported."""
    command = [sys.executable, '-c', SETTLES, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        for _ in range(after):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
    return rest


def test_a_kill_loses_at_most_the_row_in_flight(path):
    keys = [f'{i:06}' for i in range(20_000)]
    with Ledger(path) as book:
        book.add(keys)
    done = 0
    for after in (3, 57, 400):
        rest = kill_while_it_settles(path, after)
        said = done + after + len(rest)
        with Ledger(path) as book:
            done = book.counts()['kept']
            assert said <= done <= said + 1 < len(keys)
            # The first `done` keys, whole: nothing is skipped or half written.
            assert book.todo() == keys[done:]
            assert all(e.size == int(e.key) for e in book.entries() if e.state == 'kept')


def book_of(path, **states):
    with Ledger(path) as book:
        book.add(states)
        for key, (state, reason) in states.items():
            if state != 'todo':
                book.settle(key, state, reason=reason, record={'at': time.time()})
    return path


def test_ledgers_of_all_workers_are_read_as_one(tmp_path):
    first = book_of(tmp_path / '0.sqlite', a=('kept', ''), c=('failed', '500'), d=('todo', ''))
    second = book_of(tmp_path / '1.sqlite', b=('gone', '404'))
    # Workers counted anew: keys of the first are in a third as well, partly settled.
    third = book_of(
        tmp_path / '2.sqlite', a=('kept', ''), b=('todo', ''), c=('kept', ''), d=('failed', 'x')
    )
    found = [(e.key, e.state) for e in ledger.merged([second, third, first])]
    assert found == [('a', 'kept'), ('b', 'gone'), ('c', 'kept'), ('d', 'failed')]


@pytest.mark.parametrize('other', [('gone', '404'), ('dropped', 'night')])
def test_ledgers_that_contradict_each_other_are_refused(tmp_path, other):
    first = book_of(tmp_path / '0.sqlite', a=('dropped', 'dusk'))
    second = book_of(tmp_path / '1.sqlite', a=other)
    with pytest.raises(InputError, match=f"1.sqlite: a is {other[0]} '{other[1]}', and in .*0.sql"):
        list(ledger.merged([first, second]))
