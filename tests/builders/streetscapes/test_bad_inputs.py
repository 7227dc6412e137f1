"""What cannot be used is told by the command line in one sentence, and changes nothing.

Cells of tables and settings of one stage are in test_tables.py, test_choose.py, test_plan.py,
test_photos_fetch.py and test_pack.py, stages and shares in test_build.py.
"""

import fcntl
import hashlib
import os
import re
import shutil

import pandas as pd
import pytest

from tests.builders.streetscapes import whole

DEAD = 'http://127.0.0.1:9'  # nobody is there: what is refused must be so before anybody is asked
SQLITE = ('.sqlite', '.sqlite-wal', '.sqlite-shm', '.lock', '.bucket')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished build over services that are gone since."""
    folder = tmp_path_factory.mktemp('finished')
    whole.table(folder / 'photos.csv')
    with whole.services() as (scenes, photos), pytest.MonkeyPatch.context() as patch:
        assert whole.here(patch, whole.command(folder, scenes.url, photos.url)) == 0
    return folder


def snapshot(folder):
    """Digest of each file but those that reading touches."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file() and not path.name.endswith(SQLITE)
    }


def refused(monkeypatch, capsys, folder, words, *more):
    """Runs a command that must end with exit 2 and one sentence of these words."""
    capsys.readouterr()
    assert whole.here(monkeypatch, whole.command(folder, DEAD, DEAD, *more)) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith('gair: ') and line.endswith('.') and not line.endswith('..'), line
    assert re.search(words, line), line
    assert whole.TOKEN not in line + said.out


def rewrite(path, text):
    path.write_text(text, encoding='utf-8') if isinstance(text, str) else path.write_bytes(text)


# The file photos.csv as it is found -> what is said of it.
GOOD = 'id,source,lon,lat\n17,mapillary,9.1,48.7\n'
TABLES = {
    'empty': ('', r'photos.csv: cannot be read as a table: Empty CSV'),
    'latin-1': (GOOD.replace('17', '17é').encode('latin-1'), r'photos.csv: .*UTF8'),
    'a cell too many': (GOOD + '18,mapillary,9.1,48.7,5\n', r'photos.csv: .*[Ee]xpected 4 columns'),
    'semicolons': (GOOD.replace(',', ';'), r"photos.csv: column 'id' is missing; found id;source"),
    'a picture': (b'\xff\xd8\xff\xe0' + bytes(100), r'photos.csv: '),
    'names of columns alone': ('id,source,lon,lat\n', r'photos.csv: .*no rows'),
}


@pytest.mark.parametrize('name', TABLES)
def test_a_table_that_is_none(tmp_path, monkeypatch, capsys, name):
    text, words = TABLES[name]
    rewrite(tmp_path / 'photos.csv', text)
    refused(monkeypatch, capsys, tmp_path, words, '--config.places.per_city=0')
    assert not list((tmp_path / 'out').rglob('*.*'))


# Options of a first run -> what is said; the plan may be there after it, and nothing else.
FIRST = {
    'no such config': (['--config=configs/none.py'], r'none.py'),
    'no number': (['--config.places.per_city=many'], r'places.per_city.*many'),
    'no truth': (['--config.places.spread=perhaps'], r'places.spread.*perhaps'),
    'three corners': (['--config.places.box=(9.0,48.0,9.5)'], r'places.box: .*found \(9.0'),
    'no such table': (['--config.places.table=/nowhere/t.csv'], r'/nowhere/t.csv: no such'),
    'a parquet that is none': (['--config.places.table={0}/text.parquet'], r'text.parquet: '),
    'a folder without tables': (['--config.places.table={0}/empty'], r'metadata_common_attributes'),
    'day': (['--config.scenes.start=2020-13-01'], r"scenes.start: .*found '2020-13-01'"),
    'days turned': (['--config.scenes.end=2016-01-01'], r'scenes.end: .*2017-01-01 or later'),
    'no cloud': (['--config.scenes.most_cloud=0.0'], r'scenes.most_cloud: expected more than 0'),
    'nodata': (['--config.scenes.most_nodata=5.0'], r'scenes.most_nodata: .*0 to 1, found 5.0'),
    'no date': (['--config.scenes.per_period=0'], r'scenes.per_period: .*1 or more, found 0'),
    'less than all': (['--config.scenes.most_dates=-1'], r'scenes.most_dates: .*found -1'),
    'no address': (['--config.scenes.url=stac.example'], r"scenes.url: .*found 'stac.example'"),
    'a file in the place': (['--out={0}/text.parquet/out'], r'text.parquet'),
}  # fmt: skip


@pytest.mark.parametrize('name', FIRST)
def test_a_first_run_that_cannot_be(tmp_path, monkeypatch, capsys, name):
    whole.table(tmp_path / 'photos.csv')
    (tmp_path / 'text.parquet').write_text('no parquet')
    (tmp_path / 'empty').mkdir()
    options, words = FIRST[name]
    more = [option.replace('{0}', str(tmp_path)) for option in options]
    refused(monkeypatch, capsys, tmp_path, words, *more)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob('*') if path.is_file()]
    assert {path.parts[:2] for path in files if path.parts[0] == 'out'} <= {('out', 'plan')}
    assert not [path for path in files if path.suffix == '.part']


# Options of a run over a finished build, of which all is still to be there after it.
OVER = {
    'layout': (['--config.tiles.layout=release'], r"was planned with tiles.layout 'native'"),
    'seed': (['--config.places.seed=7'], r'was planned with places.seed 0, and now it is 7'),
    'table': (['--config.places.table={0}/other.csv'], r'was planned with places.table of digest'),
    'side': (['--config.photos.side=200'], r'how.json: .*side 336.*found 200'),
    'quality': (['--config.photos.quality=70'], r'how.json: .*quality 90.*found 70'),
    'width': (['--config.photos.width=640'], r'photos.width: expected 256, 1024 or 2048'),
    'rate': (['--config.photos.rate=nan'], r'photos.rate: expected more than 0 .*found nan'),
    'folder': (['--config.photos.folder={0}/none'], r'none: expected a folder of photos'),
    'removed': (['--config.photos.removed={0}/none'], r'none: cannot be read as a list of ids'),
    'chip': (['--config.tiles.chip=101'], r'tiles.chip: expected 0, or .*found 101'),
    'fractions': (['--config.fractions=(0.0,0.0,0.0)'], r'fractions: expected three shares'),
    'variant': (['--config.variant=../mine'], r"variant: expected letters, .*found '../mine'"),
    'another set': (
        ['--config.photos.removed={0}/listed.txt', '--stages=pack'],
        r'default_photos/1.0.0: holds a build from other input or options',
    ),
    'data dir': (['--data-dir={0}/other.csv', '--stages=pack'], r'other.csv/streetscapes'),
}


@pytest.mark.parametrize('name', OVER)
def test_a_run_over_a_build_that_is_another(finished, tmp_path, monkeypatch, capsys, name):
    rows = pd.read_csv(finished / 'photos.csv', dtype=str)
    rows[1:].to_csv(tmp_path / 'other.csv', index=False)
    (tmp_path / 'listed.txt').write_text('\n'.join(rows['id']))
    before = snapshot(finished)
    options, words = OVER[name]
    more = [option.replace('{0}', str(tmp_path)) for option in options]
    refused(monkeypatch, capsys, finished, words, *more)
    assert snapshot(finished) == before
    assert {path.name for path in tmp_path.iterdir()} == {'other.csv', 'listed.txt'}


def truncate(path):
    path.write_bytes(path.read_bytes()[:50])


# A file of the build -> what is done to it, which stages run, what is said.
BROKEN = {
    'plan': ('plan/photos.parquet', truncate, 'fetch-photos', r'photos.parquet: cannot be read'),
    'select': ('select/lima_32718.json', truncate, 'fetch-scenes', r'32718.json: cannot be read'),
    'ledger': ('ledgers/search-0.sqlite', truncate, 'search', r'search-0.sqlite: '),
    'how': ('photos/how.json', truncate, 'fetch-photos', r'how.json: cannot be read'),
    'pairs': ('pair/photos.parquet', os.unlink, 'pack', r'expected pairs, found none'),
}


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_file_of_a_build_is_named(finished, tmp_path, monkeypatch, capsys, name):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    file, spoil, stages, words = BROKEN[name]
    for path in tmp_path.glob('out/ledgers/search*wal'):
        path.unlink()
    spoil(tmp_path / 'out' / file)
    before = snapshot(tmp_path)
    refused(monkeypatch, capsys, tmp_path, words, f'--stages={stages}')
    assert snapshot(tmp_path) == before


TOKENS = {
    'none': ('', r'^gair: MAPILLARY_TOKEN: expected a client token .*found none.$'),
    'two lines': ('MLY|1\nMLY|2', r'^gair: MAPILLARY_TOKEN: expected printable ASCII'),
    'not ASCII': ('MLY|ü', r'^gair: MAPILLARY_TOKEN: expected printable ASCII'),
}


@pytest.mark.parametrize('name', TOKENS)
def test_a_token_that_is_none(tmp_path, monkeypatch, capsys, name):
    whole.table(tmp_path / 'photos.csv')
    token, words = TOKENS[name]
    monkeypatch.setattr(whole, 'TOKEN', token)
    capsys.readouterr()
    line = whole.command(tmp_path, DEAD, DEAD, '--stages=plan,fetch-photos')
    assert whole.here(monkeypatch, line) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(words, said) and 'MLY' not in said
    assert not list((tmp_path / 'out').rglob('*.jpg'))


def test_a_service_without_an_address(tmp_path, monkeypatch, capsys):
    whole.table(tmp_path / 'photos.csv')
    words = r"photos.mapillary_url: expected an address with https://, found 'graph.example'"
    more = ('--stages=plan,fetch-photos', '--config.photos.mapillary_url=graph.example')
    refused(monkeypatch, capsys, tmp_path, words, *more)


@pytest.mark.parametrize('stage', ['search', 'fetch-scenes', 'fetch-photos', 'pack'])
def test_a_second_process_at_the_same_work(finished, tmp_path, monkeypatch, capsys, stage):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    lock = tmp_path / f'out/ledgers/{stage}-0.lock'
    words = rf'{stage}-0.sqlite: another process writes this ledger'
    if stage == 'pack':
        shutil.rmtree(tmp_path / 'prepared')
        lock = tmp_path / 'prepared/streetscapes/default.staging/lock'
        lock.parent.mkdir(parents=True)
        words = r'default.staging: another build of this data set is running'
    with lock.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = snapshot(tmp_path)
        refused(monkeypatch, capsys, tmp_path, words, f'--stages={stage}')
        assert snapshot(tmp_path) == before


def test_a_column_that_stands_there_twice(tmp_path, monkeypatch, capsys):
    rewrite(tmp_path / 'photos.csv', 'id,source,lon,lat,lat\n17,mapillary,9.1,48.7,8.7\n')
    more = ('--config.places.per_city=0', '--stages=plan')
    refused(monkeypatch, capsys, tmp_path, r'photos.csv: column lat', *more)


def test_a_config_of_another_kind(tmp_path, monkeypatch, capsys):
    whole.table(tmp_path / 'photos.csv')
    more = f'--config={whole.ROOT}/configs/pretrain/gair_base.py'
    refused(monkeypatch, capsys, tmp_path, r'gair_base.py: expected .* StreetscapesConfig', more)


def test_a_config_without_such_an_argument(tmp_path, monkeypatch, capsys):
    whole.table(tmp_path / 'photos.csv')
    words = r"^gair: my_city.py: expected all or clean, found 'dirty'.$"
    refused(monkeypatch, capsys, tmp_path, words, f'--config={whole.CONFIG}:dirty')
