"""Prepared data sets, whole and in part."""

import json
import shutil

import numpy as np
import pytest

from gair_jax.builders import catalogue
from gair_jax.serve import doctor
from gair_jax.serve.doctor import data_sets
from tests.serve.doctor.made import fine, only, texts

THOROUGH = doctor.Expected(check_data_set=catalogue.check)
RECORDS = 'photos/default_acquisitions/1.0.0'


@pytest.fixture
def data(prepared_photos, tmp_path):
    return shutil.copytree(prepared_photos, tmp_path / 'prepared')


@pytest.mark.parametrize(
    'part', ['', 'photos', 'photos/default_photos', RECORDS, 'photos/default_photos/1.0.0']
)
@pytest.mark.parametrize('expected', [doctor.Expected(), THOROUGH], ids=['ends', 'all'])
def test_a_sound_one_is_fine_at_any_level(prepared_photos, part, expected):
    path = prepared_photos / part
    assert fine(path, expected)
    assert 'train 6, tiles 3' in texts(path)[0]


def test_a_shard_that_is_gone(data):
    next((data / RECORDS).glob('*array_record*')).unlink()
    only(data, 'unusable', 'data set photos, variant default')


def test_records_cut_short(data):
    shard = next((data / RECORDS).glob('*array_record*'))
    shard.write_bytes(shard.read_bytes()[:-70_000])
    only(data, 'unusable', 'variant default')


def test_records_written_over(data):
    """The ends are whole, so only reading all records finds it."""
    shard = next((data / RECORDS).glob('*array_record*'))
    raw = bytearray(shard.read_bytes())
    filled = np.flatnonzero(np.frombuffer(raw, np.uint8))  # ArrayRecord pads with zeros
    middle = filled[len(filled) // 2]
    raw[middle : middle + 100] = bytes(100)
    shard.write_bytes(raw)
    found = doctor.examine(data, THOROUGH)
    assert {f.level for f in found} == {'suspicious'} and str(shard) in found[0].text


def test_large_ones_are_read_at_their_ends(data, monkeypatch):
    monkeypatch.setattr(data_sets, 'MOST_RECORDS', 8)
    calls = []
    watched = doctor.Expected(check_data_set=lambda *which: calls.append(which))
    assert fine(data, watched)
    assert not calls


def test_counts_other_than_noted(data):
    path = data / 'photos/default_photos/1.0.0/metadata.json'
    noted = json.loads(path.read_text())
    noted['counts']['train'] = 60
    path.write_text(json.dumps(noted))
    only(data, 'suspicious', "'train': 60", "'train': 6")


def test_builds_that_did_not_end(data):
    (data / 'photos/other.staging').mkdir()
    found = doctor.examine(data)
    assert [f.level for f in found] == ['fine', 'unusable']
    assert 'variant other' in found[1].text and 'did not end' in found[1].text


def test_tiles_without_their_photos(data):
    shutil.rmtree(data / 'photos/default_photos')
    only(data, 'unusable', 'gair data build')
