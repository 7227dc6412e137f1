import json
import pathlib
import re

import numpy as np
import pytest

from tests.parity import __main__ as command
from tests.parity import kinds, runner
from tests.shared import shared

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / 'fixtures' / 'parity'


@pytest.mark.slow
@pytest.mark.parametrize('path', sorted(FIXTURES.glob('*.npz')), ids=lambda path: path.stem)
def test_small_cases_pass(path):
    result = runner.run(path, runner.Data(pathlib.Path('absent')))
    assert result.verdict == 'ok', result.line()


def altered(tmp_path, source, **changes):
    """A copy of a small case with arrays or meta entries replaced."""
    with np.load(FIXTURES / f'{source}.npz') as stored:
        arrays = {name: stored[name] for name in stored.files}
    meta = json.loads(str(arrays['meta'])) | changes.pop('meta', {})
    arrays |= changes
    np.savez(tmp_path / 'case.npz', **(arrays | {'meta': np.array(json.dumps(meta))}))
    return meta, arrays


@pytest.mark.parametrize('output', ['relative', 'relative_x_scale', 'relative_f64', 'make_coord'])
def test_an_output_moved_by_100_tolerances_is_a_miss(tmp_path, output):
    meta, arrays = altered(tmp_path, 'relative_coordinates')
    moved = arrays[f'out/{output}'].copy()
    moved.flat[-1] += 100 * meta['tolerance'][output][0]
    altered(tmp_path, 'relative_coordinates', **{f'out/{output}': moved})
    result = runner.run(tmp_path / 'case.npz', runner.Data(tmp_path))
    assert result.verdict == 'MISS' and result.detail.startswith(f'{output}: error')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'meta': {'kind': 'swin_v3'}}, 'unknown kind'),
        ({'meta': {'kwargs': {'order': 'lon_lat', 'unit': 'radian'}}}, "unit='radian'"),
        ({'out/xy': np.zeros((3, 2))}, r'expected shape \(3, 2\)'),
        ({'out/xy': np.full((214, 2), np.nan, np.float32)}, 'xy: error nan'),
        ({'meta': {'slices': {'xy': 'yx'}}}, 'yx'),
        ({'meta': {'tolerance': {'xy': None, 'xy_f64': None}}}, 'no output to compare'),
    ],
)
def test_what_cannot_be_met_is_a_miss_with_its_reason(tmp_path, change, message):
    altered(tmp_path, 'equal_earth', **change)
    result = runner.run(tmp_path / 'case.npz', runner.Data(tmp_path))
    assert result.verdict == 'MISS'
    assert re.search(message, result.detail), result.detail


def test_skipped_rows_are_not_compared(tmp_path):
    _, arrays = altered(tmp_path, 'equal_earth')
    moved = arrays['out/xy'].copy()
    moved[5] += 1
    altered(tmp_path, 'equal_earth', **{'out/xy': moved}, meta={'skip_rows': {'xy': [5]}})
    assert runner.run(tmp_path / 'case.npz', runner.Data(tmp_path)).verdict == 'ok'


def test_file_names_say_nothing(tmp_path, capsys):
    altered(tmp_path, 'equal_earth')
    assert command.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert 'equal_earth' in out and '1 cases: 1 ok' in out


def test_an_unknown_kind_fails_the_run(tmp_path, capsys):
    altered(tmp_path, 'equal_earth', meta={'kind': 'swin_v3'})
    assert command.main([str(tmp_path)]) == 1
    assert 'unknown kind' in capsys.readouterr().out


def test_an_absent_real_file_is_skipped_and_fails_the_run(tmp_path, capsys):
    meta = {
        'kind': 'preprocess_sv',
        'kwargs': {'files': {'city': 'photos/city.jpg'}, 'size': 8},
    }
    altered(tmp_path, 'equal_earth', meta=meta)
    assert command.main([str(tmp_path), '--data', str(tmp_path / 'data')]) == 1
    out = capsys.readouterr().out
    assert 'city.jpg is absent' in out and 'skip' in out


def test_a_folder_without_cases_fails_the_run(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().out


def test_kinds_are_listed(capsys):
    assert command.main(['--kinds']) == 0
    assert capsys.readouterr().out.split() == sorted(kinds.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['gair', 'decoders', 'location'])
def test_the_whole_shared_folder(name):
    folder = shared(f'parity/{name}')
    data = runner.Data(shared('data'))
    for path in sorted(folder.glob('*.npz')):
        result = runner.run(path, data)
        if not result.kind.startswith('mocov3_'):
            assert result.verdict == 'ok', result.line()


BASELINES = (
    'vit_imagenet_b16', 'vit_b16_timm_classifier', 'mae_vit_b16_cls', 'mae_vit_b16_avg',
    'mocov3_vit_b16', 'croma_b8_optical', 'croma_l8_first12', 'croma_b8_gap', 'geoclip_location',
    'satclip_location_analytic_l10', 'satclip_location_closed_l10',
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('name', BASELINES)
def test_the_baselines_that_the_converter_reads(name):
    path = shared(f'parity/baselines/{name}.npz')
    result = runner.run(path, runner.Data(shared('data')))
    assert result.verdict == 'ok', result.line()
