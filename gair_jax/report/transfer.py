"""A benchmark of frozen encoders, for people: results.json, results.csv, scores.png, a table."""

import csv
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gair_jax.report.figures import new_figure, save
from gair_jax.report.first_look import write_json
from gair_jax.serve import weights
from gair_jax.transfer.benchmark import evaluate
from gair_jax.transfer.settings import TransferConfig

Entry = Mapping[str, Any]

COLUMNS = (
    'task', 'features', 'share', 'protocol', 'metric', 'trained', 'random_init', 'floor',
    'train_rows', 'test_rows', 'test_groups',
)  # fmt: skip
INTERVALS = ('trained_interval', 'random_init_interval', 'gain_interval')
_SHOWN = ('task', 'features', 'labels', 'metric', 'trained', 'random', 'guess', 'outcome')
_EXPLAINED = (
    'A linear map from frozen features to the label, fitted on train, its penalty chosen on val, '
    'scored once on test: trained (with half its 95 % interval, drawn over tiles), beside the same '
    'encoder with random parameters and a guess that ignores its input. Outcome: trained against '
    'random, better or worse where the interval of the difference leaves out 0.'
)


def run(settings: TransferConfig, checkpoint: str, out: pathlib.Path) -> list[Entry]:
    """Probes a checkpoint, writes what is found and prints it.

    Args:
        settings: what is read and compared.
        checkpoint: whatever `serve.weights.read` reads.
        out: folder that gets results.json, results.csv, scores.png and the features' cache.

    Raises:
        InputError: a setting, the checkpoint or its data set cannot be used.
    """
    read = weights.read(checkpoint)
    entries = evaluate(settings, read.config, read.params, str(out / 'features'))
    write_json(
        {
            'checkpoint': vars(read.origin),
            'data': vars(settings.data),
            'seed': settings.seed,
            'results': list(entries),
        },
        out / 'results.json',
    )
    write_table(entries, out / 'results.csv')
    draw(entries, out / 'scores.png', f'{settings.data.name}/{settings.data.variant}')
    print_table(entries)
    return list(entries)


def write_table(entries: Sequence[Entry], path: pathlib.Path) -> None:
    """A row an entry; intervals as two columns, ..._low and ..._high."""
    text = io.StringIO()
    ends = [f'{name}_{end}' for name in INTERVALS for end in ('low', 'high')]
    table = csv.writer(text, lineterminator='\n')
    table.writerow([*COLUMNS, *ends])
    for entry in entries:
        table.writerow([*(entry[c] for c in COLUMNS), *(v for n in INTERVALS for v in entry[n])])
    part = path.with_suffix('.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)


def print_table(entries: Sequence[Entry], console: Console | None = None) -> None:
    """Prints the scores and what they mean."""
    console = console or Console()
    table = Table(title='Linear probes of frozen features', title_justify='left')
    for column in _SHOWN:
        table.add_column(column, no_wrap=column == 'features')
    for entry in entries:
        low, high = entry['trained_interval']
        table.add_row(
            entry['task'], entry['features'], f'{entry["train_rows"]}', entry['metric'],
            f'{entry["trained"]:.3f} ± {(high - low) / 2:.3f}', f'{entry["random_init"]:.3f}',
            f'{entry["floor"]:.3f}', outcome(entry),
        )  # fmt: skip
    console.print(table)
    console.print(_EXPLAINED, markup=False)


def outcome(entry: Entry) -> str:
    """Trained against random parameters: better, worse, or as good."""
    low, high = entry['gain_interval']
    return 'better' if low > 0 else 'worse' if high < 0 else 'as good'


def draw(entries: Sequence[Entry], path: pathlib.Path, data: str) -> None:
    """Trained, random and guessed scores: a panel a task, a place a feature and share."""
    tasks = list(dict.fromkeys(entry['task'] for entry in entries))
    across = min(3, len(tasks))
    down = math.ceil(len(tasks) / across)
    figure = new_figure(4.2 * across, 2.6 * down + 0.8)
    figure.suptitle(f'Linear probes on {data}: points and 95 % intervals on test')
    for i, task in enumerate(tasks):
        own = [entry for entry in entries if entry['task'] == task]
        _panel(figure.add_subplot(down, across, i + 1), task, own, legend=i == 0)
    save(figure, path)


def _panel(axes: Any, task: str, entries: Sequence[Entry], *, legend: bool) -> None:
    at = np.arange(len(entries))
    for name, colour, shift in (('trained', '#c2410c', -0.12), ('random_init', '#475569', 0.12)):
        values = np.array([entry[name] for entry in entries])
        ends = np.array([entry[f'{name}_interval'] for entry in entries]).T
        axes.errorbar(
            values, at + shift, xerr=np.abs(ends - values), fmt='o', color=colour, capsize=2,
            label=name.replace('_init', ' parameters'),
        )  # fmt: skip
    axes.plot([entry['floor'] for entry in entries], at, 'x', color='black', label='guess')
    several = len({entry['share'] for entry in entries}) > 1
    axes.set_yticks(at, [_named(entry, several) for entry in entries])
    axes.invert_yaxis()
    axes.set_title(f'{task} ({entries[0]["metric"]})', fontsize=10)
    if legend:
        axes.legend(fontsize=7, loc='best')


def _named(entry: Entry, several: bool) -> str:
    return f'{entry["features"]}, {entry["share"]:.0%}' if several else entry['features']
