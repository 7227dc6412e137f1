"""Chunks by Beam. Tests that need it (extra `beam`) skip without it; its import takes long."""

import dataclasses
import functools
import importlib.util
import os
import pathlib
import signal

import numpy as np
import pytest

from gair_jax.builders import beam_chunks, staging
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from tests.builders import test_prepared, test_staging

HERE = '--direct_running_mode=in_memory'
PROCESSES = '--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2'


ABSENT = importlib.util.find_spec('apache_beam') is None
NEEDS_BEAM = (pytest.mark.slow, pytest.mark.skipif(ABSENT, reason='apache_beam is absent'))


def needs_beam(test):
    return functools.reduce(lambda marked, mark: mark(marked), NEEDS_BEAM, test)


def make(folder, index):
    """As that of `test_prepared`, and says in which process."""
    (folder / f'{index}').write_text(str(os.getpid()))
    return test_prepared.make(index)


def same(ours, theirs):
    """Two decoded records are equal, to the last bit."""
    ours, theirs = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    np.testing.assert_equal(ours, theirs)


@needs_beam
# Of TFDS, when it reads a set under protobuf 6, the newest that Beam allows.
@pytest.mark.filterwarnings('ignore:label.. is deprecated:DeprecationWarning')
def test_beam_gives_the_same_records_from_other_processes(tmp_path):
    sources = []
    for name, beam in (('plain', ''), ('beam', PROCESSES)):
        (tmp_path / name).mkdir()
        run = functools.partial(make, tmp_path / name)
        test_prepared.prepare(tmp_path / name / 'prepared', make=run, chunks=6, beam=beam)
        config = DataConfig(dir=str(tmp_path / name / 'prepared'), name='photos', variant='tiny')
        sources.append(store.Store(config))
    plain, spread = sources
    assert plain.splits == spread.splits == {'train': 24, 'val': 6}
    assert plain.metadata == spread.metadata
    assert len(plain.tiles) == len(spread.tiles) == 12
    for ours, theirs in zip(plain.tiles, spread.tiles, strict=True):
        same(ours, theirs)
    for split in plain.splits:
        for ours, theirs in zip(plain.photos(split), spread.photos(split), strict=True):
            same(ours, theirs)
    numbers = [str(index) for index in range(6)]
    assert {(tmp_path / 'plain' / n).read_text() for n in numbers} == {str(os.getpid())}
    assert str(os.getpid()) not in {(tmp_path / 'beam' / n).read_text() for n in numbers}


@needs_beam
def test_what_a_chunk_refuses_is_one_sentence_and_the_others_are_kept(tmp_path):
    calls, folder = tmp_path / 'calls', tmp_path / 's'
    with pytest.raises(InputError, match='^stop here$'):
        run = functools.partial(test_staging.make, calls, fail_at=2)
        staging.run(folder, {}, 4, run, 1, '', HERE)
    assert sorted(calls.read_text().split()) == ['0', '1', '2', '3']
    staging.run(folder, {}, 4, functools.partial(test_staging.make, calls), 1, '', HERE)
    assert sorted(calls.read_text().split()) == ['0', '1', '2', '2', '3']
    left = {path.name for path in folder.iterdir()}
    assert left == {'lock', 'fingerprint.json', *(f'chunk-00000{i}' for i in range(4))}


@needs_beam
def test_other_errors_of_a_builder_are_not_hidden(tmp_path):
    with pytest.raises(ZeroDivisionError):
        staging.run(tmp_path / 's', {}, 3, (1).__floordiv__, 1, '', HERE)


def kill(index):
    os.kill(os.getpid(), signal.SIGKILL)


@needs_beam
@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_killed_worker_is_told_and_not_waited_for(tmp_path):
    with pytest.raises(InputError, match='worker process was killed'):
        staging.run(tmp_path / 's', {}, 3, kill, 1, '', PROCESSES)


def stage_but_one(folder, make, index):
    if index != 1:
        STAGE(folder, make, index)


STAGE = staging._stage


@pytest.mark.parametrize('beam', ['', pytest.param(HERE, marks=NEEDS_BEAM)])
def test_a_lost_chunk_is_noticed_and_made_by_the_next_run(tmp_path, monkeypatch, beam):
    make = functools.partial(test_staging.make, tmp_path / 'calls')
    with monkeypatch.context() as patched:
        patched.setattr(staging, '_stage', stage_but_one)
        with pytest.raises(InputError, match='expected 3 chunks, found 2, not number 1'):
            staging.run(tmp_path / 's', {}, 3, make, 1, '', beam)
    staging.run(tmp_path / 's', {}, 3, make, 1, '', beam)
    assert sorted((tmp_path / 'calls').read_text().split()) == ['0', '1', '2']


def test_workers_are_told_whole_paths_and_not_asked_for_nothing(tmp_path, monkeypatch):
    seen = []

    def run(folder, stage, todo, text):
        seen.append((folder, stage.args[0], todo, text))
        for index in todo:
            stage(index)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(beam_chunks, 'run', run)
    for _ in range(2):
        make = functools.partial(test_staging.make, tmp_path / 'calls')
        staging.run(pathlib.Path('s'), {}, 2, make, 1, '', HERE)
    assert seen == [(tmp_path / 's', tmp_path / 's', [0, 1], HERE)]


@needs_beam
@pytest.mark.parametrize('runner', ['DirectRunner', 'direct', 'SwitchingDirectRunner', ''])
def test_the_direct_runner_does_not_fetch_a_program(runner):
    """Beam's own choice would first ask GitHub for `prism`."""
    made = beam_chunks._pipeline(f'--runner={runner}' if runner else HERE)
    assert type(made.runner).__name__ == 'FnApiRunner'


@needs_beam
def test_a_remote_runner_may_know_options_that_beam_does_not():
    beam_chunks.check('--runner=PortableRunner --job_endpoint=localhost:1 --an_option_of_flink=1')


@needs_beam
@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('--direct_running_mode=multi_threading', 'multi_threading loses records: expected in_mem'),
        ('--direct_num_workers=two', "--direct_num_workers: invalid int value: 'two'"),
        ('--direct_num_worker=2', 'there is no option --direct_num_worker'),
        ('--runner=Foo', 'Unexpected pipeline runner: Foo'),
        ('--runner=no_such_package.Foo', "No module named 'no_such_package'"),
        ('--runner DirectRunner', "expected options as --name=value, found 'DirectRunner'"),
        ('--runner="DirectRunner', 'No closing quotation'),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(text, said, capsys):
    with pytest.raises(InputError, match=said) as caught:
        beam_chunks.check(text)
    assert str(caught.value).startswith('--beam: ') and '\n' not in str(caught.value)
    assert not str(caught.value).endswith('..') and not capsys.readouterr().err


def test_without_beam_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'gair_jax\[beam\]'"):
        beam_chunks.check(HERE)
    with pytest.raises(InputError, match=r"pip install 'gair_jax\[beam\]'"):
        staging.run(tmp_path / 's', {}, 1, test_prepared.make, 1, '', HERE)
