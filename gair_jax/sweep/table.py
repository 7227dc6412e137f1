"""The runs of a sweep side by side: a CSV, a table on the terminal, and a picture, best run first.

A run counts with the best value of the sweep's metric that it logged, as `best/` in its workdir
holds the parameters of the lowest validation loss. Runs that differ in nothing but their seed are
summarised by mean and sample standard deviation.
"""

import csv
import io
import math
import os
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from gair_jax.report import sweep as pictures
from gair_jax.report.tables import read_metrics, series
from gair_jax.sweep import folder
from gair_jax.sweep.plan import Plan, Run, short_names
from gair_jax.sweep.space import Settings

_LOGGED = ('val_loss', 'loss', 'val_retrieval_at_1', 'retrieval_at_1')
_MEASURED = ('triples_per_second', 'steps', 'seconds')
_PRINTED = ('val_retrieval_at_1', 'triples_per_second', 'steps')  # beside the metric
_STYLES = {'failed': 'red', 'partial': 'yellow', 'waiting': 'dim'}


class Row(NamedTuple):
    """A run in the table.

    name, state: as `Run` and `folder.state` say.
    values: of the settings that the sweep varies.
    score: the best value of the sweep's metric; nan if none was logged.
    figures: last values of what was logged; triples_per_second, the median; steps; seconds.
    """

    name: str
    state: str
    values: Settings
    score: float
    figures: Mapping[str, float]


class Group(NamedTuple):
    """Finished runs that differ only in their seed: mean and deviation (nan for one) of scores."""

    values: Settings
    n: int
    mean: float
    deviation: float


def rows(plan: Plan, out: pathlib.Path) -> list[Row]:
    """Finished runs, best first; then those begun, failed and waiting."""
    found = [_row(plan, out, run) for run in plan.runs]
    sign = 1 if plan.sweep.lower_is_better else -1

    def place(row: Row) -> tuple[int, float]:
        score = math.inf if math.isnan(row.score) else sign * row.score
        return folder.STATES.index(row.state), score

    return sorted(found, key=place)


def groups(plan: Plan, found: Sequence[Row]) -> list[Group]:
    """Scores of finished runs over seeds, the best mean first; [] where no seed is varied."""
    if 'seed' not in plan.fields:
        return []
    scores: dict[tuple[Any, ...], list[float]] = {}
    others = [field for field in plan.fields if field != 'seed']
    for row in found:
        if row.state == 'done' and not math.isnan(row.score):
            scores.setdefault(tuple(row.values[f] for f in others), []).append(row.score)
    made = [
        Group(
            dict(zip(others, key, strict=True)), len(values), statistics.fmean(values),
            statistics.stdev(values) if len(values) > 1 else math.nan,
        )
        for key, values in scores.items()
    ]  # fmt: skip
    return sorted(made, key=lambda g: g.mean, reverse=not plan.sweep.lower_is_better)


def write(plan: Plan, out: pathlib.Path, console: Console | None = None) -> None:
    """Writes OUT/sweep.csv, sweep_seeds.csv if seeds are varied, and sweep.png; prints a table."""
    console = console or Console()
    out.mkdir(parents=True, exist_ok=True)
    found = rows(plan, out)
    means = groups(plan, found)
    _write_csv(out / 'sweep.csv', _columns(plan), [_cells(plan, row) for row in found])
    if 'seed' in plan.fields:
        others = [field for field in plan.fields if field != 'seed']
        lines = [[*(g.values[f] for f in others), g.n, g.mean, g.deviation] for g in means]
        header = [*others, 'n', f'mean_best_{plan.sweep.metric}', 'standard_deviation']
        _write_csv(out / 'sweep_seeds.csv', header, lines)
    _draw(plan, found, out / 'sweep.png')
    _print(plan, found, means, console)
    if missing := _missing_metric(plan, found):
        console.print(missing, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f'{out / "sweep.csv"} and {out / "sweep.png"} written.', highlight=False, soft_wrap=True
    )


def list_runs(plan: Plan, out: pathlib.Path, console: Console | None = None) -> None:
    """Prints every run with its settings and state."""
    table = _table(f'Sweep {plan.name} of {plan.sweep.config}', ['', 'name', 'steps', 'state'])
    for index, run in enumerate(plan.runs):
        table.add_row(str(index), run.name, str(run.steps), folder.state(out, run))
    (console or Console()).print(table)


def _row(plan: Plan, out: pathlib.Path, run: Run) -> Row:
    path = out / run.name / 'metrics.jsonl'
    # Another run's figures (the settings of all runs were others) must not stand under this name.
    records = read_metrics(path) if path.exists() and folder.is_same(out, run) else []
    figures = {name: series(records, name)[1][-1] for name in _names(plan) if _has(records, name)}
    rates = series(records, 'triples_per_second')[1]
    if rates:
        figures['triples_per_second'] = statistics.median(rates)
    figures['steps'] = max((int(record['step']) for record in records), default=0)
    figures['seconds'] = max((record.get('seconds', 0.0) for record in records), default=0.0)
    values = [v for v in series(records, plan.sweep.metric)[1] if math.isfinite(v)]
    best = min if plan.sweep.lower_is_better else max
    score = best(values) if values else math.nan
    return Row(run.name, folder.state(out, run), run.values, score, figures)


def _has(records: Sequence[Mapping[str, float]], name: str) -> bool:
    return any(name in record for record in records)


def _names(plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys((plan.sweep.metric, *_LOGGED)))


def _columns(plan: Plan) -> list[str]:
    metric, *others = _names(plan)
    return [
        'name', *plan.fields, metric, f'best_{metric}', *others, 'triples_per_second', 'steps',
        'state', 'seconds',
    ]  # fmt: skip


def _cells(plan: Plan, row: Row) -> list[Any]:
    metric, *others = _names(plan)
    fields = [row.values[field] for field in plan.fields]
    figures = [row.figures.get(name, math.nan) for name in (*others, 'triples_per_second')]
    last = row.figures.get(metric, math.nan)
    steps, seconds = row.figures['steps'], row.figures['seconds']
    return [row.name, *fields, last, row.score, *figures, steps, row.state, seconds]


def _write_csv(path: pathlib.Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """A missing figure is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    for line in lines:
        writer.writerow(['' if isinstance(x, float) and math.isnan(x) else x for x in line])
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)


def _draw(plan: Plan, found: Sequence[Row], path: pathlib.Path) -> None:
    points = [
        pictures.Point(r.name, r.values, r.score if r.state == 'done' else math.nan) for r in found
    ]
    data = plan.runs[0].config.data
    n = sum(not math.isnan(point.score) for point in points)
    title = f'{plan.name}: {n} of {len(points)} runs, on {data.name} ({data.variant})'
    metric = pictures.Metric(plan.sweep.metric, plan.sweep.lower_is_better)
    pictures.draw(points, metric, path, title)


def _print(plan: Plan, found: Sequence[Row], means: Sequence[Group], console: Console) -> None:
    metric, *others = _names(plan)
    figures = [metric, *(name for name in _PRINTED if name in (*others, *_MEASURED))]
    short = short_names(plan.fields)
    table = _table(
        f'Sweep {plan.name}, best {metric} first',
        [*short.values(), f'best {metric}', f'last {metric}', *figures[1:], 'state'],
    )
    for row in found:
        table.add_row(
            *(_text(row.values[field]) for field in plan.fields), _text(row.score),
            *(_text(row.figures.get(name, math.nan)) for name in figures), row.state,
            style=_STYLES.get(row.state),
        )  # fmt: skip
    console.print(table)
    if means:
        names = [short[field] for field in means[0].values]
        table = _table(
            f'Best {metric} over seeds, finished runs', [*names, 'n', 'mean', 'standard deviation']
        )
        for group in means:
            values = (*group.values.values(), group.n, group.mean, group.deviation)
            table.add_row(*map(_text, values))
        console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify='left')
    for column in columns:
        table.add_column(column.replace('_', ' '), justify='right')
    return table


def _text(value: Any) -> str:
    if isinstance(value, float):
        return '' if math.isnan(value) else f'{value:.4g}'
    return str(value)


def _missing_metric(plan: Plan, found: Sequence[Row]) -> str:
    """A sentence where finished runs have not logged the metric."""
    without = sum(row.state == 'done' and math.isnan(row.score) for row in found)
    if not without:
        return ''
    return f'{plan.sweep.metric}: not logged, or never finite, in {without} finished runs.'
