import json
import subprocess
import sys

import pytest

from gair_jax import cli

NILI = ['bench', 'nili', '--batch=1', '--queries=3', '--rounds=2']


def test_json_is_the_last_line_and_whole(capsys):
    assert cli.main([*NILI, '--json']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found['what'] == 'nili' and found['device'] == 'cpu'
    assert found['sizes'] == {'batch': 1, 'queries': 3, 'side': 12, 'width': 768}
    assert found['peer'] is found['ratio'] is found['max_difference'] is None
    assert len(found['ours']['each']) == found['rounds'] == 2
    assert {'gair_jax', 'jax', 'numpy'} <= set(found['versions'])
    # The convolution alone, which every count must contain.
    assert found['ours']['compiled_flops'] > 0.5 * 2 * 144 * 9 * 768**2
    assert found['ours']['compile_seconds'] > 0


def test_a_peer_adds_its_own_figures_and_the_ratio(capsys, tmp_path):
    pytest.importorskip('torch')
    from tests.bench.test_nili import TINY

    (tmp_path / 'tiny.py').write_text(TINY)
    assert cli.main([*NILI, f'--peer={tmp_path / "tiny.py"}', '--json']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    ratio = found['peer']['seconds'] / found['ours']['seconds']
    assert found['ratio'] == pytest.approx(ratio, rel=0.05)
    assert 'torch' in found['versions']


def test_the_table_says_what_was_run(capsys):
    assert cli.main(NILI) == 0
    said = capsys.readouterr().out
    assert '3 x 3 points' in said and 'ours' in said and 'Compiled in' in said


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'expected a class NILI, found none'),
        ('import no_such_package', 'needs the package no_such_package'),
        (None, 'expected a Python file, found none'),
    ],
)
def test_a_peer_that_cannot_be_used_is_one_sentence(text, words, tmp_path, capsys):
    pytest.importorskip('torch')
    path = tmp_path / 'peer.py'
    if text is not None:
        path.write_text(text)
    assert cli.main([*NILI, f'--peer={path}']) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and words in said and 'peer.py' in said


@pytest.mark.parametrize('count', ['0', '-1', 'many'])
def test_a_count_below_one_is_refused(count, capsys):
    with pytest.raises(SystemExit):
        cli.main(['bench', 'nili', f'--batch={count}'])
    assert 'at least 1' in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_peer_an_accelerator_host_has_all_that_is_imported():
    code = (
        'import sys; from gair_jax import cli; '
        f'cli.main({[*NILI]!r}); '
        "print([m for m in ('torch', 'rasterio', 'pyarrow', 'grain') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == '[]', ran.stderr
