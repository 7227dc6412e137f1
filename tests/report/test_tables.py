import io
import json

import pytest
from rich.console import Console

from gair_jax.report import tables

LINES = [
    {'step': 1, 'incl': 5.0, 'secl': 6.0, 'loss': 8.0, 'triples_per_second': 10.0},
    {'step': 10, 'incl': 4.0, 'secl': 5.5, 'loss': 6.75, 'triples_per_second': 30.0},
    {'step': 10, 'val_loss': 7.0, 'val_incl': 4.2},
    {'step': 20, 'incl': 3.0, 'secl': 5.0, 'loss': 5.5, 'triples_per_second': 20.0},
    {'step': 20, 'val_loss': 6.0, 'val_incl': 3.8},
]
ENTRY = {
    'encoder': 'sv', 'trained': 0.6, 'random_init': 0.4, 'floor': 0.3, 'metric': 'accuracy',
    'higher_is_better': True, 'trained_interval': [0.5, 0.7], 'random_init_interval': [0.3, 0.5],
    'gain_interval': [0.1, 0.3],
}  # fmt: skip
SUMMARY = {
    'synthetic': True, 'incl_first': 5.0, 'incl_last': 3.0,
    'n_candidates': 576, 'retrieval_at_1': 0.25, 'retrieval_at_5': 0.5, 'median_rank': 6.0,
    'chance': 1 / 576, 'chance_at_5': 5 / 576, 'within_tile_at_1': 0.5, 'within_tile_chance': 0.125,
    'retrieval_at_1_pooled': 0.01, 'within_tile_at_1_pooled': None, 'retrieval_at_1_window': 0.1,
    'place_error_m': 55.0, 'centre_error_m': 120.0, 'shuffled_error_m': 130.0,
    'colour_error_m': None, 'probes': {'platform': ENTRY}, 'notes': ['Nothing [odd] happened.'],
}  # fmt: skip


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    path.write_text(''.join(json.dumps(line) + '\n' for line in LINES))
    return path


def _printed(summary):
    out = io.StringIO()
    tables.print_table(summary, Console(file=out, width=140))
    return out.getvalue()


def test_training_summary_takes_first_and_last(metrics):
    assert tables.training_summary(metrics) == {
        'steps': 20, 'incl_first': 5.0, 'incl_last': 3.0, 'secl_first': 6.0, 'secl_last': 5.0,
        'loss_first': 8.0, 'loss_last': 5.5, 'val_loss_first': 7.0, 'val_loss_last': 6.0,
        'triples_per_second': 20.0, 'training_seconds': 0.0,
    }  # fmt: skip


def test_a_last_line_cut_short_is_left_out(metrics):
    metrics.write_text(metrics.read_text() + '{"step": 30, "in')
    assert tables.training_summary(metrics)['steps'] == 20


def test_a_broken_line_in_the_middle_is_not(metrics):
    metrics.write_text('{"step"\n' + metrics.read_text())
    with pytest.raises(json.JSONDecodeError):
        tables.read_metrics(metrics)


def test_secl_begins_once_the_bank_holds_something(metrics):
    empty = {'step': 0, 'incl': 5.5, 'secl': 0.0, 'loss': 5.5}
    metrics.write_text(json.dumps(empty) + '\n' + metrics.read_text())
    found = tables.training_summary(metrics)
    assert (found['incl_first'], found['secl_first'], found['loss_first']) == (5.5, 6.0, 8.0)


def test_a_run_without_secl_keeps_all_records():
    records = [{'step': i, 'incl': 1.0, 'secl': 0.0, 'loss': 1.0} for i in range(3)]
    assert tables.with_candidates(records) == records


def test_series_skips_records_without_the_metric():
    assert tables.series(LINES, 'val_loss') == ([10, 20], [7.0, 6.0])


def test_the_table_says_figures_and_what_they_mean():
    text = ' '.join(_printed(SUMMARY).split())
    for part in (
        'synthetic data',
        '25.0%',
        '55 m',
        'centre 120 m',
        '0.60 ± 0.10',
        'random parameters',
    ):
        assert part in text, part
    assert 'better' in text
    assert 'Nothing [odd] happened.' in text
    assert 'ground colour' not in text  # its figure is not available


def test_an_empty_summary_prints_only_its_notes():
    assert _printed({'notes': ['No photos.']}).strip() == 'Note: No photos.'


@pytest.mark.parametrize(('gain', 'text'), [([-0.3, -0.1], 'worse'), ([-0.1, 0.1], 'as good')])
def test_the_verdict_follows_the_interval_of_the_gain(gain, text):
    entry = {**ENTRY, 'gain_interval': gain}
    assert text in _printed({'synthetic': False, 'probes': {'platform': entry}})
