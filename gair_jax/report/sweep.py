"""The picture of a sweep: a heat map where two settings form a grid, else parallel coordinates.

A heat map has a cell for each pair of values, the mean over seeds in it. In parallel coordinates
each setting that varies is an upright axis and each run a line across them, up to its score.
"""

import math
import pathlib
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gair_jax.report.figures import FOUND, new_figure, save

_NO_RESULT = '#c8c8c8'
_MOST_VALUES = 9  # of a setting, that are spread evenly and all written beside its axis
_LOG_RATIO = 8.0  # more of them lie on a logarithmic axis if they span more than this
_LONG_TITLE = 16  # letters of a setting that is written in two lines
_LETTERS_AN_INCH = 13  # of captions


class Point(NamedTuple):
    """A run: its name, the settings that the sweep varies, its score (nan without a result)."""

    name: str
    values: Mapping[str, Any]
    score: float


class Metric(NamedTuple):
    """What is scored, and which way is better."""

    name: str
    lower_is_better: bool

    @property
    def label(self) -> str:
        """For an axis."""
        return f'best {self.name}\n({"lower" if self.lower_is_better else "higher"} is better)'

    def best_last(self, scores: Sequence[float]) -> list[int]:
        """Positions of the scores: the nans, then from the worst to the best."""
        sign = -1 if self.lower_is_better else 1
        goodness = [-math.inf if math.isnan(score) else sign * score for score in scores]
        return sorted(range(len(scores)), key=goodness.__getitem__)

    def colours(self, scores: Sequence[float]) -> ScalarMappable:
        """From score to colour: bright for good, dark for bad."""
        low, high = np.nanmin(scores), np.nanmax(scores)
        norm = Normalize(low, high if high > low else low + 1e-9)
        return ScalarMappable(norm, 'viridis_r' if self.lower_is_better else 'viridis')


class _Upright(NamedTuple):
    """An axis of parallel coordinates, from 0 below to 1 above.

    title; positions of the points, nan for none; ticks, position and text.
    """

    title: str
    positions: list[float]
    ticks: list[tuple[float, str]]


def draw(points: Sequence[Point], metric: Metric, path: pathlib.Path, title: str) -> None:
    """Draws a sweep into a PNG, coloured by the metric, the best cell or run marked in red."""
    varied = [field for field in points[0].values if len(_distinct(points, field)) > 1]
    crossed = [field for field in varied if field != 'seed']
    if len(crossed) == 2 and _is_grid(points, crossed):
        figure = _heat_map(points, (crossed[0], crossed[1]), metric)
    else:
        figure = _parallel(points, varied or list(points[0].values), metric)
    figure.suptitle(_wrapped(figure, title, 9), fontsize=11, parse_math=False)
    save(figure, path)


def _distinct(points: Sequence[Point], field: str) -> list[Any]:
    """The values of a setting: numbers by size, others by their text."""
    values = list(dict.fromkeys(point.values[field] for point in points))
    return sorted(values, key=None if _are_numbers(values) else str)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _is_grid(points: Sequence[Point], fields: Sequence[str]) -> bool:
    """Whether every combination of the values occurs."""
    pairs = {tuple(point.values[field] for field in fields) for point in points}
    return len(pairs) == math.prod(len(_distinct(points, field)) for field in fields)


def _heat_map(points: Sequence[Point], fields: tuple[str, str], metric: Metric) -> Figure:
    columns, rows = (_distinct(points, field) for field in fields)
    cells: list[list[float]] = [[] for _ in range(len(rows) * len(columns))]
    for point in points:
        column, row = (
            f.index(point.values[n]) for f, n in zip((columns, rows), fields, strict=True)
        )
        if not math.isnan(point.score):
            cells[row * len(columns) + column].append(point.score)
    means = [statistics.fmean(cell) if cell else math.nan for cell in cells]
    figure = new_figure(max(6.2, 1.15 * len(columns) + 2.4), max(3.6, 0.7 * len(rows) + 1.9))
    axes = figure.subplots()
    axes.set(xlabel=fields[0], ylabel=fields[1], xlim=(-0.5, len(columns) - 0.5))
    axes.set(ylim=(-0.5, len(rows) - 0.5), facecolor=_NO_RESULT)
    axes.set_xticks(range(len(columns)), [_text(value) for value in columns])
    axes.set_yticks(range(len(rows)), [_text(value) for value in rows])
    colours = metric.colours(means) if any(cells) else None
    for i, cell in enumerate(cells):
        row, column = divmod(i, len(columns))
        _cell(axes, column, row, cell, colours)
    caption = 'No run has a result yet.'
    if colours:
        figure.colorbar(colours, ax=axes, label=metric.label)
        row, column = divmod(metric.best_last(means)[-1], len(columns))
        axes.add_patch(_square(column, row, fill=False, edgecolor=FOUND, linewidth=3, zorder=5))
        caption = 'Red frame: the best.'
        if max(map(len, cells)) > 1:
            caption += ' Mean over seeds ± standard deviation (number of runs).'
    _caption(figure, caption)
    return figure


def _cell(
    axes: Axes, column: int, row: int, scores: Sequence[float], colours: ScalarMappable | None
) -> None:
    """One cell: its colour, the mean, and how far the seeds are apart."""
    text, colour = 'no result', 'black'
    if scores and colours:
        mean = statistics.fmean(scores)
        text = f'{mean:.4g}'
        if len(scores) > 1:
            text += f'\n± {statistics.stdev(scores):.2g} ({len(scores)})'
        face = _rgba(colours, mean)
        axes.add_patch(_square(column, row, facecolor=face, edgecolor='white'))
        colour = 'white' if sum(face[:3]) < 1.5 else 'black'
    axes.text(column, row, text, ha='center', va='center', fontsize=9, color=colour)


def _rgba(colours: ScalarMappable, score: float) -> tuple[float, ...]:
    return tuple(colours.to_rgba(np.array([score]))[0])


def _square(column: int, row: int, **style: Any) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), 1, 1, clip_on=False, **style)


def _parallel(points: Sequence[Point], fields: Sequence[str], metric: Metric) -> Figure:
    scores = [point.score for point in points]
    scored = not all(map(math.isnan, scores))
    uprights = [_upright(field, [point.values[field] for point in points]) for field in fields]
    if scored:
        uprights.append(_numbers(metric.label, scores, may_be_logarithmic=False))
    figure = new_figure(max(6.2, 1.9 * len(uprights) + 1.4), 4.4)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.3, len(uprights) - 0.7), ylim=(-0.05, 1.05))
    for x, upright in enumerate(uprights):
        _draw_upright(axes, x, upright, right=scored and x == len(uprights) - 1)
    colours = metric.colours(scores) if scored else None
    order = metric.best_last(scores)
    for depth, i in enumerate(order):
        style: dict[str, Any] = {'color': _NO_RESULT, 'linestyle': '--'}
        if colours and not math.isnan(scores[i]):
            best = {'color': FOUND, 'linewidth': 3, 'marker': 'o'}
            plain = {'color': _rgba(colours, scores[i]), 'linewidth': 1.8}
            style = best if i == order[-1] else plain
        heights = [upright.positions[i] for upright in uprights]
        axes.plot(heights, zorder=2 + depth / len(order), **style)
    _caption(figure, _best_run(points, scores, order))
    return figure


def _best_run(points: Sequence[Point], scores: Sequence[float], order: Sequence[int]) -> str:
    best = points[order[-1]]
    if math.isnan(best.score):
        return 'No run has a result yet.'
    dashed = ' Dashed: runs without a result.' if any(map(math.isnan, scores)) else ''
    return f'Red: the best run, {best.name}: {best.score:.4g}.{dashed}'


def _upright(field: str, values: Sequence[Any]) -> _Upright:
    """Few values are spread evenly, whatever they are; more of them by size."""
    head, dot, last = field.rpartition('.')
    title = f'{head}.\n{last}' if len(field) > _LONG_TITLE else field
    distinct = sorted(set(values), key=None if _are_numbers(values) else str)
    if len(distinct) > _MOST_VALUES and _are_numbers(values):
        return _numbers(title, values, may_be_logarithmic=True)
    span = max(1, len(distinct) - 1)
    places = {value: i / span for i, value in enumerate(distinct)}
    # Not all of many texts would fit.
    every = math.ceil(len(distinct) / (2 * _MOST_VALUES))
    ticks = [(place, _text(value)) for value, place in places.items()][::every]
    return _Upright(title, [places[value] for value in values], ticks)


def _numbers(title: str, values: Sequence[float], *, may_be_logarithmic: bool) -> _Upright:
    """An axis by size; logarithmic, if it may be, where positive values span much."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    logarithmic = may_be_logarithmic and low > 0 and high / low > _LOG_RATIO
    ticks = ticker.LogLocator(subs=(1, 2, 5)) if logarithmic else ticker.MaxNLocator(6)
    at = [float(t) for t in ticks.tick_values(low, high) if low <= t <= high]
    scale = np.log if logarithmic else np.asarray
    start, span = float(scale(low)), float(scale(high) - scale(low)) or 1.0
    positions = ((scale(np.asarray([*values, *at])) - start) / span).tolist()
    marks = [(p, _text(t)) for p, t in zip(positions[len(values) :], at, strict=True)]
    title += '\n(logarithmic)' if logarithmic else ''
    return _Upright(title, positions[: len(values)], marks)


def _draw_upright(axes: Axes, x: int, upright: _Upright, *, right: bool) -> None:
    """The axis with its ticks to the left, or to the right of the last, where no line passes."""
    axes.plot([x, x], [-0.03, 1.03], color='black', linewidth=1, zorder=4)
    axes.text(x, 1.07, upright.title, ha='center', va='bottom', fontsize=9)
    side, align = (1, 'left') if right else (-1, 'right')
    for place, text in upright.ticks:
        axes.plot([x, x + 0.02 * side], [place, place], color='black', linewidth=1, zorder=4)
        axes.text(
            x + 0.035 * side, place, text, ha=align, va='center', fontsize=8.5, zorder=5,
            parse_math=False,
            bbox={'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 0.8},
        )  # fmt: skip


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _caption(figure: Figure, text: str) -> None:
    figure.supxlabel(_wrapped(figure, text, _LETTERS_AN_INCH), fontsize=8.5, parse_math=False)


def _wrapped(figure: Figure, text: str, letters_an_inch: int) -> str:
    return textwrap.fill(text, int(figure.get_figwidth() * letters_an_inch))
