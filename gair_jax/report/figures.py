"""Pictures of a run as PNG: the course of the loss, heat maps, what retrieval finds."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from gair_jax.report.tables import series, with_candidates

TRUE, FOUND = '#ffffff', '#ff2d55'
_WRITTEN: dict[str, Any] = {
    'color': 'white',
    'fontsize': 9,
    'fontweight': 'bold',
    'path_effects': [withStroke(linewidth=2.5, foreground='black')],
}


class Case(NamedTuple):
    """One photo with its window: pixels in [0, 1], positions as window xy in [-1, 1].

    photo [s, s, 3]; window [S, S, 3]; similarity [G, G], cosines; true, found [2]; error_m, metres
    between the two.
    """

    photo: np.ndarray
    window: np.ndarray
    similarity: np.ndarray
    true: np.ndarray
    found: np.ndarray
    error_m: float


class Answer(NamedTuple):
    """One photo and the windows found for it, best first.

    photo [s, s, 3], windows [k, S, S, 3], all in [0, 1]; xy [k, 2], the candidate's point in each;
    cosine [k]; right, position of the photo's own window, or -1 if it is not among them; rank of
    its own among all candidates, from 1.
    """

    photo: np.ndarray
    windows: np.ndarray
    xy: np.ndarray
    cosine: np.ndarray
    right: int
    rank: int


class Sighting(NamedTuple):
    """A photo and where in a tile it looks most at home, for people.

    photo [h, w, 3], uint8, no pixels for none; name; heat [r, c], cosines over the tile, nan
    without data; xy [k, 2], the places found, best first, in [-1, 1]; known [n, 2], where it is
    known to have been taken, n 0 or 1.
    """

    photo: np.ndarray
    name: str
    heat: np.ndarray
    xy: np.ndarray
    known: np.ndarray


def stretch(rgb: np.ndarray) -> np.ndarray:
    """Pixels [..., 3] brought into [0, 1] for the eye: percentiles 2 and 98 of each band."""
    low, high = np.percentile(rgb.reshape(-1, 3), [2, 98], axis=0)
    return np.clip((rgb - low) / np.maximum(high - low, 1e-6), 0, 1)


def loss_curve(records: Sequence[Mapping[str, float]], path: pathlib.Path, title: str) -> None:
    """Losses over steps: of training as lines, of validation as dots (`tables.with_candidates`)."""
    records = with_candidates(records)
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for name, colour in (('loss', 'black'), ('incl', 'tab:blue'), ('secl', 'tab:orange')):
        label = {'loss': 'total'}.get(name, name.upper())
        steps, values = series(records, name)
        if steps:
            axes.plot(steps, values, color=colour, linewidth=1.2, label=label)
        steps, values = series(records, f'val_{name}')
        if steps:
            axes.plot(
                steps, values, 'o--', color=colour, markersize=5, label=f'{label}, validation'
            )
    axes.set(xlabel='step', ylabel='loss', title=title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(frameon=False, ncols=2)
    save(figure, path)


def heat_maps(cases: Sequence[Case], path: pathlib.Path, title: str) -> None:
    """A row a photo: the photo, its window with the true place, the similarity over the window."""
    figure = new_figure(7.2, 2.4 * len(cases) + 0.9)
    rows = figure.subplots(len(cases), 3, squeeze=False)
    for axes, case in zip(rows, cases, strict=True):
        _image(axes[0], case.photo)
        _image(axes[1], case.window)
        _mark(axes[1], case.true, TRUE)
        _heat(axes[2], case.similarity)
        _mark(axes[2], case.true, TRUE)
        _mark(axes[2], case.found, FOUND)
        axes[2].set_ylabel(f'{case.error_m:.0f} m off', fontsize=9)
    for axes, text in zip(
        rows[0], ('photo', 'window, north up', 'similarity to photo'), strict=True
    ):
        axes.set_title(text, fontsize=10)
    caption = 'White: where the photo was taken. Red: the most similar point. Yellow is similar.'
    _titled(figure, title, caption)
    save(figure, path)


def retrieval_panel(
    answers: Sequence[Answer], path: pathlib.Path, title: str, *, candidates: int
) -> None:
    """A row a photo: the photo and the windows whose points are most similar, its own framed."""
    count = len(answers[0].windows)
    figure = new_figure(1.6 * (count + 1), 1.75 * len(answers) + 0.9)
    rows = figure.subplots(len(answers), count + 1, squeeze=False)
    for axes, answer in zip(rows, answers, strict=True):
        _image(axes[0], answer.photo)
        axes[0].set_ylabel(f'own: rank {answer.rank}', fontsize=9)
        for i in range(count):
            _image(axes[i + 1], answer.windows[i])
            _mark(axes[i + 1], answer.xy[i], FOUND if i == answer.right else TRUE)
            axes[i + 1].set_xlabel(f'{answer.cosine[i]:.2f}', fontsize=8)
        if answer.right >= 0:
            _frame(axes[answer.right + 1])
    rows[0][0].set_title('photo', fontsize=10)
    for i in range(count):
        rows[0][i + 1].set_title(f'found {i + 1}', fontsize=10)
    caption = (
        f'The nearest of {candidates} points, each marked in its window; below, the cosine. '
        "Red frame: the photo's own."
    )
    _titled(figure, title, caption)
    save(figure, path)


def sightings(
    rows: Sequence[Sighting], tile: np.ndarray, ratio: float, path: pathlib.Path, title: str
) -> None:
    """A row a photo: the photo, the tile with the places found, the similarity over the tile.

    Args:
      rows: what was found.
      tile: RGBA pixels.
      ratio: height of the tile over its width, on the ground.
      path: of the PNG.
      title: above.
    """
    figure = new_figure(9.6, 3.1 * len(rows) + 0.8)
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        _photo(axes[0], row.photo, row.name)
        axes[1].imshow(tile, extent=(-1, 1, 1, -1), interpolation='nearest')
        drawn = axes[2].imshow(row.heat, extent=(-1, 1, 1, -1), cmap='plasma')
        figure.colorbar(drawn, ax=axes[2], shrink=0.8)
        for panel in axes[1:]:
            panel.set(xticks=[], yticks=[], aspect=ratio)
            for number, xy in reversed(list(enumerate(row.xy, 1))):
                _mark(panel, xy, FOUND if number == 1 else TRUE)
                panel.annotate(str(number), xy, (6, 4), textcoords='offset points', **_WRITTEN)
            for xy in row.known:
                panel.plot(*xy, '+', color='white', markersize=13, markeredgewidth=4)
                panel.plot(*xy, '+', color='black', markersize=11, markeredgewidth=2)
    for axes, text in zip(grid[0], ('', 'tile, north up', 'cosine with the photo'), strict=True):
        axes.set_title(text, fontsize=10)
    _titled(figure, title, 'Red: the most similar point. A cross: where it is known to be taken.')
    save(figure, path)


def photo_panel(
    photos: Sequence[np.ndarray],
    captions: Sequence[str],
    path: pathlib.Path,
    title: str,
    columns: int = 5,
) -> None:
    """Photos (uint8, no pixels for none) with a caption each, row by row."""
    rows = max(1, -(-len(photos) // columns))
    figure = new_figure(2.1 * columns, 2.1 * rows + 0.7)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels:
        axes.axis('off')
    for axes, photo, caption in zip(figure.axes, photos, captions, strict=False):
        axes.axis('on')
        _photo(axes, photo, caption)
    _titled(figure, title, '')
    save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches; not pyplot's, so no global state and no display."""
    figure = Figure(figsize=(width, height), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _titled(figure: Figure, title: str, caption: str) -> None:
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(caption, fontsize=8.5)


def _image(axes: Axes, pixels: np.ndarray) -> None:
    # Drawn over [-1, 1] with y downwards, so that window xy are data coordinates.
    axes.imshow(np.clip(pixels, 0, 1), extent=(-1, 1, 1, -1), interpolation='nearest')
    axes.set(xticks=[], yticks=[])


def _photo(axes: Axes, photo: np.ndarray, caption: str) -> None:
    if photo.size:
        axes.imshow(photo)
    else:
        axes.text(0.5, 0.5, 'no picture', ha='center', va='center', transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])
    # A name may hold what matplotlib takes for mathematics.
    axes.set_xlabel(caption, fontsize=8, parse_math=False)


def _heat(axes: Axes, similarity: np.ndarray) -> None:
    axes.imshow(similarity, extent=(-1, 1, 1, -1), cmap='viridis', interpolation='nearest')
    axes.set(xticks=[], yticks=[])


def _mark(axes: Axes, xy: np.ndarray, colour: str) -> None:
    """A ring with a dark edge, seen on any ground."""
    style: dict[str, Any] = {'marker': 'o', 'markersize': 9, 'fillstyle': 'none', 'linestyle': ''}
    axes.plot(*xy, color='black', markeredgewidth=3.5, **style)
    axes.plot(*xy, color=colour, markeredgewidth=1.8, **style)
    axes.set(xlim=(-1, 1), ylim=(1, -1))


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set(color=FOUND, linewidth=3)


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes a PNG, which appears whole or not at all."""
    part = path.with_suffix('.part')
    figure.savefig(part, format='png')
    os.replace(part, path)
