"""A whole build whose chips are made by Beam, in an environment that has it."""

import importlib.util

import pytest

from tests.builders.streetscapes import whole

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec('apache_beam'), reason='needs Beam'),
    # Beam holds protobuf below 7, whose older messages TFDS asks in an old way.
    pytest.mark.filterwarnings('ignore:label.. is deprecated:DeprecationWarning'),
]
OPTIONS = '--direct_running_mode=multi_processing --direct_num_workers=2'


def test_beam_packs_the_same_set(tmp_path, monkeypatch):
    whole.table(tmp_path / 'photos.csv')
    with whole.services() as (scenes, photos):
        asked = whole.command(tmp_path, scenes.url, photos.url)
        assert whole.here(monkeypatch, asked) == 0
    by_beam = [*asked, '--config.variant=by_beam', '--stages=pack', f'--beam={OPTIONS}']
    assert whole.here(monkeypatch, by_beam) == 0
    prepared = tmp_path / 'prepared'
    assert whole.digest(prepared, 'by_beam') == whole.digest(prepared)
