"""Figures of a run as text: what training logged, and the first look with a sentence on each."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, ...]

_FIGURES = ('figure', 'value', 'to compare', 'what it means')
_PROBES = ('task', 'seen', 'metric', 'trained', 'random', 'guess', 'outcome')
_EXPLAINED = (
    'A linear map from a frozen encoder to the label of the task, on tiles never trained on: '
    'trained (with half its 95 % interval), beside the same encoder with random parameters and '
    'a guess that ignores its input. Outcome: trained against random.'
)
_NOTHING = 1e-6  # SECL of an empty bank: zero but for rounding
_ENCODERS = {'rs': 'tile', 'sv': 'photo', 'location': 'place'}


def read_metrics(path: pathlib.Path) -> list[dict[str, float]]:
    """The records of a metrics.jsonl, oldest first; a last line cut short by a kill is left out."""
    lines = path.read_text(encoding='utf-8').splitlines()
    records = []
    for i, line in enumerate(lines):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if i + 1 < len(lines):
                raise
    return records


def series(records: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of one metric, from the records that have it."""
    having = [record for record in records if name in record]
    return [r['step'] for r in having], [r[name] for r in having]


def with_candidates(records: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """Without the records of an empty memory bank, whose SECL compares with nothing and is zero.

    A run whose SECL is always zero (no location encoder) keeps all of them.
    """
    if not any(record.get('secl', 0.0) > _NOTHING for record in records):
        return list(records)
    return [record for record in records if record.get('secl', 1.0) > _NOTHING]


def training_summary(path: pathlib.Path) -> dict[str, float]:
    """What a run's metrics.jsonl says of its course.

    Returns:
        steps, and the first and last logged value of incl, secl, loss and val_loss, as far as
        they were logged (incl_first, incl_last, ...), the first of secl and loss once the memory
        bank holds something; triples_per_second, the median.
    """
    records = read_metrics(path)
    found: dict[str, float] = {}
    for name in ('incl', 'secl', 'loss', 'val_loss'):
        used = with_candidates(records) if name in ('secl', 'loss') else records
        _, values = series(used, name)
        if values:
            found[f'{name}_first'], found[f'{name}_last'] = values[0], values[-1]
    rates = sorted(series(records, 'triples_per_second')[1])
    if rates:
        found['triples_per_second'] = rates[len(rates) // 2]
    steps = max((int(record['step']) for record in records), default=0)
    seconds = max((record.get('seconds', 0.0) for record in records), default=0.0)
    return {'steps': steps, 'training_seconds': seconds, **found}


def print_table(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a first look: each figure, what a guess scores, and what it means."""
    console = console or Console()
    made_up = 'synthetic data' if summary.get('synthetic') else 'real data'
    rows = _training_rows(summary) + _retrieval_rows(summary) + _place_rows(summary)
    if rows:
        console.print(_table(f'First look ({made_up})', _FIGURES, rows))
    if summary.get('probes'):
        console.print(_table(f'Linear probes ({made_up})', _PROBES, _probe_rows(summary)))
        console.print(_EXPLAINED, markup=False)
    for note in summary.get('notes', ()):
        console.print(f'Note: {note}', markup=False)


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify='left')
    for column in columns:
        table.add_column(column, justify='right' if column == 'value' else 'left')
    for row in rows:
        table.add_row(*row)
    return table


def _training_rows(summary: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    texts = {
        'incl': 'contrast of tile and photo: lower, the pairs are told apart better',
        'secl': 'contrast of place with tile and photo: lower, places are told apart better',
    }
    for name, text in texts.items():
        if f'{name}_last' in summary:
            first = f'{summary[f"{name}_first"]:.2f} at the start'
            rows.append((f'{name.upper()} loss', f'{summary[f"{name}_last"]:.2f}', first, text))
    return rows


def _retrieval_rows(summary: Mapping[str, Any]) -> list[Row]:
    if 'retrieval_at_1' not in summary:
        return []
    count = summary['n_candidates']
    rows: list[Row] = [
        _share(summary, 'retrieval_at_1', 'chance', f'photos whose own point is first of {count}'),
        _share(summary, 'retrieval_at_5', 'chance_at_5', 'photos with it in the first 5'),
        (
            'median rank', f'{summary["median_rank"]:.0f}', f'guess {(count + 1) / 2:.0f}',
            f'the typical place of the own point among {count}',
        ),
        _share(summary, 'within_tile_at_1', 'within_tile_chance', 'the same among its tile alone'),
    ]  # fmt: skip
    names = {
        'retrieval_at_1_pooled': 'first, with the mean of the tokens for the point (w/o NILI)',
        'within_tile_at_1_pooled': 'that mean, among its tile alone',
        'retrieval_at_1_window': "first, with the mean of the window's points for the point",
    }
    chances = ('chance', 'within_tile_chance', 'chance')
    for (name, text), chance in zip(names.items(), chances, strict=True):
        if summary.get(name) is not None:
            rows.append(_share(summary, name, chance, text))
    return rows


def _share(summary: Mapping[str, Any], name: str, chance: str, text: str) -> Row:
    guess = f'guess {summary[chance]:.1%}'
    return name.replace('_', ' '), f'{summary[name]:.1%}', guess, text


def _place_rows(summary: Mapping[str, Any]) -> list[Row]:
    if 'place_error_m' not in summary:
        return []
    centre = f'centre {summary["centre_error_m"]:.0f} m'
    texts = {
        'place_error_m': 'how far off the photo is placed in its window (median)',
        'colour_error_m': 'the same by a rule that looks for its ground colour; nothing is learnt',
        'shuffled_error_m': 'the same with a photo of another tile: nothing should be found',
    }
    return [
        (name.replace('_', ' ').removesuffix(' m'), f'{summary[name]:.0f} m', centre, text)
        for name, text in texts.items()
        if summary.get(name) is not None
    ]


def _probe_rows(summary: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for task, entry in summary['probes'].items():
        low, high = entry['trained_interval']
        gain_low, gain_high = entry['gain_interval']
        verdict = 'as good'
        if gain_low > 0:
            verdict = 'better'
        elif gain_high < 0:
            verdict = 'worse'
        rows.append(
            (
                task, _ENCODERS[entry['encoder']], entry['metric'],
                f'{entry["trained"]:.2f} ± {(high - low) / 2:.2f}',
                f'{entry["random_init"]:.2f}', f'{entry["floor"]:.2f}', verdict,
            )
        )  # fmt: skip
    return rows
