"""A sweep is refused in one sentence before anything starts, or each of its runs has a config."""

import re

import numpy as np
import pytest

from gair_jax import config_files
from gair_jax.sweep import plan as plans
from gair_jax.sweep import space
from tests.sweep.files import CONFIG, ROOT, launch, plan, sweep_file

SHIPPED = sorted(
    path for path in (ROOT / 'configs' / 'sweeps').glob('*.py') if path.name != '__init__.py'
)


def test_runs_are_named_by_what_they_set(tmp_path):
    made = plan(tmp_path)
    assert made.name == 'rates' and made.fields == ('optimizer.rate', 'seed')
    assert [run.name for run in made.runs] == [
        f'rate={rate},seed={seed}' for rate in ('0.001', '0.004') for seed in range(3)
    ]
    assert made.runs[4].config.optimizer.rate == 4e-3 and made.runs[4].config.seed == 1
    assert {run.steps for run in made.runs} == {6}


def test_overrides_give_gair_train_the_same_config(tmp_path):
    runs = plan(
        tmp_path,
        "grid({'model.nili.hidden': [(8,), (8, 8), ()], 'input.augment': [True, False],"
        " 'init.rs': ['', 'runs/a b'], 'loss.secl_weight': [1, 0.1 + 0.2]})",
    ).runs
    assert len(runs) == 24
    for run in runs:
        assert config_files.load(CONFIG, run.overrides) == run.config
    last = runs[-1].config
    assert (last.model.nili.hidden, last.input.augment) == ((), False)
    assert (last.init.rs, last.loss.secl_weight) == ('runs/a b', 0.1 + 0.2)


def test_names_are_safe_file_names(tmp_path):
    runs = plan(
        tmp_path, "grid({'init.rs': ['/a/../b c;$(d)é', ''], 'model.nili.hidden': [(8,8)]})"
    )
    names = [run.name for run in runs.runs]
    assert names == ['rs=a-..-b-c-d,hidden=8x8', 'rs=none,hidden=8x8']
    assert all(re.fullmatch(r'[A-Za-z0-9._+=,-]+', name) for name in names)


def test_a_last_part_that_two_settings_share_is_not_enough(tmp_path):
    (run,) = plan(tmp_path, "[{'model.rs.depth': 2, 'model.sv.depth': 3, 'seed': 4}]").runs
    assert run.name == 'model.rs.depth=2,model.sv.depth=3,seed=4'


def test_a_run_that_lacks_a_setting_shows_that_of_the_config(tmp_path):
    runs = plan(tmp_path, "[{}] + grid({'seed': [5]}) + grid({'bank.size': [8]})").runs
    assert [run.name for run in runs] == ['base', 'seed=5', 'size=8']
    assert [run.values['seed'] for run in runs] == [0, 5, 0]
    assert [run.values['bank.size'] for run in runs] == [512, 512, 8]


def test_values_of_numpy_are_taken(tmp_path):
    runs = plan(tmp_path, "grid({'optimizer.rate': __import__('numpy').geomspace(1e-4, 1e-2, 3)})")
    assert [run.name for run in runs.runs] == ['rate=0.0001', 'rate=0.001', 'rate=0.01']
    np.testing.assert_array_equal([r.config.optimizer.rate for r in runs.runs], [1e-4, 1e-3, 1e-2])
    assert all(type(run.settings['optimizer.rate']) is float for run in runs.runs)


def test_the_command_line_has_the_last_word_on_what_is_fixed(tmp_path):
    made = plan(tmp_path, overrides=['--config.steps=9', '--config.batch=8'])
    assert {(run.config.steps, run.config.batch) for run in made.runs} == {(9, 8)}


def test_a_run_without_steps_has_those_of_its_epochs(toy_set, tmp_path):
    """24 training examples, counted by the builder; 2 epochs in batches of 4."""
    folder, name, variant = toy_set
    data = f"'data.dir': {str(folder)!r}, 'data.name': {name!r}, 'data.variant': {variant!r}"
    fixed = '{' + data + ", 'steps': 0, 'epochs': 2.0, 'batch': 4}"
    from gair_jax.input.store import Store

    (run,) = plan(tmp_path, '[{}]', fixed=fixed).runs
    assert run.steps == round(2 * Store(run.config.data).splits['train'] / 4) > 0


@pytest.mark.parametrize(
    ('runs', 'words'),
    [
        ("grid({'optimizer.rat': [1.0]})", ['run rat=1', 'no such setting', 'did you mean rate?']),
        ("grid({'optimizer.rate': ['fast']})", ['run rate=fast', 'could not convert', "'fast'"]),
        ("grid({'batch': [2.5]})", ['run batch=2.5', 'invalid literal for int']),
        ("grid({'batch': [True]})", ['run batch=True']),
        ("grid({'loss.objective': [3]})", ['expected str, found 3 (int)']),
        ("grid({'input.augment': [1]})", ['expected bool, found 1 (int)']),
        ("grid({'optimizer': [1]})", ['run optimizer=1']),
        ("grid({'seed': [1, 1]})", ['2 runs have the name seed=1']),
        ("grid({'init.rs': ['a b', 'a/b']})", ['2 runs have the name rs=a-b']),
        ("grid({'init.rs': ['a' * 300]})", ['303 letters']),
        ("grid({'steps': [1, 2]})", ['steps is set for all runs']),
        ("zip_({'seed': [1, 2], 'batch': [4]})", ['zip_: expected as many values']),
        ('[]', ['at least one run']),
        ('1 / 0', ['line 5', 'ZeroDivisionError']),
        ("grid({'eval.every': [0]})", ['val_loss is never measured', 'eval.every']),
    ],
)
def test_a_bad_run_is_one_sentence_and_nothing_starts(runs, words, tmp_path, capsys):
    path = sweep_file(tmp_path, runs)
    code = launch(f'--sweep={path}', f'--out={tmp_path / "out"}')
    said = capsys.readouterr().err
    assert code == 2 and said.count('\n') == 1 and path in said
    assert all(word in said for word in words), said
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--sweep=absent.py'], 'no such file: absent.py'),
        (['--config.seed=3'], 'the runs vary it'),
        (['--config.sed=3'], 'did you mean seed?'),
        (['--workrs=3'], 'expected --config.FIELD=VALUE'),
        (['--workers=-1'], '--workers: expected at least 1'),
        (['--index=6'], '--index: expected 0 to 5, found 6'),
        (['--index=0'], '--slurm writes it'),
        (['--gpus=0', '--slurm='], '--gpus'),
        (["--slurm=--comment='a"], '--slurm: No closing quotation'),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    (tmp_path / 'sbatch').write_text('#!/bin/sh\n')
    (tmp_path / 'sbatch').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    path = sweep_file(tmp_path, "product(grid({'optimizer.rate': [1e-3, 4e-3]}), seeds(3))")
    code = launch(f'--sweep={path}', f'--out={tmp_path / "out"}', *arguments)
    said = capsys.readouterr().err
    assert code == 2 and said.count('\n') == 1 and words in said, said


def test_an_out_that_is_a_file_is_one_sentence(tmp_path, capsys):
    path = sweep_file(tmp_path, 'seeds(2)')
    assert launch(f'--sweep={path}', f'--out={path}') == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and f'{path}: File exists' in said


def test_a_file_without_a_sweep_is_refused(tmp_path, capsys):
    path = tmp_path / 'rates.py'
    for text, words in (
        ('x = 1\n', 'get_sweep'),
        ('def get_sweep():\n    return 3\n', 'expected get_sweep to return a Sweep, found int'),
        ('def get_sweep(:\n', 'SyntaxError'),
    ):
        path.write_text(text)
        assert launch(f'--sweep={path}', f'--out={tmp_path / "out"}') == 2
        said = capsys.readouterr().err
        assert words in said and said.count('\n') == 1


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path, capsys):
    path = sweep_file(tmp_path, 'seeds(2)')
    assert launch(f'--sweep={path}', f'--out={tmp_path / "out"}', '--dry-run') == 0
    said = capsys.readouterr().out
    assert 'seed=0' in said and 'seed=1' in said and said.count('waiting') == 2
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_every_sweep_file_can_be_planned_and_says_how_it_is_run(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    made = plans.load(str(path), ['--config.steps=1'])
    assert len(made.runs) >= 3
    assert f'python launch/sweep.py --sweep=configs/sweeps/{path.name} --out=' in path.read_text()


def test_the_example_has_two_rates_and_three_seeds(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = plans.load('configs/sweeps/learning_rate.py')
    assert [list(run.values.values()) for run in made.runs] == [
        list(run.values())
        for run in space.grid({'optimizer.rate': [1e-3, 4e-3], 'seed': [0, 1, 2]})
    ]
