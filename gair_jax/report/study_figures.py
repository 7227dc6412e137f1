"""Pictures of studies: scores over noise, changes of arms, maps of geo-bias."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gair_jax.report.figures import new_figure, save
from gair_jax.scores.geo_bias import SsiParameters
from gair_jax.transfer import bias_study, noise_study
from gair_jax.transfer.noise_study import CLEAN, mean_km
from gair_jax.transfer.study import Line, Measure

_COLOURS = ('#c2410c', '#1d4ed8', '#15803d', '#7e22ce', '#a16207', '#0f766e')
_STYLES = {'location': '-', 'both': '--'}
_MOST_MAPS = 8


def noise(found: noise_study.Study, path: pathlib.Path, data: str) -> None:
    """Score over noise, from none to the strongest: a panel a task and metric.

    A line for each of the features and what is moved, with its interval over seeds.
    """
    panels = list(dict.fromkeys((m.task, m.name) for m in _measures(found.lines)))
    across, down = min(3, len(panels)), math.ceil(len(panels) / 3)
    figure = new_figure(4.2 * across, 3.0 * down + 0.9)
    figure.suptitle(
        f'Noise on positions in training, then probes on {data}\n'
        'Below: kappa, and how far it moves a place on average. Dotted: random parameters.',
        fontsize=10,
    )
    kappas = list(dict.fromkeys(arm.kappa for arm in found.arms))
    for i, (task, name) in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        own = [m for m in _measures(found.lines) if (m.task, m.name) == (task, name)]
        _noise_panel(axes, found, own, kappas)
        axes.set_title(f'{task} ({name})', fontsize=10)
        axes.set_xticks(range(len(kappas)), [_tick(kappa) for kappa in kappas], fontsize=8)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=3)
    save(figure, path)


def _noise_panel(
    axes: Any, found: noise_study.Study, measures: Sequence[Measure], kappas: Sequence[float]
) -> None:
    lines = {(line.measure, line.arm): line for line in found.lines}
    targets = sorted({arm.target for arm in found.arms if arm.target}, reverse=True)
    shifts = np.linspace(-0.12, 0.12, max(2, len(measures) * len(targets)))
    series = [(m, target) for m in measures for target in targets]
    for shift, (measure, target) in zip(shifts, series, strict=False):
        arms = [arm for arm in found.arms if arm.target in ('', target)]
        own = [(kappas.index(arm.kappa), lines[measure, arm.name]) for arm in arms]
        at = np.array([x for x, _ in own]) + shift
        means = np.array([line.mean for _, line in own])
        ends = np.array([[line.low, line.high] for _, line in own]).T
        colour = _COLOURS[list(measures).index(measure) % len(_COLOURS)]
        label = f'{seen(measure)}, {_moved(target)}'
        axes.errorbar(
            at, means, yerr=np.nan_to_num(np.abs(ends - means)), fmt='o', color=colour,
            linestyle=_STYLES[target], markersize=4, capsize=2, label=label,
        )  # fmt: skip
    for measure in measures:
        colour = _COLOURS[list(measures).index(measure) % len(_COLOURS)]
        axes.axhline(_random(found, measure), color=colour, linewidth=0.8, linestyle=':')


def _random(found: noise_study.Study, measure: Measure) -> float:
    """What the encoders score with random parameters, the mean over the runs."""
    values = [
        entry['random_init']
        for one in found.scored
        for entry in one.entries
        if (entry['task'], entry['features'], entry['labels'], entry['protocol']) == measure[:4]
    ]
    return float(np.mean(values))


def changes(
    lines: Sequence[Line], path: pathlib.Path, data: str, parameters: SsiParameters
) -> None:
    """Each arm in each measure with its interval: a panel a measure."""
    own = [
        line
        for line in lines
        if line.over in ('', 'before') and line.measure.name != bias_study.UNMARKED
    ]
    panels = list(dict.fromkeys(line.measure.name for line in own))
    most = max(len({line.measure for line in own if line.measure.name == n}) for n in panels)
    figure = new_figure(4.4 * len(panels), 0.42 * most * 1.5 + 1.8)
    figure.suptitle(
        f'Before and after training on other places, probes on {data}\n{parameters.describe()}',
        fontsize=9,
    )
    for i, name in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        _changes_panel(axes, [line for line in own if line.measure.name == name])
        axes.set_title(name, fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=3)
    save(figure, path)


def _changes_panel(axes: Any, lines: Sequence[Line]) -> None:
    measures = list(dict.fromkeys(line.measure for line in lines))
    arms = [arm for arm in bias_study.ARMS if any(line.arm == arm for line in lines)]
    for number, arm in enumerate(arms):
        own = [line for line in lines if line.arm == arm]
        at = [measures.index(line.measure) + 0.22 * (number - 1) for line in own]
        means = np.array([line.mean for line in own])
        ends = np.array([[line.low, line.high] for line in own]).T
        axes.errorbar(
            means, at, xerr=np.nan_to_num(np.abs(ends - means)), fmt='o', capsize=2, label=arm,
            color=('#475569', '#1d4ed8', '#c2410c')[bias_study.ARMS.index(arm)],
        )  # fmt: skip
    axes.set_yticks(range(len(measures)), [f'{m.task}, {seen(m)}' for m in measures], fontsize=8)
    axes.invert_yaxis()


def maps(found: bias_study.Study, path: pathlib.Path, data: str, parameters: SsiParameters) -> bool:
    """Marked geo-bias around each test place before, after, and its change: a row a measure.

    Returns whether there was anything to draw.
    """
    biases = found.biases['before'][0][:_MOST_MAPS]
    if not biases:
        return False
    figure = new_figure(12.6, 1.7 * len(biases) + 0.9)
    rows = figure.subplots(len(biases), 3, squeeze=False)
    figure.suptitle(f'Marked geo-bias around test places of {data}', fontsize=11)
    for axes, own in zip(rows, biases, strict=True):
        before, after = (
            bias_study.over_runs(found.biases[arm], own.measure) for arm in ('before', 'after')
        )
        _map_row(figure, axes, own.hits.lonlat, before, after)
        axes[0].set_ylabel(f'{own.measure.task}, {seen(own.measure)}', fontsize=8)
    for axes, text in zip(rows[0], ('before', 'after', 'after - before'), strict=True):
        axes.set_title(text, fontsize=10)
    figure.supxlabel(parameters.describe(), fontsize=7.5)
    save(figure, path)
    return True


def _map_row(
    figure: Any, axes: Any, lonlat: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    known = np.concatenate([before, after])
    top = float(np.nanpercentile(known, 98)) if np.isfinite(known).any() else 1.0
    change = after - before
    far = float(np.nanmax(np.abs(change))) if np.isfinite(change).any() else 1.0
    for panel, values, cmap, ends in (
        (axes[0], before, 'viridis', (0, top)),
        (axes[1], after, 'viridis', (0, top)),
        (axes[2], change, 'RdBu_r', (-far, far)),
    ):
        drawn = panel.scatter(
            *lonlat.T, c=values, s=14, cmap=cmap, vmin=ends[0], vmax=ends[1], edgecolors='grey',
            linewidths=0.3,
        )  # fmt: skip
        figure.colorbar(drawn, ax=panel, shrink=0.8)
        panel.set_aspect('equal')
        panel.tick_params(labelsize=7)


def _measures(lines: Sequence[Line]) -> list[Measure]:
    return list(dict.fromkeys(line.measure for line in lines))


def seen(measure: Measure) -> str:
    """Features, and what else differs from a linear probe of all rows."""
    more = [x for x in (measure.labels, measure.protocol) if x not in ('100%', 'linear')]
    return ', '.join([measure.features, *more])


def _moved(target: str) -> str:
    return {'location': 'place moved', 'both': 'place and xy moved'}[target]


def _tick(kappa: float) -> str:
    return f'{kappa:g}\n{mean_km(kappa):,.0f} km' if kappa else CLEAN
