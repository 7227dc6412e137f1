"""A benchmark of encoders, for people: results.json, results.csv, scores.png, a table."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gair_jax.report import transfer_table
from gair_jax.report.figures import new_figure, save
from gair_jax.report.first_look import write_json
from gair_jax.serve import weights
from gair_jax.transfer.benchmark import evaluate
from gair_jax.transfer.settings import TransferConfig, check

Entry = Mapping[str, Any]

_SHOWN = ('features', 'labels', 'trained', 'random', 'guess', 'nearest', 'outcome')
_EXPLAINED = (
    'Fitted on train, chosen on val, scored once on test. Trained: from the checkpoint, with '
    'half its 95 % interval, drawn over tiles or blocks. Random: the same from random '
    'parameters. Guess: the commonest class, or the mean. Nearest: what is true at the nearest '
    'training place. Outcome: trained against random, better or worse where the interval of the '
    'difference leaves out 0. Joined features are compared with each side alone on the same rows.'
)


def run(
    settings: TransferConfig, checkpoint: str, out: pathlib.Path, table: str = ''
) -> list[Entry]:
    """Probes a checkpoint, writes what is found and prints it.

    Args:
        settings: what is read and compared.
        checkpoint: whatever `serve.weights.read` reads.
        out: folder that gets results.json, results.csv, scores.png and the features' cache.
        table: CSV of many runs that gets this one's rows too; '' for none.

    Raises:
        InputError: a setting, the checkpoint, its data set or the table cannot be used.
    """
    check(settings)  # before hours are spent
    if table:
        transfer_table.read(pathlib.Path(table))
    read = weights.read(checkpoint)
    found = evaluate(settings, read.config, read.params, str(out / 'features'))
    out.mkdir(parents=True, exist_ok=True)
    write_json(
        {
            'checkpoint': vars(read.origin),
            'settings': dataclasses.asdict(settings),
            'results': found.entries,
            'fusion': found.fusion,
        },
        out / 'results.json',
    )
    transfer_table.write(found.entries, out / 'results.csv')
    data = f'{settings.data.name}/{settings.data.variant}'
    if table:
        transfer_table.append(found.entries, pathlib.Path(table), read.origin, data)
    draw(found.entries, out / 'scores.png', data)
    print_table(found.entries, found.fusion)
    return list(found.entries)


def print_table(
    entries: Sequence[Entry], fusion: Sequence[Entry] = (), console: Console | None = None
) -> None:
    """Prints a table a task, what joined features gain, and what the figures mean."""
    console = console or Console()
    differing = _differing(entries)
    several = 'protocol' in differing
    for task, own in _by_task(entries).items():
        direction = '' if own[0]['higher_is_better'] else ', lower is better'
        title = f'{task} ({own[0]["metric"]}{direction})'
        table = Table(title=title, title_justify='left', pad_edge=False, collapse_padding=True)
        for column in (*_SHOWN[:1], *(['protocol'] if several else []), *_SHOWN[1:]):
            table.add_column(column)
        for entry in own:
            protocol = [entry['protocol']] if several else []
            table.add_row(entry['features'], *protocol, *_cells(entry))
        console.print(table)
    console.print(_EXPLAINED, markup=False)
    for line in fusion:
        console.print(said(line, differing), markup=False, highlight=False)


def _cells(entry: Entry) -> tuple[str, ...]:
    low, high = entry['trained_interval']
    others = (_figure(entry[name]) for name in ('random_init', 'floor', 'nearest'))
    trained = f'{_figure(entry["trained"])} ± {_figure((high - low) / 2)}'
    return (f'{entry["train_rows"]}', trained, *others, outcome(entry))


def _figure(value: float) -> str:
    """Three decimals, without the sign of what is rounded to zero; a dash for none."""
    if math.isnan(value):
        return '-'
    return f'{round(value, 3) + 0.0:.3f}'


def said(line: Entry, several: Sequence[str] = ()) -> str:
    """What joined features gain over one of their sides, as a sentence.

    `several` names what differs among the lines beside their features: protocol, labels.
    """
    words = f'{_named(line, several)}, over {line["over"]} alone:'
    if line['tasks']:
        low, value, high = line['gain']
        count = len(line['tasks'])
        words += f' {value:+.3f} R2 ({low:+.3f} to {high:+.3f}), mean of {count} tasks of numbers;'
    return f'{words} worse on {", ".join(line["worse"]) or "no task"}.'


def _by_task(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries of each task, in their order."""
    names = dict.fromkeys(entry['task'] for entry in entries)
    return {name: [entry for entry in entries if entry['task'] == name] for name in names}


def outcome(entry: Entry) -> str:
    """Trained against random parameters: better, worse, as good, or not known."""
    low, high = entry['gain_interval']
    if math.isnan(low):
        return 'not known'
    return 'better' if low > 0 else 'worse' if high < 0 else 'as good'


def draw(entries: Sequence[Entry], path: pathlib.Path, data: str) -> None:
    """Trained, random and guessed scores: a panel a task, a line an entry."""
    tasks = _by_task(entries)
    across = min(3, len(tasks))
    down = math.ceil(len(tasks) / across)
    figure = new_figure(4.2 * across, 2.6 * down + 0.8)
    figure.suptitle(f'Probes on {data}: points and 95 % intervals on test')
    for i, (task, own) in enumerate(tasks.items()):
        axes = figure.add_subplot(down, across, i + 1)
        _panel(axes, task, own)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=4)
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
    for name, mark, label in (('floor', 'x', 'guess'), ('nearest', '+', 'nearest place')):
        axes.plot([entry[name] for entry in entries], at, mark, color='black', label=label)
    several = _differing(entries)
    axes.set_yticks(at, [_named(entry, several) for entry in entries])
    axes.invert_yaxis()
    axes.set_title(f'{task} ({entries[0]["metric"]})', fontsize=10)


def _differing(entries: Sequence[Entry]) -> list[str]:
    """What tells entries apart beside task and features."""
    return [name for name in ('protocol', 'labels') if len({entry[name] for entry in entries}) > 1]


def _named(entry: Entry, several: Sequence[str]) -> str:
    """Its features, and what else tells it apart."""
    return ', '.join([entry['features'], *(entry[name] for name in several)])
