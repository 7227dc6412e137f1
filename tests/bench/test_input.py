import json
import pstats
import time

import pytest

from gair_jax import cli
from gair_jax.bench import input as bench
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.transforms import decode_photo
from tests.input import toy


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('prepared')
    toy.data_set(folder)
    return toy.config(folder)


def test_it_reads_for_as_long_as_asked_and_counts_whole_batches(config):
    start = time.perf_counter()
    speed = bench.speed_of(Pipeline(config, 'train'), 0.3)
    assert 0.3 <= speed.seconds <= time.perf_counter() - start
    assert speed.batches > 1 and speed.cpu_seconds > 0


def test_shares_of_the_stages_are_those_of_one_batch(config):
    shares = bench.shares(Pipeline(config, 'train'))
    assert set(shares) == {*bench.STAGES, bench.REST}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert all(shares[name] > 0 for name in bench.STAGES)


def test_a_stage_has_the_time_of_its_function_with_all_that_it_calls():
    code = decode_photo
    while hasattr(code, '__wrapped__'):
        code = code.__wrapped__
    code = code.__code__
    key = code.co_filename, code.co_firstlineno, code.co_name
    stats = pstats.Stats()
    stats.stats = {key: (1, 1, 0.5, 3.0, {}), ('other', 1, 'f'): (1, 1, 3.5, 4.0, {})}
    stats.total_tt = 4.0
    assert bench.by_stage(stats) | {'decode photo': 0.75, bench.REST: 0.25} == bench.by_stage(stats)


def test_the_verdict_is_the_cpu_only_where_the_cores_are_busy():
    shares = {'resize': 0.6, 'stack': 0.4}
    busy = bench.verdict(bench.Speed(3, 10.0, 18.0), shares, 2)
    assert busy.startswith('bound by the CPU') and "'resize', 60%" in busy
    assert bench.verdict(bench.Speed(3, 10.0, 8.0), shares, 2).startswith('not bound by the CPU')


def test_the_verb(config, tmp_path, capsys):
    path = tmp_path / 'config.py'
    path.write_text(
        f'from tests.input import toy\nimport pathlib\n'
        f'def get_config():\n    return toy.config(pathlib.Path({config.data.dir!r}))\n'
    )
    run = ['bench', 'input', f'--config={path}', '--seconds=0.1', '--config.batch=5']
    assert cli.main([*run, '--json']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found['sizes']['batch'] == 5 and found['examples'] == 20  # of train
    assert found['triples_per_second'] == pytest.approx(5 * found['batches_per_second'], rel=0.01)
    assert cli.main(run) == 0
    assert 'triples/s' in capsys.readouterr().out
