"""The command line of a build, over stand-ins."""

import importlib.util
import re

import pytest

from gair_jax import cli
from tests.builders.streetscapes.test_pack import photos_of, scenes
from tests.standins import catalogue

CONFIG = 'configs/data/my_city.py'


def command(folder, url, *more):
    return [
        'data', 'build', 'streetscapes', f'--config={CONFIG}', f'--out={folder / "out"}',
        f'--data-dir={folder / "prepared"}', '--workers=1',
        f'--config.places.table={folder / "photos/photos.csv"}',
        f'--config.photos.folder={folder / "photos"}', '--config.photos.side=0',
        '--config.scenes.source=stac', f'--config.scenes.url={url}', *more,
    ]  # fmt: skip


def run(folder, url, *more):
    return cli.main(command(folder, url, *more))


def test_a_build_from_a_table_to_a_prepared_set(tmp_path, capsys):
    photos_of(tmp_path / 'photos', 4)
    with catalogue.serve(scenes()) as served:
        assert run(tmp_path, served.url, '--stages=plan,search') == 0
        assert cli.main(['data', 'status', str(tmp_path / 'out')]) == 0
        said = capsys.readouterr().out
        assert 'planned 4' in said and 'search        2 of 2 settled: 2 kept' in said
        assert 'fetch-photos  not begun' in said
        assert run(tmp_path, served.url) == 0
        said = capsys.readouterr().out
        assert re.findall('^[a-z-]+(?=: )', said, re.M) == [
            'plan', 'search', 'select', 'fetch-scenes', 'fetch-photos', 'pair', 'pack', 'check',
            'card',
        ]  # fmt: skip
        assert 'streetscapes/default: 4 of 4 rows kept (train 4), 8 tile dates' in said
        asked = served.requests
        assert run(tmp_path, served.url) == 0
    assert served.requests == asked  # nothing is asked for twice
    cli.main(['data', 'status', str(tmp_path / 'out')])
    assert 'fetch-photos  4 of 4 settled: 4 kept' in capsys.readouterr().out
    assert cli.main(['data', 'check', 'streetscapes', f'--data-dir={tmp_path / "prepared"}']) == 0


def test_a_photo_that_is_gone_stops_nothing(tmp_path, capsys):
    photos_of(tmp_path / 'photos', 2)
    dead = 'http://127.0.0.1:9'
    assert run(tmp_path, dead, '--stages=plan') == 0
    with catalogue.serve(scenes()) as served:
        assert run(tmp_path, served.url, '--stages=search,select,fetch-scenes') == 0
    (tmp_path / 'photos/p1.jpg').unlink()
    assert run(tmp_path, dead) == 0
    said = capsys.readouterr().out
    assert 'fetch-photos: 1 kept, 1 gone' in said and '1 of 1 rows kept' in said


def test_what_failed_is_left_out_where_one_says_so(tmp_path, capsys):
    photos_of(tmp_path / 'photos', 2)
    (tmp_path / 'photos/p1.jpg').write_bytes(b'no picture')
    with catalogue.serve(scenes()) as served:
        assert run(tmp_path, served.url) == 1
        said = capsys.readouterr()
        assert '1 failed and may be had later' in said.err and 'pair:' not in said.out
        assert run(tmp_path, served.url, '--stages=pair') == 2
        words = 'fetch-photos: 1 of 2 have failed and may be had later, as folder:p1'
        assert words in capsys.readouterr().err
        assert run(tmp_path, served.url, '--allow-failed') == 0
    assert '1 of 1 rows kept' in capsys.readouterr().out


def test_a_forecast_asks_nobody(tmp_path, capsys):
    photos_of(tmp_path / 'photos', 4)
    assert run(tmp_path, 'http://127.0.0.1:9', '--forecast') == 0
    said = capsys.readouterr().out
    assert '4 planned' in said and 'at most' in said
    lines = {line[:30].strip(): line[30:].split() for line in said.splitlines()}
    # Two cities of 24 dates at most, 41 requests a window; 4 photos of two requests.
    assert lines['scenes'][0] == '1,968' and lines['photos'][0] == '8'
    assert not (tmp_path / 'out/search').exists()


def test_two_workers_share_a_build_that_one_packs(tmp_path, capsys):
    photos_of(tmp_path / 'photos', 6)
    with catalogue.serve(scenes()) as served:
        for worker in ('0/2', '1/2'):
            assert run(tmp_path, served.url, f'--worker={worker}') == 0
        assert 'pair' not in capsys.readouterr().out
        assert run(tmp_path, served.url, '--stages=pair,pack') == 0
    assert '6 of 6 rows kept' in capsys.readouterr().out


BAD = {
    'stage': (['--stages=plan,dig'], "--stages: expected plan, .* found 'dig'"),
    'share': (['--worker=2/2'], "--worker: expected i/n .* found '2/2'"),
    'no share': (['--worker=all'], "--worker: expected i/n .* found 'all'"),
    'late stage': (['--worker=0/2', '--stages=pack'], 'pack needs what all workers did'),
    'source': (['--config.scenes.source=moon', '--stages=plan,search'], 'scenes.source: expected'),
    'no plan': (['--stages=search'], 'the stage plan comes first'),
    'setting': (['--config.places.side=3'], 'no such setting'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence(tmp_path, capsys, name):
    photos_of(tmp_path / 'photos', 2)
    options, words = BAD[name]
    assert run(tmp_path, 'http://127.0.0.1:9', *options) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith('gair: ') and re.search(words, said), said


def test_what_an_extra_brings_is_named_where_it_is_missing(tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    missing = lambda name, *rest: None if name == 'httpx' else find(name, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, 'find_spec', missing)
    assert run(tmp_path, 'http://127.0.0.1:9') == 2
    assert "needs httpx: pip install 'gair_jax[data]'" in capsys.readouterr().err


def test_status_needs_a_build(tmp_path, capsys):
    assert cli.main(['data', 'status', str(tmp_path)]) == 2
    assert 'expected a plan, found none' in capsys.readouterr().err
