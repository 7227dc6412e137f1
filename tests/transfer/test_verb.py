"""`gair transfer` from the command line to the files."""

import csv
import json
import subprocess
import sys

import jax
import pytest

from gair_jax import cli, sensors
from gair_jax.models import gair
from gair_jax.train import checkpoint
from tests.transfer import labelled

CONFIG = 'configs/transfer/fusion.py'


@pytest.fixture(scope='module', autouse=True)
def by_rule():
    with labelled.drawn_by_rule():
        yield


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Arguments of the verb: a checkpoint of the place alone, its data, one feature."""
    folder = tmp_path_factory.mktemp('verb')
    config = labelled.write(folder / 'data')
    contracts = {
        side: sensors.contract(getattr(config.input, side).sensor) for side in ('rs', 'sv')
    }
    params = gair.build(config).init(jax.random.key(0))
    checkpoint.write(folder / 'checkpoint', config, params, contracts, carried={}, origin={})
    data = {'dir': config.data.dir, 'name': 'toy', 'variant': 'tiny'}
    return [
        'transfer', f'--config={CONFIG}', f'--checkpoint={folder / "checkpoint"}',
        *(f'--config.data.{name}={value}' for name, value in data.items()),
        '--config.seeds=1', "--config.features=('location','sv','sv+location')",
        "--config.tasks=('shade',)",
    ]  # fmt: skip


def test_a_run_writes_every_score_and_a_second_one_doubles_no_row(tiny, tmp_path, capsys):
    given = [*tiny, f'--out={tmp_path / "out"}', f'--table={tmp_path / "all.csv"}']
    assert cli.main(given) == cli.main(given) == 0
    found = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert [e['features'] for e in found['results']] == ['location', 'sv', 'sv+location']
    assert found['settings']['nonlinear']['epochs'] == 50
    assert {line['over'] for line in found['fusion']} == {'sv', 'location'}
    assert set(found['results'][2]['gain_over']) == {'sv', 'location'}
    for name in ('out/results.csv', 'all.csv'):
        with (tmp_path / name).open() as file:
            assert len(list(csv.DictReader(file))) == 3
    said = ' '.join(capsys.readouterr().out.split())
    assert 'sv+location, over location alone' in said and 'nearest' in said
    assert (tmp_path / 'out' / 'scores.png').exists()


@pytest.mark.parametrize(
    ('override', 'said'),
    [
        ("--config.protocols=('deep',)", 'protocols: expected linear or nonlinear or'),
        (
            '--config.metric=accuracy',
            'metric: task shade of kind regression has R2, RMSE, MAE, found',
        ),
        ('--config.block_km=-5', 'block_km: expected 0 or more, found -5'),
        ('--config.nonlinear.rates=()', 'nonlinear.rates: expected at least one'),
        ('--config.nonlinear.epochs=0', 'nonlinear.epochs: expected 1 or more, found 0'),
        ('--config.nonlinear.depth=2', 'nonlinear.depth: no such setting'),
        ("--config.tasks=('cover',)", 'tasks: for linear, toy has shade, kind, scene, range'),
    ],
)
def test_a_bad_setting_is_one_sentence_and_nothing_is_written(
    tiny, tmp_path, capsys, override, said
):
    assert cli.main([*tiny, f'--out={tmp_path / "out"}', override]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_help_teaches_scores_floors_and_protocols():
    done = subprocess.run(
        [sys.executable, '-m', 'gair_jax.cli', 'transfer', '--help'], capture_output=True, text=True
    )
    assert done.returncode == 0
    for word in ('macro_f1', 'RMSE', 'nearest', 'guess', 'nonlinear', '--table', 'block_km'):
        assert word in done.stdout, word
