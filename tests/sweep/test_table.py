"""The table of a sweep against figures worked out by hand."""

import csv
import io
import math

import pytest
from rich.console import Console

from gair_jax.sweep import folder, table
from tests.sweep.files import RATES, finish, launch, log, plan, sweep_file

NAMES = [f'rate={rate},seed={seed}' for rate in ('0.001', '0.004') for seed in range(3)]


def records(*losses, steps=6, **more):
    """A training line, then validations with these losses."""
    train = {'step': steps, 'seconds': 5.0, 'loss': 4.5, 'triples_per_second': 7.0, **more}
    return [{'step': 1, 'loss': 9.0, 'seconds': 1.0, 'triples_per_second': 1.0}, train] + [
        {'step': 2 * i, 'seconds': float(i), 'val_loss': x} for i, x in enumerate(losses, 1)
    ]


def lines_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def made(tmp_path):
    return plan(tmp_path)


@pytest.fixture
def out(made, tmp_path):
    """Rate 0.001: losses 3, 4, 8, whose mean is 5 and deviation sqrt(7); 0.004: one done, ..."""
    out = tmp_path / 'out'
    for run, losses in zip(made.runs, ([5.0, 3.0, 3.5], [4.0], [8.0], [2.5]), strict=False):
        finish(out, run, records(*losses))
    (out / 'logs').mkdir()
    log(out, made.runs[4], records(1.0, steps=4))  # the best loss, but not at its end
    folder.note_failure(out, made.runs[5], 3)
    return out


def test_finished_runs_come_first_and_the_best_of_them_before_the_others(made, out):
    found = table.rows(made, out)
    assert [row.name for row in found] == [NAMES[i] for i in (3, 0, 1, 2, 4, 5)]
    assert [row.state for row in found] == [*['done'] * 4, 'partial', 'failed']
    assert [row.score for row in found[:5]] == [2.5, 3.0, 4.0, 8.0, 1.0]
    assert math.isnan(found[5].score)


def test_higher_may_be_better(out, tmp_path):
    made = plan(tmp_path, more="metric='val_loss', lower_is_better=False")
    found = table.rows(made, out)
    assert [row.score for row in found[:4]] == [8.0, 5.0, 4.0, 2.5]
    assert [group.mean for group in table.groups(made, found)] == [17 / 3, 2.5]


def test_seeds_are_summarised_by_mean_and_sample_deviation(made, out):
    first, second = table.groups(made, table.rows(made, out))
    assert first.values == {'optimizer.rate': 4e-3} and (first.n, first.mean) == (1, 2.5)
    assert math.isnan(first.deviation)
    assert second.values == {'optimizer.rate': 1e-3} and (second.n, second.mean) == (3, 5.0)
    assert second.deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 2))


def test_without_seeds_there_is_nothing_to_summarise(tmp_path):
    made = plan(tmp_path, "grid({'batch': [4, 8]})")
    assert table.groups(made, table.rows(made, tmp_path)) == []


def test_the_files(made, out):
    printed = io.StringIO()
    table.write(made, out, Console(file=printed, width=120))
    lines = lines_of(out / 'sweep.csv')
    assert lines[1] == {
        'name': NAMES[0], 'optimizer.rate': '0.001', 'seed': '0', 'val_loss': '3.5',
        'best_val_loss': '3.0', 'loss': '4.5', 'val_retrieval_at_1': '', 'retrieval_at_1': '',
        'triples_per_second': '4.0', 'steps': '6', 'state': 'done', 'seconds': '5.0',
    }  # fmt: skip
    assert lines[5]['state'] == 'failed' and lines[5]['best_val_loss'] == ''
    seeds = lines_of(out / 'sweep_seeds.csv')
    assert [(line['n'], line['mean_best_val_loss']) for line in seeds] == [
        ('1', '2.5'),
        ('3', '5.0'),
    ]
    assert seeds[0]['standard_deviation'] == ''
    assert (out / 'sweep.png').read_bytes().startswith(b'\x89PNG')
    assert not list(out.glob('*.part'))
    text = printed.getvalue()
    assert text.index('2.5') < text.index('failed') and 'Best val_loss over seeds' in text


def test_another_metric_has_its_own_columns(out, tmp_path):
    made = plan(tmp_path, more="metric='loss'")
    table.write(made, out, Console(file=io.StringIO()))
    line = lines_of(out / 'sweep.csv')[0]
    assert (line['loss'], line['best_loss']) == ('4.5', '4.5') and 'val_loss' in line


def test_a_metric_that_no_run_has_logged_is_told(out, tmp_path):
    made = plan(tmp_path, more="metric='val_los'")
    printed = io.StringIO()
    table.write(made, out, Console(file=printed, width=120))
    assert 'val_los: not logged, or never finite, in 4 finished runs.' in printed.getvalue()


def test_figures_of_other_settings_do_not_stand_under_a_name(out, tmp_path):
    other = plan(tmp_path, overrides=['--config.batch=8'])
    assert all(math.isnan(row.score) for row in table.rows(other, out))
    assert not any(row.state == 'done' for row in table.rows(other, out))


def test_values_that_are_not_finite_are_never_the_best(made, tmp_path):
    out = tmp_path / 'nan'
    finish(out, made.runs[0], records(math.nan, 3.0, -math.inf))
    assert table.rows(made, out)[0].score == 3.0


def test_the_table_alone_can_be_asked_for_at_any_time(out, tmp_path, capsys):
    assert launch(f'--sweep={sweep_file(tmp_path, RATES)}', f'--out={out}', '--table-only') == 0
    assert 'sweep.csv' in capsys.readouterr().out
    assert (out / 'sweep.png').exists()


def test_before_anything_has_run_the_table_is_there(tmp_path, capsys):
    out = tmp_path / 'new'
    assert launch(f'--sweep={sweep_file(tmp_path, RATES)}', f'--out={out}', '--table-only') == 0
    assert {line['state'] for line in lines_of(out / 'sweep.csv')} == {'waiting'}
