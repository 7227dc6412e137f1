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
_SHOWN = ('features', 'labels', 'trained', 'random', 'outcome')
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
    """Prints a table a task, and what its figures mean."""
    console = console or Console()
    for task, own in _by_task(entries).items():
        title = f'{task} ({own[0]["metric"]}; a guess scores {own[0]["floor"]:.3f})'
        table = Table(title=title, title_justify='left')
        for column in _SHOWN:
            table.add_column(column)
        for entry in own:
            low, high = entry['trained_interval']
            table.add_row(
                entry['features'], f'{entry["train_rows"]}',
                f'{entry["trained"]:.3f} ± {(high - low) / 2:.3f}',
                f'{entry["random_init"]:.3f}', outcome(entry),
            )  # fmt: skip
        console.print(table)
    console.print(_EXPLAINED, markup=False)


def _by_task(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries of each task, in their order."""
    names = dict.fromkeys(entry['task'] for entry in entries)
    return {name: [entry for entry in entries if entry['task'] == name] for name in names}


def outcome(entry: Entry) -> str:
    """Trained against random parameters: better, worse, or as good."""
    low, high = entry['gain_interval']
    return 'better' if low > 0 else 'worse' if high < 0 else 'as good'


def draw(entries: Sequence[Entry], path: pathlib.Path, data: str) -> None:
    """Trained, random and guessed scores: a panel a task, a place a feature and share."""
    tasks = _by_task(entries)
    across = min(3, len(tasks))
    down = math.ceil(len(tasks) / across)
    figure = new_figure(4.2 * across, 2.6 * down + 0.8)
    figure.suptitle(f'Linear probes on {data}: points and 95 % intervals on test')
    for i, (task, own) in enumerate(tasks.items()):
        axes = figure.add_subplot(down, across, i + 1)
        _panel(axes, task, own)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=3)
    save(figure, path)


def _panel(axes: Any, task: str, entries: Sequence[Entry]) -> None:
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


def _named(entry: Entry, several: bool) -> str:
    return f'{entry["features"]}, {entry["share"]:.0%}' if several else entry['features']
