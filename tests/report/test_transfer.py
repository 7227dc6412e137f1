import csv
import io
import json

import pytest
from rich.console import Console

from gair_jax.config import InputError
from gair_jax.report import transfer, transfer_table
from gair_jax.serve.weights import Origin

ORIGIN = Origin(path='runs/a', source='gair_jax', revision='', step=400, sha256='abc')
NAN = float('nan')


def _entry(task='platform', kind='class', features='sv', **more):
    scores = {'accuracy': 0.61234, 'macro_f1': 0.5, 'weighted_f1': 0.55, 'f1': {'a': 0.5}}
    if kind == 'regression':
        scores = {'R2': 0.61234, 'RMSE': 2.5, 'MAE': 2.0, 'each': {}}
    return {
        'task': task, 'kind': kind, 'features': features, 'labels': '100%', 'protocol': 'linear',
        'metric': 'accuracy' if kind == 'class' else 'R2', 'higher_is_better': True,
        'trained': 0.61234, 'random_init': 0.4, 'floor': -0.0002, 'nearest': 0.25,
        'trained_interval': [0.5, 0.7], 'random_init_interval': [0.3, 0.5],
        'gain_interval': [0.1, 0.3], 'floor_interval': [0.2, 0.4], 'nearest_interval': [NAN, NAN],
        'train_rows': 90, 'test_rows': 40, 'test_groups': 10, 'scores': {'trained': scores}, **more,
    }  # fmt: skip


ENTRIES = [_entry(), _entry('safe', 'regression'), _entry('safe', 'regression', 'sv+rs')]
LINE = {
    'protocol': 'linear', 'labels': '100%', 'features': 'sv+rs', 'over': 'sv',
    'gain': [0.0111, 0.0234, 0.0349], 'tasks': ['safe', 'rich'], 'worse': ['platform'],
}  # fmt: skip


def _printed(entries, fusion=()):
    out = io.StringIO()
    transfer.print_table(entries, fusion, Console(file=out, width=160))
    return out.getvalue()


def _rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_the_table_shows_the_score_its_interval_random_parameters_and_both_floors():
    text = _printed(ENTRIES)
    row = next(line for line in text.splitlines() if 'sv+rs' in line)
    cells = [cell.strip() for cell in row.strip('│ ').split('│')]
    assert cells == ['sv+rs', '90', '0.612 ± 0.100', '0.400', '0.000', '0.250', 'better']
    assert 'platform (accuracy)' in text and 'protocol' not in text


def test_a_floor_that_is_not_known_is_a_dash():
    row = next(x for x in _printed([_entry(nearest=NAN)]).splitlines() if '0.612' in x)
    assert row.split('│')[-3].strip() == '-'


def test_protocols_have_a_column_where_there_are_several():
    text = _printed([*ENTRIES, _entry(protocol='nonlinear')])
    assert 'protocol' in text and 'nonlinear' in text


def test_lower_is_better_is_said():
    assert 'safe (MAE, lower is better)' in _printed([
        _entry('safe', 'regression', metric='MAE', higher_is_better=False)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ('gain', 'said'),
    [([0.1, 0.3], 'better'), ([-0.3, -0.1], 'worse'), ([-1, 1], 'as good'), ([NAN] * 2, 'not k')],
)
def test_the_outcome_follows_the_interval_of_the_gain(gain, said):
    assert transfer.outcome(_entry(gain_interval=gain)).startswith(said)


def test_fusion_is_said_in_a_line():
    assert transfer.said(LINE) == (
        'sv+rs, over sv alone: +0.023 R2 (+0.011 to +0.035), mean of 2 tasks of numbers; worse on '
        'platform.'
    )
    classes = {**LINE, 'tasks': [], 'gain': [NAN] * 3, 'worse': []}
    assert transfer.said(classes) == 'sv+rs, over sv alone: worse on no task.'
    assert transfer.said(LINE) in _printed(ENTRIES, [LINE])
    more = [*ENTRIES, _entry(labels='10%')]
    assert 'sv+rs, 100%, over sv alone' in _printed(more, [LINE])


def test_a_table_fits_a_terminal_of_80_columns():
    wide = _entry('place', 'regression', 'sv+rs+location', trained=-0.001, floor=-0.0104)
    out = io.StringIO()
    transfer.print_table([wide], (), Console(file=out, width=80))
    assert 'sv+rs+location' in out.getvalue() and '-0.001 ± 0.100' in out.getvalue()


def test_a_row_an_entry_with_the_scores_of_its_kind(tmp_path):
    transfer_table.write(ENTRIES, tmp_path / 'results.csv')
    first, second, _ = _rows(tmp_path / 'results.csv')
    assert first['macro_f1'] == '0.5' and first['R2'] == first['minority_f1'] == ''
    assert second['RMSE'] == '2.5' and second['accuracy'] == ''
    assert (first['gain_interval_low'], first['gain_interval_high']) == ('0.1', '0.3')
    assert [p.name for p in tmp_path.iterdir()] == ['results.csv']


def test_runs_are_gathered_and_one_that_is_repeated_replaces_its_rows(tmp_path):
    path = tmp_path / 'tables' / 'all.csv'
    transfer_table.append(ENTRIES, path, ORIGIN, 'photos/mine')
    other = Origin(path='runs/b', source='gair_jax', revision='', step=800, sha256='def')
    transfer_table.append(ENTRIES[:1], path, other, 'photos/mine')
    transfer_table.append(ENTRIES[:1], path, ORIGIN, 'photos/yours')
    transfer_table.append([_entry(trained=0.9)], path, ORIGIN, 'photos/mine')
    rows = _rows(path)
    assert len(rows) == 5
    assert [row['checkpoint'] for row in rows] == ['abc'] * 3 + ['def', 'abc']
    assert rows[0]['trained'] == '0.9' and rows[1]['trained'] == '0.61234'
    assert rows[0]['date'].endswith('Z') and rows[0]['step'] == '400'
    assert transfer_table.read(path) == rows


@pytest.mark.parametrize(
    'other',
    [{'protocol': 'nonlinear'}, {'labels': '10%'}, {'features': 'rs'}, {'task': 'view'}],
)
def test_what_is_asked_otherwise_is_another_row(tmp_path, other):
    for entry in (_entry(), _entry(**other), _entry()):
        transfer_table.append([entry], tmp_path / 'all.csv', ORIGIN, 'photos/mine')
    assert len(transfer_table.read(tmp_path / 'all.csv')) == 2


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda text: text.replace('macro_f1', 'f1', 1), "columns of a table .* found 'f1'"),
        (lambda text: text.replace(',MAE', '', 1), "found none 'MAE'"),
        (lambda text: text.replace('RMSE,MAE', 'MAE,RMSE', 1), 'found another order'),
        (lambda text: '', "found none 'checkpoint'"),
        (lambda text: text + 'abc,1\n', r'row 4: expected \d+ values'),
    ],
)
def test_a_table_of_another_kind_is_refused_and_left_as_it_is(tmp_path, change, said):
    path = tmp_path / 'all.csv'
    transfer_table.append(ENTRIES, path, ORIGIN, 'photos/mine')
    path.write_text(change(path.read_text()))
    before = path.read_text()
    with pytest.raises(InputError, match=said):
        transfer_table.append(ENTRIES, path, ORIGIN, 'photos/mine')
    assert path.read_text() == before


def test_a_picture_is_drawn_with_protocols_shares_and_missing_intervals(tmp_path):
    more = [_entry(protocol='nonlinear', labels='10%'), _entry(trained_interval=[NAN, NAN])]
    transfer.draw([*ENTRIES, *more], tmp_path / 'scores.png', 'toy')
    assert (tmp_path / 'scores.png').read_bytes()[:4] == b'\x89PNG'


def test_a_refused_table_spends_no_time_on_probes(tmp_path):
    (tmp_path / 'all.csv').write_text('a,b\n')
    with pytest.raises(InputError, match="all.csv: expected the columns .* found 'a'"):
        transfer.run(
            transfer.TransferConfig(), 'nowhere', tmp_path / 'out', str(tmp_path / 'all.csv')
        )
    assert not (tmp_path / 'out').exists()


def test_json_has_no_nan(tmp_path):
    transfer.write_json({'results': [_entry()]}, tmp_path / 'results.json')
    (entry,) = json.loads((tmp_path / 'results.json').read_text())['results']
    assert entry['nearest_interval'] == [None, None]
