"""Geo-bias of tables of answers: geo_bias.json, geo_bias.csv, a GeoParquet and a map a table."""

import csv
import dataclasses
import datetime
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import gair_jax
from gair_jax.config import InputError
from gair_jax.report import answers, geobias_maps
from gair_jax.report.answers import Answers, Question
from gair_jax.report.first_look import write_json
from gair_jax.scores.geo_bias import CentreScores, Plan, data_set_scores
from gair_jax.scores.geo_bias.data_set import SRI_NAMES
from gair_jax.serve import geoparquet
from gair_jax.train.metrics_writer import ProgressBar

# Below, starting processes takes longer than they save; more hold too much at a time.
PARALLEL_CENTRES, MOST_WORKERS = 5000, 8
HEADS = {
    'ssi_unmarked': 'SSI, unmarked',
    'ssi_marked': 'SSI, marked',
    'sri_scale_grid': 'SRI, grid',
    'sri_distance_lag': 'SRI, lags',
    'sri_direction_sector': 'SRI, sectors',
}
_EXPLAINED = (
    'Means over the centres that have a score; larger is more biased. 95 % of the means lie so '
    'where centres are drawn anew, one by one; neighbourhoods overlap, and other samples of '
    'the same ground would differ by more.'
)
_NO_SSI = 'SSI needs another sample near, and one that is marked otherwise than the background.'
_NO_SRI = 'SRI needs a part of the neighbourhood that is large enough.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of all tables.

    question: which answers are right.
    plan: of the scores.
    of_errors: whether SRI compares errors, and not right with wrong.
    workers: processes; 0: one a core where there are many centres, else one.
    """

    question: Question
    plan: Plan
    of_errors: bool = False
    workers: int = 0

    def describe(self, found: CentreScores, name: str) -> str:
        """A score with every setting that it depends on, in one line."""
        text = found.description
        if name in SRI_NAMES:
            text += f'; of {"errors" if self.of_errors else "right and wrong"}'
        centres = {'all': 'all places', 'wrong': 'wrong answers alone'}[self.plan.centres]
        return f'{text}; centres: {centres}'


class Scored(NamedTuple):
    """A table, its centres (rows) and their scores by name."""

    answers: Answers
    rows: np.ndarray
    scores: dict[str, CentreScores]


def run(paths: Sequence[str], job: Job, out: pathlib.Path) -> list[dict[str, Any]]:
    """Scores every table, writes what is found and prints it.

    Args:
        paths: of the tables.
        job: what is asked.
        out: folder that gets geo_bias.json and geo_bias.csv, and of each table
            places_{name}.parquet and map_{name}.png.

    Returns:
        What geo_bias.json says of each table.

    Raises:
        InputError: a table or what is asked of it cannot be used; nothing is written then.
    """
    tables = [
        answers.read(path, name, job.question)
        for path, name in zip(paths, answers.names(paths), strict=True)
    ]
    for table in tables:
        _check(table, job)
    made = [_scored(table, job) for table in tables]
    entries = [entry(one, job) for one in made]
    out.mkdir(parents=True, exist_ok=True)
    for one in made:
        about = {'table': str(one.answers.path), 'parameters': parameters(job)}
        write_places(one, job, out / f'places_{one.answers.name}.parquet', about)
    geobias_maps.draw([(one.answers, one.rows, one.scores) for one in made], HEADS, out)
    _write_csv(entries, out / 'geo_bias.csv')
    write_json({'parameters': parameters(job), 'tables': entries}, out / 'geo_bias.json')
    print_tables(entries)
    return entries


def _check(table: Answers, job: Job) -> None:
    """Refuses what would only fail after the first table was scored."""
    if job.of_errors and table.error is None:
        raise InputError(f'{table.path}: expected errors for --values error, found {table.rule}.')
    if job.plan.centres == 'wrong' and table.right.all():
        raise InputError(f'{table.path}: expected wrong answers to be centres, found none.')


def _scored(table: Answers, job: Job) -> Scored:
    rows = job.plan.rows(table.right)
    many = len(rows) > PARALLEL_CENTRES
    workers = job.workers or (min(os.cpu_count() or 1, MOST_WORKERS) if many else 1)
    total = len(rows) * (2 if job.plan.sri else 1)
    with ProgressBar(f'{table.name}, centres', total) as bar:
        found = data_set_scores(
            table.lonlat, table.right, job.plan, values=table.error if job.of_errors else None,
            workers=workers, progress=lambda done, _: bar.update(done, ''),
        )  # fmt: skip
    return Scored(table, rows, found)


def parameters(job: Job) -> dict[str, Any]:
    """Every setting, as geo_bias.json holds it."""
    return {
        'question': dataclasses.asdict(job.question),
        'ssi': dataclasses.asdict(job.plan.ssi),
        'sri': dataclasses.asdict(job.plan.sri) if job.plan.sri else {},
        'sri_values': 'error' if job.of_errors else 'right',
        'centres': job.plan.centres,
    }


def entry(one: Scored, job: Job) -> dict[str, Any]:
    """What geo_bias.json says of a table."""
    table = one.answers
    return {
        'name': table.name,
        'path': str(table.path),
        'right': table.rule,
        'rows': len(table.right),
        'without_place': table.without_place,
        'sharing_a_place': table.sharing,
        'accuracy': float(table.right.mean()),
        'centres': len(one.rows),
        'scores': {
            name: {
                'description': job.describe(found, name),
                'mean': found.mean,
                'interval': list(found.interval),
                'weighted_mean': found.weighted_mean,
                'undefined': len(found.score) - found.defined,
            }
            for name, found in one.scores.items()
        },
    }


def write_places(one: Scored, job: Job, path: pathlib.Path, about: dict[str, Any]) -> None:
    """A row a place: lon, lat, right, mark, error if there is one, scores, and the point.

    `samples` are those of the SSI neighbourhood. What has no score, or is no centre, is null.
    """
    table = one.answers
    lon, lat = table.lonlat.T
    columns = {'lon': lon, 'lat': lat, 'right': table.right, 'mark': job.plan.marks(table.right)}
    if table.error is not None:
        columns['error'] = table.error
    columns['samples'] = _at(one, one.scores['ssi_unmarked'].n.astype(np.float64))
    columns |= {name: _at(one, found.score) for name, found in one.scores.items()}
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    arrays['samples'] = arrays['samples'].cast(pa.int64())
    made = pa.table({**arrays, 'geometry': geoparquet.points(table.lonlat)})
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    provenance = {**about, 'version': gair_jax.__version__, 'date': now}
    bounds = (*table.lonlat.min(axis=0).tolist(), *table.lonlat.max(axis=0).tolist())
    geoparquet.write(made.replace_schema_metadata(geoparquet.metadata(provenance, bounds)), path)


def _at(one: Scored, values: np.ndarray) -> np.ndarray:
    """Values of the centres as ones of all rows; nan elsewhere."""
    every = np.full(len(one.answers.right), np.nan)
    every[one.rows] = values
    return every


def _write_csv(entries: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
    rows = [_flat(entry) for entry in entries]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    table.writeheader()
    table.writerows(rows)
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as a row of the CSV."""
    row = {name: value for name, value in entry.items() if name not in ('path', 'scores')}
    for name, found in entry['scores'].items():
        low, high = found['interval']
        row |= {name: found['mean'], f'{name}_low': low, f'{name}_high': high}
        row |= {f'{name}_weighted': found['weighted_mean']}
        row |= {f'{name}_undefined': found['undefined']}
    row['parameters'] = ' | '.join(found['description'] for found in entry['scores'].values())
    return row


def print_tables(entries: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """Prints every score, table by table, what it is of, and what is to be known of the rows."""
    console = console or Console()
    table = Table(pad_edge=False, collapse_padding=True)
    for column in ('score', 'table', 'mean', '95 %', 'no score'):
        table.add_column(column)
    for i, each in enumerate(entries):
        head = '' if i else 'right answers'
        table.add_row(head, each['name'], f'{100 * each["accuracy"]:.1f} %', '', '')
    for name in entries[0]['scores']:
        table.add_section()
        for i, each in enumerate(entries):
            table.add_row('' if i else HEADS[name], each['name'], *_cells(each, name))
    console.print(table)
    for name, found in entries[0]['scores'].items():
        _say(console, f'{HEADS[name]}: {found["description"]}.')
    _say(console, _EXPLAINED)
    for each in entries:
        for note in notes(each):
            _say(console, f'{each["name"]}: {note}')


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _cells(each: dict[str, Any], name: str) -> tuple[str, str, str]:
    """Mean, interval and how many centres have no score."""
    found = each['scores'][name]
    without = f'{found["undefined"]} of {each["centres"]}' if found['undefined'] else ''
    if np.isnan(found['mean']):
        return 'none', '', without
    low, high = found['interval']
    return f'{found["mean"]:.4g}', f'{low:.4g} to {high:.4g}', without


def notes(each: dict[str, Any]) -> list[str]:
    """What is to be known of a table's rows, a sentence each."""
    said = [f'{each["rows"]} rows; an answer is right where {each["right"]}.']
    if each['without_place']:
        said.append(f'{each["without_place"]} further rows have no place and are left out.')
    if each['sharing_a_place']:
        said.append(
            f'{each["sharing_a_place"]} rows share their place with another; which of them are '
            'neighbours hangs on the order of rows, and single marked scores with it.'
        )
    empty = {name for name, found in each['scores'].items() if found['undefined']}
    said += [_NO_SSI] * bool(empty - set(SRI_NAMES)) + [_NO_SRI] * bool(empty & set(SRI_NAMES))
    return said
