"""However many processes share a build, and in whatever order its table is: one set."""

import os
import shutil

import pandas as pd
import pytest

from gair_jax.builders.streetscapes import ledger
from tests.builders.streetscapes import whole

COPIED = ('ledgers', 'search', 'select', 'scenes', 'photos')  # as docs/streetscapes.md says
STAGES = ('search', 'select', 'fetch-scenes', 'fetch-photos')


@pytest.fixture(scope='module')
def services():
    with whole.services() as served:
        yield served


def command(folder, services, *more):
    return whole.command(folder, services[0].url, services[1].url, *more)


@pytest.fixture(scope='module')
def alone(services, tmp_path_factory):
    """What one process makes of the table: its folder and its digest."""
    folder = tmp_path_factory.mktemp('alone')
    whole.table(folder / 'photos.csv')
    with pytest.MonkeyPatch.context() as patch:
        assert whole.here(patch, command(folder, services)) == 0
    return folder, whole.digest(folder / 'prepared')


def at_once(folders, services, workers):
    """Runs all workers side by side, each in its folder."""
    running = [
        whole.start(command(folder, services, f'--worker={worker}/{workers}'))
        for worker, folder in enumerate(folders)
    ]
    for process in running:
        code, said, complained = process.wait()
        assert code == 0, complained
        assert 'pair:' not in said


def check_same(folder, alone, services, monkeypatch):
    """Pairs and packs what workers left; each key is settled as by one process, and once."""
    for stage in STAGES:
        books = [
            [one for one in ledger.merged([path]) if one.state in ledger.FINAL]
            for path in sorted((folder / 'out/ledgers').glob(f'{stage}-*.sqlite'))
        ]
        keys = [one.key for book in books for one in book]
        one = ledger.merged((alone[0] / 'out/ledgers').glob(f'{stage}-*.sqlite'))
        assert sorted(keys) == [entry.key for entry in one], stage
    assert whole.here(monkeypatch, command(folder, services, '--stages=pair,pack')) == 0
    assert whole.digest(folder / 'prepared') == alone[1]


@pytest.mark.slow
@pytest.mark.parametrize('workers', [2, 4])
def test_workers_at_once_in_one_folder(services, alone, tmp_path, monkeypatch, workers):
    whole.table(tmp_path / 'photos.csv')
    at_once([tmp_path] * workers, services, workers)
    assert len(list((tmp_path / 'out/ledgers').glob('fetch-photos-*.sqlite'))) == workers
    check_same(tmp_path, alone, services, monkeypatch)


@pytest.mark.slow
def test_folders_of_two_machines_are_copied_together(services, alone, tmp_path, monkeypatch):
    machines = [tmp_path / name for name in ('one', 'two')]
    for folder in machines:
        whole.table(folder / 'photos.csv')
    at_once(machines, services, 2)
    for name in COPIED:
        shutil.copytree(machines[1] / 'out' / name, machines[0] / 'out' / name, dirs_exist_ok=True)
    check_same(machines[0], alone, services, monkeypatch)


def test_workers_that_start_together_all_plan(services, alone, tmp_path, monkeypatch):
    """Another worker plans from first to last while this one is about to rename its first file."""
    whole.table(tmp_path / 'photos.csv')
    line, replace, others = command(tmp_path, services, '--stages=plan'), os.replace, []

    def late(part, path):
        if not others:
            others.append(whole.run(line))
        replace(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', late)
        assert whole.here(patch, line) == 0
    assert others[0][0] == 0
    for path in (tmp_path / 'out/plan').iterdir():
        assert path.read_bytes() == (alone[0] / 'out/plan' / path.name).read_bytes()


def test_the_order_of_the_rows_says_nothing(services, alone, tmp_path, monkeypatch):
    rows = whole.table(tmp_path / 'photos.csv').reset_index()
    rows.sample(frac=1, random_state=3).to_csv(tmp_path / 'photos.csv', index=False)
    assert whole.here(monkeypatch, command(tmp_path, services)) == 0
    assert whole.digest(tmp_path / 'prepared') == alone[1]


def test_the_digest_sees_a_pixel_a_photo_and_a_place(alone, services, tmp_path, monkeypatch):
    """What would make all of the above hold by saying nothing."""
    rows = whole.table(tmp_path / 'photos.csv').reset_index()
    shutil.copytree(alone[0] / 'out', tmp_path / 'out')
    shutil.rmtree(tmp_path / 'out/plan')
    moved = rows.assign(lon=rows['lon'] + 1e-9)
    pd.DataFrame(moved).to_csv(tmp_path / 'photos.csv', index=False)
    stages = '--stages=plan,pair,pack'
    assert whole.here(monkeypatch, command(tmp_path, services, stages)) == 0
    assert whole.digest(tmp_path / 'prepared') != alone[1]
