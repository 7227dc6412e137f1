"""Priors of species, for people: results.json, results.csv, scores.png, ranks, a table."""

import csv
import dataclasses
import io
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gair_jax.report.figures import new_figure, save
from gair_jax.report.first_look import write_json
from gair_jax.scores.species import METRICS
from gair_jax.transfer.species_benchmark import Data, evaluate, load
from gair_jax.transfer.species_settings import SpeciesConfig

Entry = Mapping[str, Any]

_COLOURS = {'counted': '#94a3b8', 'network': '#c2410c'}
_REFERENCES = {'none': 'the photo alone', 'frequency': 'class frequency'}
COLUMNS = (
    'name', 'kind', 'reference',
    *(f'{what}{name}{end}' for what in ('', 'gain_') for name in METRICS
      for end in ('', '_low', '_high')),
    'rate', 'epoch', 'val', 'seconds', 'train_rows', 'val_rows', 'test_rows', 'placed_rows',
)  # fmt: skip


def run(settings: SpeciesConfig, out: pathlib.Path) -> list[dict[str, Any]]:
    """Trains and scores every prior, writes what is found and prints it.

    Args:
        settings: the data set, the priors.
        out: folder that gets results.json, results.csv, scores.png, `ranks`, a table for each prior
            with lon, lat, true_class_prob, rank and right of every test row, and `runs`.

    Raises:
        InputError: the settings or a file cannot be used.
    """
    data = load(settings)
    entries = evaluate(settings, data, out / 'runs')
    (out / 'ranks').mkdir(exist_ok=True)
    for entry in entries:
        path = out / 'ranks' / f'{entry["name"]}.parquet'
        shutil.copyfile(entry.pop('ranks'), path.with_suffix('.part'))
        os.replace(path.with_suffix('.part'), path)
    write_json({'settings': dataclasses.asdict(settings), 'results': entries}, out / 'results.json')
    _write_csv(entries, out / 'results.csv')
    draw(entries, out / 'scores.png')
    print_table(entries, data)
    return entries


def best_first(entries: Sequence[Entry]) -> list[Entry]:
    """The reference, then the others by MRR."""
    return [entries[0], *sorted(entries[1:], key=lambda entry: -_value(entry, 'MRR'))]


def _value(entry: Entry, metric: str) -> float:
    return float(entry['scores'][metric]['value'])


def print_table(entries: Sequence[Entry], data: Data, console: Console | None = None) -> None:
    """Prints a row a prior, and what the figures mean."""
    console = console or Console()
    first, species = entries[0], data.species
    table = Table(
        title=f'{len(species.classes)} classes, {first["train_rows"]} places fitted, '
        f'{first["test_rows"]} rows scored, {first["placed_rows"]} of them with a place',
        title_justify='left', pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    for column in ('prior', 'top-1', '95 %', 'gain', '95 %', 'top-3', 'top-5', 'MRR'):
        table.add_column(column, no_wrap=True)
    for entry in best_first(entries):
        top, gain = entry['scores']['top1'], entry['gain']['top1']
        table.add_row(
            entry['name'], f'{100 * top["value"]:.2f}', _span(top), f'{100 * gain["value"]:+.2f}',
            _span(gain, '+'), *(f'{100 * _value(entry, name):.2f}' for name in METRICS[1:3]),
            f'{_value(entry, "MRR"):.3f}',
            style='dim' if entry['kind'] != 'network' else None,
        )  # fmt: skip
    console.print(table)
    console.print(_explained(data), markup=False)


def _span(score: Mapping[str, Any], sign: str = '') -> str:
    low, high = score['interval']
    return f'{100 * low:{sign}.1f} to {100 * high:{sign}.1f}'


def _explained(data: Data) -> str:
    told = (
        'Scores of classes are P(class | photo) x P(class | place); rows without a place keep what '
        'the photo says. Gains are over the photo alone, on the same draws of rows.'
        if data.test.photo
        else 'There are no predictions of photos: priors answer alone, on rows with a place. Gains '
        'are over class frequency, on the same draws of rows.'
    )
    if data.species.left_out:
        told += (
            f' {data.species.left_out} training rows lack a place, user or date and are not used.'
        )
    return told


def draw(entries: Sequence[Entry], path: pathlib.Path) -> None:
    """What each prior adds to the reference's top-1 as bars with intervals, the best on top."""
    first, *own = best_first(entries)
    figure = new_figure(6.4, 0.27 * len(own) + 1.3)
    axes = figure.subplots()
    gains = [entry['gain']['top1'] for entry in own]
    values = 100 * np.array([gain['value'] for gain in gains])
    ends = 100 * np.array([gain['interval'] for gain in gains]).reshape(-1, 2).T
    at = np.arange(len(own))
    axes.barh(at, values, color=[_COLOURS[entry['kind']] for entry in own])
    axes.errorbar(values, at, xerr=np.abs(ends - values), fmt='none', color='black', capsize=2)
    axes.axvline(0, color='black', linewidth=0.8)
    axes.set_yticks(at, [entry['name'] for entry in own])
    axes.invert_yaxis()
    axes.set_xlabel(
        f'top-1 on test: points more than {_REFERENCES[first["name"]]} '
        f'({100 * _value(first, "top1"):.2f} %), with 95 % intervals',
        fontsize=9,
    )
    save(figure, path)


def _write_csv(entries: Sequence[Entry], path: pathlib.Path) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    table.writeheader()
    for entry in entries:
        row = {name: entry[name] for name in COLUMNS if name in entry}
        for what, prefix in (('scores', ''), ('gain', 'gain_')):
            for name, score in entry[what].items():
                low, high = score['interval']
                ends = {'': score['value'], '_low': low, '_high': high}
                row |= {f'{prefix}{name}{end}': value for end, value in ends.items()}
        table.writerow(row)
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)
