"""Studies for people: results.csv, summary.csv, summary.json, a picture and a table."""

import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from gair_jax.report import study_figures
from gair_jax.report.first_look import write_json
from gair_jax.scores.geo_bias import SsiParameters
from gair_jax.transfer import bias_study, noise_study
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.study import Line
from gair_jax.transfer.study_runs import Scored

RUN_COLUMNS = (
    'arm', 'run', 'seed', 'step', 'kappa', 'target', 'sample', 'task', 'features', 'labels',
    'protocol', 'metric', 'trained', 'low', 'high', 'random_init', 'floor', 'test_rows',
)  # fmt: skip
LINE_COLUMNS = (
    'task', 'features', 'labels', 'protocol', 'measure', 'arm', 'n', 'mean', 'low', 'high', 'over',
    'change', 'change_low', 'change_high',
)  # fmt: skip
_EXPLAINED = (
    'Means over seeds with half their 95 % interval (Student t); change: against the run of the '
    'same seed, or the one checkpoint. A * marks a change whose interval leaves out 0. The runs '
    'start from one checkpoint, so intervals say nothing of other pre-trainings.'
)

_NO_SPREAD = 1e-9  # rounding alone


def noise(settings: TransferConfig, paths: Sequence[str], out: pathlib.Path) -> noise_study.Study:
    """The noise study: scores each run, writes what is found into `out` and prints it.

    Raises:
      InputError: as of `noise_study.evaluate`.
    """
    found = noise_study.evaluate(settings, paths, out)
    rows = [_row(noise_study.arm_of(one.run.config).name, one, e) for one, e in _all(found.scored)]
    _write(settings, rows, found.lines, {}, out)
    study_figures.noise(found, out / 'noise.png', _named(settings))
    print_lines(found.lines, f'Noise on positions, {_named(settings)}')
    return found


def debias(
    settings: TransferConfig,
    parameters: SsiParameters,
    paths: Mapping[str, Sequence[str]],
    out: pathlib.Path,
) -> bias_study.Study:
    """The study of debiasing: likewise, with the parameters of the geo-bias.

    Raises:
      InputError: as of `bias_study.evaluate`.
    """
    found = bias_study.evaluate(settings, parameters, paths, out)
    rows = [_row(arm, one, e) for arm, own in found.scored.items() for one, e in _all(own)]
    said = {'geo_bias': parameters.describe()}
    _write(settings, rows, found.lines, said, out)
    study_figures.changes(found.lines, out / 'debias.png', _named(settings), parameters)
    drawn = study_figures.maps(found, out / 'maps.png', _named(settings), parameters)
    print_lines(found.lines, f'Debiasing, {_named(settings)}')
    print(parameters.describe())
    if not drawn:
        print('No maps: no task of classes with places was probed.')
    return found


def print_lines(lines: Sequence[Line], title: str, console: Console | None = None) -> None:
    """Prints every line, and what the figures mean."""
    console = console or Console()
    table = Table(title=title, title_justify='left', box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ('task (measure)', 'seen', 'arm', 'n', 'mean', 'change', 'against'):
        table.add_column(column, no_wrap=column in ('mean', 'change'))
    said = None
    for line in lines:
        measure = line.measure
        named = (f'{measure.task} ({measure.name})', study_figures.seen(measure))
        table.add_row(
            *(named if measure != said else ('', '')), line.arm, str(line.n),
            spelt(line.mean, line.low, line.high),
            spelt(line.change, line.change_low, line.change_high, sign='+') + _star(line),
            line.over,
        )  # fmt: skip
        said = measure
    console.print(table)
    console.print(_EXPLAINED, markup=False)


def spelt(value: float, low: float, high: float, sign: str = '') -> str:
    """A value with half its interval; '' for none, without the half where there is no interval."""
    if math.isnan(value):
        return ''
    half = '' if math.isnan(low) else f' ± {(high - low) / 2:.3f}'
    return f'{value:{sign}.3f}{half}'


def _star(line: Line) -> str:
    """Equal changes, as scores of few test rows give, have no spread and are sure of nothing."""
    sure = line.change_low > 0 or line.change_high < 0
    return ' *' if sure and line.change_high - line.change_low > _NO_SPREAD else ''


def _named(settings: TransferConfig) -> str:
    return f'{settings.data.name}/{settings.data.variant}'


def _all(scored: Iterable[Scored]) -> list[tuple[Scored, dict[str, Any]]]:
    return [(one, entry) for one in scored for entry in one.entries]


def _row(arm: str, one: Scored, entry: Mapping[str, Any]) -> list[Any]:
    config = one.run.config
    noise = config.input.noise
    columns = ('task', 'features', 'labels', 'protocol', 'metric', 'trained')
    return [
        arm, one.run.name, config.seed, one.run.step, noise.kappa, noise.target, config.data.sample,
        *(entry[name] for name in columns), *entry['trained_interval'], entry['random_init'],
        entry['floor'], entry['test_rows'],
    ]  # fmt: skip


def _write(
    settings: TransferConfig,
    rows: Sequence[Sequence[Any]],
    lines: Sequence[Line],
    more: Mapping[str, Any],
    out: pathlib.Path,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / 'results.csv', RUN_COLUMNS, rows)
    cells = [[*line.measure, *line[1:]] for line in lines]
    _write_csv(out / 'summary.csv', LINE_COLUMNS, cells)
    told = [dict(zip(LINE_COLUMNS, own, strict=True)) for own in cells]
    values = {'settings': dataclasses.asdict(settings), **more, 'lines': told}
    write_json(values, out / 'summary.json')


def _write_csv(path: pathlib.Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A figure without value is an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(header)
    for row in rows:
        table.writerow(['' if isinstance(x, float) and math.isnan(x) else x for x in row])
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)
