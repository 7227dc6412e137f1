"""Builds that are killed, or asked to stop, at moments spread over all stages.

A kill strikes when the N-th request of a stage arrives, up to 20 ms later, or right before or after
a file is renamed into place, which is where a ledger and a folder can disagree. The N are drawn.
"""

import collections
import contextlib
import hashlib
import re
import signal
import threading
import time

import numpy as np
import pytest

from gair_jax.builders.streetscapes import ledger
from tests.builders.streetscapes import whole

SEED = 0
CONNECTIONS = 4  # of `whole.command`
FETCHING = ('search', 'select', 'fetch-scenes', 'fetch-photos')
# What tells a stage's requests: method and path to the catalogue, any to the photos.
ASKS = {
    'search': 'POST /search',
    'select': r'\w+ .*/SCL\.tif',
    'fetch-scenes': r'\w+ .*/B\d[\dA]\.tif',
    'fetch-photos': '.*',
}
# Where kills are: a stage's request, or a file's name; and between which numbers N is drawn.
KILLS = (
    ('plan/', 1, 4),
    ('search', 1, 2),
    ('search/', 1, 2),
    ('select', 2, 6),
    ('select/', 1, 2),
    ('fetch-scenes', 5, 60),
    ('scenes/', 1, 2),
    ('fetch-scenes', 5, 60),
    ('fetch-photos', 2, 9),
    ('photos/', 3, 6),
    ('fetch-photos', 2, 9),
    ('pair/', 1, 3),
    ('staging/', 1, 2),
    ('default_', 1, 2),
    ('default_card', 1, 3),
)
SCENE_KILLS = sum(where in ('fetch-scenes', 'scenes/') for where, *_ in KILLS)
PHOTO_KILLS = sum(where in ('fetch-photos', 'photos/') for where, *_ in KILLS)


def services():
    """Both stand-ins, with faults: every seventh request, and by the hash of a photo's id."""
    return whole.services(fail_every=7)


def command(folder, scenes, photos, *more):
    return whole.command(folder, scenes.url, photos.url, *more)


@contextlib.contextmanager
def at_request(scenes, photos, stage, number, act):
    """Calls `act` once, in a thread of the stand-in, when the N-th request of a stage arrives."""
    lock, left = threading.Lock(), [number]
    server, name = (photos, 'answer') if stage == 'fetch-photos' else (scenes, 'note')
    answering = getattr(server, name)

    def counted(*arguments):
        with lock:
            left[0] -= bool(re.fullmatch(ASKS[stage], '{} {}'.format(*arguments)))
            due = left[0] == 0
            left[0] -= due
        if due:
            act()
        return answering(*arguments)

    setattr(server, name, counted)
    try:
        yield
    finally:
        delattr(server, name)


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    """A build that nothing stopped: its folder, how often photos were asked for, its digest."""
    folder = tmp_path_factory.mktemp('unbroken')
    whole.table(folder / 'photos.csv')
    patch = pytest.MonkeyPatch()
    with services() as (scenes, photos):
        assert whole.here(patch, command(folder, scenes, photos)) == 0
    patch.undo()
    asked = {kind: photos.asked(kind) for kind in ('facts', 'picture')}
    return folder, asked, whole.digest(folder / 'prepared')


def entries(folder, stage):
    """What the ledgers of a stage say: key -> state, digest, size."""
    books = (folder / 'out/ledgers').glob(f'{stage}-*.sqlite')
    return {one.key: (one.state, one.sha256, one.size) for one in ledger.merged(books)}


def names(folder):
    """Names of all files of a build and of what it packed, but for those of SQLite and shards."""
    kinds = ('out/scenes', 'out/photos', 'out/search', 'out/select', 'out/pair', 'prepared')
    found = (path for kind in kinds for path in (folder / kind).rglob('*') if path.is_file())
    return {str(path.relative_to(folder)) for path in found}


def check_same(folder, unbroken):
    """The same records, the same words of the ledgers, and files that are what these say."""
    whole_folder, _, digest = unbroken
    assert whole.digest(folder / 'prepared') == digest
    for stage in FETCHING:
        found = entries(folder, stage)
        assert found == entries(whole_folder, stage) and found
        assert {state for state, *_ in found.values()} <= {'kept', 'gone'}
    leftovers = names(folder) - names(whole_folder)
    assert not {name for name in leftovers if not re.search(r'how\.\d+$', name)}
    assert names(whole_folder) <= names(folder)
    kept = {size for state, _, size in entries(folder, 'fetch-photos').values() if state == 'kept'}
    assert kept == {path.stat().st_size for path in (folder / 'out/photos').rglob('*.jpg')}
    digests = {sha for _, sha, _ in entries(folder, 'fetch-photos').values()} - {''}
    files = (folder / 'out/photos').rglob('*.jpg')
    assert digests == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def killed(folder, scenes, photos, where, number, rng):
    """Starts the build and kills it; its exit code."""
    if where not in FETCHING:
        when = ('before', 'after')[rng.integers(2)]
        return whole.run(command(folder, scenes, photos), f'--die={where}:{number}:{when}')[0]
    late = rng.uniform(0, 0.02)
    process = whole.start(command(folder, scenes, photos))

    def kill():
        time.sleep(late)
        process.kill()

    with at_request(scenes, photos, where, number, kill):
        return process.wait()[0]


def bands_asked(log):
    """Names of scenes whose bands were asked for."""
    rows = (path for method, path, *_ in log if re.fullmatch(ASKS['fetch-scenes'], f'GET {path}'))
    return {path.split('/')[3] for path in rows}


@pytest.mark.slow
def test_a_build_that_was_killed_everywhere_is_that_of_one_go(unbroken, tmp_path):
    whole.table(tmp_path / 'photos.csv')
    rng = np.random.default_rng(SEED)
    runs = collections.Counter()
    with services() as (scenes, photos):
        for where, least, most in KILLS:
            code = killed(tmp_path, scenes, photos, where, rng.integers(least, most + 1), rng)
            assert code == -signal.SIGKILL, where
            runs.update(bands_asked(scenes.log))
            scenes.forget()
        code, said, complained = whole.run(command(tmp_path, scenes, photos))
        assert code == 0, complained
        assert not scenes.log  # all was there when the last kills came
    assert '18 of 18 rows kept' in said
    check_same(tmp_path, unbroken)
    assert len(runs) == len(whole.scenes())
    assert runs.total() - len(runs) <= SCENE_KILLS  # what was in hand at a kill is read again
    for kind, before in unbroken[1].items():
        more = photos.asked(kind) - before
        assert more.total() <= PHOTO_KILLS * CONNECTIONS


@pytest.mark.slow
@pytest.mark.parametrize('stage', FETCHING)
def test_a_signal_ends_what_is_in_flight_and_75_says_that_it_goes_on(unbroken, tmp_path, stage):
    whole.table(tmp_path / 'photos.csv')
    with services() as (scenes, photos):
        process = whole.start(command(tmp_path, scenes, photos))
        with at_request(scenes, photos, stage, 2, process.terminate):
            code, said, complained = process.wait()
        assert code == 75 and 'Traceback' not in complained
        assert complained == 'gair: stopped by SIGTERM; the same command goes on.\n'
        assert said.splitlines()[-1].startswith(f'{stage}: ') and 'pair:' not in said
        if stage == 'fetch-photos':
            states = collections.Counter(state for state, *_ in entries(tmp_path, stage).values())
            # Those in flight were finished, none was begun any more.
            assert 1 <= states['kept'] + states['gone'] <= CONNECTIONS + 1 and states['todo']
        patch = pytest.MonkeyPatch()
        assert whole.here(patch, command(tmp_path, scenes, photos)) == 0
        patch.undo()
    check_same(tmp_path, unbroken)
    assert all(photos.asked(kind) == before for kind, before in unbroken[1].items())
