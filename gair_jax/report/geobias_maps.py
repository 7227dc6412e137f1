"""Maps of answers and of their geo-bias scores on plain axes of longitude and latitude, as PNG.

Few places are drawn as points, many as means over cells of ground. All tables share the colours of
a score, so that their maps can be laid beside each other.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from gair_jax.report.answers import Answers
from gair_jax.report.figures import new_figure, save
from gair_jax.scores.geo_bias import CentreScores

MOST_POINTS = 5000
CELL = 2.0  # degrees, or a FINEST of the longer side of the ground where that is less
FINEST = 50
COLUMNS, WIDTH, BAR = 3, 4.2, 0.9  # inches of a panel, and of its bar of colours
SCORE_COLOURS, ERROR_COLOURS, RIGHT_COLOURS = 'viridis', 'magma', 'coolwarm_r'
NO_VALUE = '#cbd5e1'


class Layer(NamedTuple):
    """What a panel shows: a title, places in degrees [n, 2], a value of each, nan for none."""

    title: str
    lonlat: np.ndarray
    values: np.ndarray
    colours: str


def draw(
    made: Sequence[tuple[Answers, np.ndarray, dict[str, CentreScores]]],
    heads: Mapping[str, str],
    out: pathlib.Path,
) -> None:
    """Writes map_{name}.png of each table, given with its centres (rows) and their scores.

    Args:
        made: the tables.
        heads: the title of each score.
        out: folder.
    """
    layers = [_layers(*one, heads) for one in made]
    side = [cell_side(one[0].lonlat) for one in made]
    shown = [
        [_cells(layer, step) if step else layer for layer in own]
        for own, step in zip(layers, side, strict=True)
    ]
    ranges = [_range([own[k] for own in shown]) for k in range(len(shown[0]))]
    for (table, *_), own, step in zip(made, shown, side, strict=True):
        _figure(table, own, ranges, step, out / f'map_{table.name}.png')


def cell_side(lonlat: np.ndarray) -> float:
    """Degrees of the cells that places are averaged over; 0: they are drawn as points."""
    if len(lonlat) <= MOST_POINTS:
        return 0.0
    return float(min(CELL, np.ptp(lonlat, axis=0).max() / FINEST))


def _layers(
    table: Answers, rows: np.ndarray, scores: Mapping[str, CentreScores], heads: Mapping[str, str]
) -> list[Layer]:
    if table.error is None:
        first = Layer('right', table.lonlat, table.right.astype(np.float64), RIGHT_COLOURS)
    else:
        first = Layer('|error|', table.lonlat, np.abs(table.error), ERROR_COLOURS)
    at = table.lonlat[rows]
    found = [Layer(heads[name], at, one.score, SCORE_COLOURS) for name, one in scores.items()]
    return [first, *found]


def _cells(layer: Layer, side: float) -> Layer:
    """The means of cells, at their middles; a cell without any value has none."""
    cell = np.floor(layer.lonlat / side)
    places, at = np.unique(cell, axis=0, return_inverse=True)
    known = np.isfinite(layer.values)
    count = np.bincount(at.ravel()[known], minlength=len(places))
    total = np.bincount(at.ravel()[known], layer.values[known], minlength=len(places))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return layer._replace(lonlat=(places + 0.5) * side, values=mean)


def _range(layers: Sequence[Layer]) -> tuple[float, float]:
    """Where colours begin and end: of right 0 and 1, else percentiles 2 and 98."""
    if layers[0].colours == RIGHT_COLOURS:
        return 0.0, 1.0
    values = np.concatenate([layer.values for layer in layers])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, [2, 98])
    return float(low), float(max(high, low + 1e-9))


def _figure(
    table: Answers,
    layers: Sequence[Layer],
    ranges: Sequence[tuple[float, float]],
    side: float,
    path: pathlib.Path,
) -> None:
    (west, south), (east, north) = _frame(table.lonlat, side)
    stretch = 1 / max(np.cos(np.deg2rad((south + north) / 2)), 0.2)
    height = np.clip((WIDTH - BAR) * (north - south) * stretch / (east - west), 1.4, 4.5)
    count = -(-len(layers) // COLUMNS)
    figure = new_figure(WIDTH * COLUMNS, (height + 0.5) * count + 0.8)
    panels = figure.subplots(count, COLUMNS, squeeze=False, sharex=True, sharey=True).flat
    for axes, layer, ends in zip(panels, layers, ranges, strict=False):
        drawn = _panel(axes, layer, ends, side)
        axes.set(xlim=(west, east), ylim=(south, north), aspect=stretch)
        _bar(figure, axes, drawn, layer, side)
    what = f'means over cells of {side:.3g} degrees' if side else 'one dot a place'
    figure.suptitle(f'{table.name}: {len(table.right)} places, {what}', fontsize=11)
    figure.supxlabel('Degrees. Larger scores are more biased. Grey: no score.', fontsize=8.5)
    save(figure, path)


def _frame(lonlat: np.ndarray, side: float) -> np.ndarray:
    """Corners [2, 2] of the ground, with a margin."""
    ends = np.stack([lonlat.min(axis=0), lonlat.max(axis=0)])
    margin = np.maximum(0.03 * np.ptp(lonlat, axis=0), max(side, 0.01))
    return np.clip(ends + np.outer([-1, 1], margin), [-180, -90], [180, 90])


def _bar(figure: Figure, axes: Axes, drawn: Any, layer: Layer, side: float) -> None:
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=30)
    bar.ax.tick_params(labelsize=7)
    if layer.colours == RIGHT_COLOURS and not side:
        bar.set_ticks([0.25, 0.75], labels=['wrong', 'right'])


def _panel(axes: Axes, layer: Layer, ends: tuple[float, float], side: float) -> Any:
    """Draws a layer; what has no value is grey."""
    axes.set_title(layer.title, fontsize=10)
    axes.tick_params(labelsize=7)
    # A place is right or wrong, a cell may be in between.
    binary = layer.colours == RIGHT_COLOURS and not side
    colours = colormaps[layer.colours].resampled(2) if binary else layer.colours
    style: dict[str, Any] = {'cmap': colours, 'vmin': ends[0], 'vmax': ends[1]}
    return (_squares if side else _dots)(axes, layer, style, side)


def _dots(axes: Axes, layer: Layer, style: Mapping[str, Any], side: float) -> Any:
    """In a drawn order: else the last of a crowded place, all right or all wrong, hide the rest."""
    known = np.isfinite(layer.values)
    order = np.random.default_rng(0).permutation(int(known.sum()))
    dot: dict[str, Any] = {'s': float(np.clip(8000 / len(known), 5, 40)), 'linewidths': 0}
    lon, lat = layer.lonlat[~known].T
    axes.scatter(lon, lat, color=NO_VALUE, **dot)
    lon, lat = layer.lonlat[known][order].T
    return axes.scatter(lon, lat, c=layer.values[known][order], **dot, **style)


def _squares(axes: Axes, layer: Layer, style: Mapping[str, Any], side: float) -> Any:
    first = layer.lonlat.min(axis=0)
    column, row = np.rint((layer.lonlat - first) / side).astype(int).T
    values = np.full((row.max() + 1, column.max() + 1), np.nan)
    values[row, column] = layer.values
    here = np.full(values.shape, np.nan)
    here[row, column] = 1
    west, south = first - side / 2
    extent = (west, west + side * values.shape[1], south, south + side * values.shape[0])
    ground: dict[str, Any] = {'extent': extent, 'origin': 'lower', 'interpolation': 'nearest'}
    axes.imshow(here, cmap=ListedColormap([NO_VALUE]), **ground)
    return axes.imshow(values, **style, **ground)
