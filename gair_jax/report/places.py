"""Location encoders on a table, for people: results.json, results.csv, scores.png, a table."""

import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gair_jax.geo.place_encodings import NAMES
from gair_jax.report.figures import new_figure, save
from gair_jax.report.first_look import write_json
from gair_jax.transfer.place_benchmark import FLOORS, IMAGES, evaluate
from gair_jax.transfer.place_settings import PlacesConfig

Entry = Mapping[str, Any]

_TEXTS = {
    'guess': 'the commonest class, or the mean',
    'nearest': 'what is true at the nearest training place',
    'neighbours': 'the nearest training places, weighted by 1 / distance',
    IMAGES: 'features of images alone',
    **NAMES,
}
_EXPLAINED = (
    'Each encoder is trained from scratch on train; val chooses its rate and epoch; test is scored '
    'once, with its 95 % interval, drawn over rows (split random) or blocks. An encoder below '
    '"neighbours" has learnt less than a table of the training rows knows. On a random split '
    'neighbours lie near every test row; blocks tell what carries over to other ground.'
)
COLUMNS = (
    'split', 'name', 'metric', 'score', 'low', 'high', 'seconds', 'train_rows', 'test_rows',
    'copies', 'coarseness', 'top3', 'top5', 'MRR',
)  # fmt: skip


def run(settings: PlacesConfig, out: pathlib.Path) -> list[dict[str, Any]]:
    """Trains and scores every encoder, writes what is found and prints it.

    Args:
        settings: the table, the encoders, the splits.
        out: folder that gets results.json, results.csv, scores.png, `answers`, what each answered
            on test, and `runs`, what each scored.

    Raises:
        InputError: the settings or the table cannot be used.
    """
    entries = evaluate(settings, out)
    write_json({'settings': dataclasses.asdict(settings), 'results': entries}, out / 'results.json')
    _write_csv(entries, out / 'results.csv')
    draw(entries, out / 'scores.png', settings.target)
    print_tables(entries)
    return entries


def ranked(entries: Sequence[Entry], split: str) -> list[Entry]:
    """Those of a split, the best first."""
    own = [entry for entry in entries if entry['split'] == split]
    sign = -1 if own and own[0]['higher_is_better'] else 1
    return sorted(own, key=lambda entry: (math.isnan(entry['score']), sign * entry['score']))


def print_tables(entries: Sequence[Entry], console: Console | None = None) -> None:
    """Prints a table a split, the best first, and what the figures mean."""
    console = console or Console()
    for split in dict.fromkeys(entry['split'] for entry in entries):
        own = ranked(entries, split)
        first = own[0]
        title = (
            f'split {split}: {first["metric"]}, {first["train_rows"]} rows fitted, '
            f'{first["test_rows"]} scored'
        )
        table = Table(title=title, title_justify='left', pad_edge=False, collapse_padding=True)
        ranking = tuple(first.get('ranking', ()))
        for column in ('encoder', first['metric'], '95 %', *ranking, 'seconds', 'what it is'):
            table.add_column(column, no_wrap=column != 'what it is')
        for entry in own:
            low, high = entry['interval']
            table.add_row(
                entry['name'], f'{entry["score"]:.3f}', f'{low:.3f} to {high:.3f}',
                *(f'{entry["ranking"][each]["value"]:.3f}' for each in ranking),
                f'{entry["seconds"]:.1f}', _TEXTS[entry['name']],
                style='dim' if entry['name'] in FLOORS else None,
            )  # fmt: skip
        console.print(table)
        if first['copies']:
            console.print(
                f'{first["copies"]} of {first["test_rows"]} test rows lie at the place of a '
                'training row.',
                markup=False,
            )
    console.print(_EXPLAINED, markup=False)


def draw(entries: Sequence[Entry], path: pathlib.Path, target: str) -> None:
    """Scores with intervals, the best on top: a panel a split; floors are lines."""
    splits = list(dict.fromkeys(entry['split'] for entry in entries))
    most = max(len(ranked(entries, split)) for split in splits)
    figure = new_figure(4.8 * len(splits), 0.26 * most + 1.6)
    figure.suptitle(
        f'{target}: encoders of places,\nscores on test with 95 % intervals', fontsize=10
    )
    for i, split in enumerate(splits):
        axes = figure.add_subplot(1, len(splits), i + 1)
        _panel(axes, split, ranked(entries, split))
    save(figure, path)


def _panel(axes: Any, split: str, own: Sequence[Entry]) -> None:
    encoders = [entry for entry in own if entry['name'] not in FLOORS]
    at = np.arange(len(encoders))
    values = np.array([entry['score'] for entry in encoders])
    ends = np.array([entry['interval'] for entry in encoders]).T
    axes.errorbar(values, at, xerr=np.abs(ends - values), fmt='o', color='#c2410c', capsize=2)
    for entry, style in zip(
        sorted(
            (entry for entry in own if entry['name'] in FLOORS),
            key=lambda entry: FLOORS.index(entry['name']),
        ),
        (':', '--', '-'),
        strict=False,
    ):
        axes.axvline(entry['score'], color='#475569', linestyle=style, label=entry['name'])
    axes.set_yticks(at, [entry['name'] for entry in encoders])
    axes.invert_yaxis()
    axes.set_title(f'split {split} ({own[0]["metric"]})', fontsize=10)
    axes.legend(fontsize=7)


def _write_csv(entries: Sequence[Entry], path: pathlib.Path) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    table.writeheader()
    for entry in entries:
        low, high = entry['interval']
        row = {name: entry[name] for name in COLUMNS if name in entry}
        row['coarseness'] = ' '.join(f'{factor:g}' for factor in entry.get('coarseness', ()))
        row |= {name: found['value'] for name, found in entry.get('ranking', {}).items()}
        table.writerow({**row, 'low': low, 'high': high})
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)
