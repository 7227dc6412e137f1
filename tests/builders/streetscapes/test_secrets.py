"""Tokens, signatures and addresses that expire are in no file, log or message, faults or not."""

import re

import pytest

from tests.builders.streetscapes import whole
from tests.standins import photo_api

# The client's token of Mapillary, signatures of a store, signed addresses of thumbnails.
SECRETS = (whole.TOKEN, 'secret', 'sig=', 'exp=', '/img/')
ESCAPES = {'%7C': '|', '%3D': '=', '%2F': '/', '\\u003d': '=', '\\/': '/'}
FAULTS = ('expired', 'cut', 'html', 'error', 'reset')  # that do not go away


def seen(data):
    """Secrets in bytes, as they are or as addresses and JSON write them."""
    text = data.decode('latin-1')
    for escape, character in ESCAPES.items():
        text = re.sub(re.escape(escape), lambda _, c=character: c, text, flags=re.I)
    return [secret for secret in SECRETS if secret in text]


def files_of(folder):
    return [path for path in folder.rglob('*') if path.is_file()]


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """A build by a process whose loggers are all at DEBUG: its folder, exit code and words.

    Signatures are good for 60 reads, so that some are refused in the midst of the work, and every
    seventh request fails; photos meet faults that pass and faults that do not.
    """
    folder = tmp_path_factory.mktemp('build')
    lasting = dict(zip(list(whole.table(folder / 'photos.csv').index)[4:], FAULTS, strict=False))
    fault = lambda name: lasting.get(name) or photo_api.by_hash(name)  # noqa: E731
    with whole.services(fault=fault, fail_every=7, token_uses=60) as (scenes, photos):
        more = ('--config.photos.tries=2', '--config.places.per_city=8', '--allow-failed')
        line = whole.command(folder, scenes.url, photos.url, *more)
        done = whole.run(line, '--debug', f'--sign={scenes.url}/sas')
    assert scenes.tokens > 3 and not photos.leaks
    assert {status for _, _, status, _ in scenes.log} >= {403, 503}
    assert set(photos.statuses()) >= {0, 403, 500}
    return folder, done


def test_the_build_met_all_faults_and_was_loud(build):
    folder, (code, said, complained) = build
    assert code == 0, complained
    assert '5 failed' in said and 'pack: ' in said
    assert complained.count('DEBUG:') > 100
    assert list(folder.rglob('*.sqlite'))


def test_no_secret_is_said(build):
    _, (_, said, complained) = build
    assert not seen(said.encode()) and not seen(complained.encode())


def test_no_secret_is_in_any_file_of_the_build_or_of_the_prepared_set(build):
    folder, _ = build
    files = files_of(folder)
    assert {path.suffix for path in files} >= {'.sqlite', '.json', '.jpg', '.tif', '.parquet'}
    assert any('array_record' in path.name for path in files)
    assert not {path for path in files if seen(path.read_bytes())}


@pytest.mark.parametrize('refused', ['facts', 'signature'])
def test_no_secret_is_said_where_all_is_refused(tmp_path, refused):
    """Another token than the service's, and a store that takes no signature."""
    whole.table(tmp_path / 'photos.csv')
    token = 'another' if refused == 'facts' else whole.TOKEN
    with whole.services(token=token, token_uses=10**6) as (scenes, photos):
        scenes.token_uses *= -1 if refused == 'signature' else 1  # none is good
        line = whole.command(tmp_path, scenes.url, photos.url)
        code, said, complained = whole.run(line, '--debug', f'--sign={scenes.url}/sas')
    assert code == (2 if refused == 'facts' else 1)
    assert not seen(said.encode()) and not seen(complained.encode())
    assert not {path for path in files_of(tmp_path) if seen(path.read_bytes())}
