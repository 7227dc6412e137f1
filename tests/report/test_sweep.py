"""What the picture of a sweep shows: read from the figure, and from the pixels."""

import itertools
import math

import numpy as np
import pytest
from PIL import Image

from gair_jax.report import sweep
from gair_jax.report.sweep import Metric, Point

LOSS, SHARE = Metric('val_loss', True), Metric('val_retrieval_at_1', False)


def points(axes, score):
    """A point for every combination of the values of `axes`."""
    made = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [Point(str(i), values, score(values)) for i, values in enumerate(made)]


GRID = points(
    {'loss.temperature': [0.05, 0.07, 0.2], 'loss.secl_weight': [0.0, 0.5], 'seed': [0, 1, 2]},
    lambda v: abs(v['loss.temperature'] - 0.07) + v['loss.secl_weight'] + v['seed'],
)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_cells_are_means_over_seeds_with_their_deviation():
    """Seeds 0, 1, 2 add 0, 1, 2: mean 1, deviation 1."""
    figure = sweep._heat_map(GRID, ('loss.temperature', 'loss.secl_weight'), LOSS)
    assert texts(figure)[:3] == [f'{1 + off:.4g}\n± 1 (3)' for off in (0.02, 0.0, 0.13)]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ['0.05', '0.07', '0.2']
    assert (axes.get_xlabel(), axes.get_ylabel()) == ('loss.temperature', 'loss.secl_weight')


@pytest.mark.parametrize(('metric', 'best'), [(LOSS, (1, 0)), (SHARE, (2, 1))])
def test_the_best_cell_has_the_frame(metric, best):
    figure = sweep._heat_map(GRID, ('loss.temperature', 'loss.secl_weight'), metric)
    (frame,) = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == best


def test_a_cell_without_a_result_says_so():
    made = points({'a': [1, 2], 'b': [1, 2]}, lambda v: math.nan if v['a'] == v['b'] else 1.0)
    assert texts(sweep._heat_map(made, ('a', 'b'), LOSS)).count('no result') == 2


@pytest.mark.parametrize(
    ('axes', 'kind'),
    [
        ({'a': [1, 2], 'b': [1, 2], 'seed': [0, 1]}, '_heat_map'),
        ({'a': [1, 2], 'b': [1, 2], 'c': [3]}, '_heat_map'),
        ({'a': [1, 2], 'seed': [0, 1]}, '_parallel'),
        ({'a': [1, 2], 'b': [1, 2], 'c': [3, 4]}, '_parallel'),
        ({'a': [1]}, '_parallel'),
    ],
)
def test_two_settings_that_form_a_grid_are_a_heat_map(axes, kind, tmp_path, monkeypatch):
    drawn = []
    for name in ('_heat_map', '_parallel'):
        real = getattr(sweep, name)
        monkeypatch.setattr(sweep, name, lambda *x, n=name, real=real: drawn.append(n) or real(*x))
    sweep.draw(points(axes, lambda v: 1.0), LOSS, tmp_path / 'sweep.png', 'Title')
    assert drawn == [kind]
    with Image.open(tmp_path / 'sweep.png') as image:
        assert min(image.size) > 300
    assert [path.name for path in tmp_path.iterdir()] == ['sweep.png']


def test_two_settings_that_are_zipped_form_no_grid():
    made = [Point(str(i), {'a': i, 'b': i}, 1.0) for i in range(3)]
    assert not sweep._is_grid(made, ['a', 'b'])


def test_lines_end_at_their_score_and_the_best_is_red():
    made = points({'a': [1, 2], 'b': ['x', 'y']}, lambda v: v['a'] + (v['b'] == 'y') / 4)
    for metric, best in ((LOSS, 0), (SHARE, 3)):
        figure = sweep._parallel(made, ['a', 'b'], metric)
        lines = [line for line in figure.axes[0].lines if len(line.get_ydata()) == 3]
        ends = sorted(line.get_ydata()[-1] for line in lines)
        np.testing.assert_allclose(ends, [0, 0.2, 0.8, 1])  # of 1, 1.25, 2, 2.25
        (red,) = [line for line in lines if line.get_color() == sweep.FOUND]
        assert list(red.get_ydata()) == {0: [0, 0, 0], 3: [1, 1, 1]}[best]


def test_a_run_without_a_result_is_dashed_and_ends_before_the_score():
    made = points({'a': [1, 2, 3]}, lambda v: math.nan if v['a'] == 2 else v['a'])
    figure = sweep._parallel(made, ['a'], LOSS)
    (dashed,) = [line for line in figure.axes[0].lines if line.get_linestyle() == '--']
    assert dashed.get_ydata()[0] == 0.5 and math.isnan(dashed.get_ydata()[1])
    assert 'Dashed' in figure.get_supxlabel()


def test_many_values_that_span_much_are_on_a_logarithmic_axis():
    rates = np.geomspace(1e-4, 1e-2, 21).tolist()
    upright = sweep._upright('optimizer.rate', rates)
    np.testing.assert_allclose(upright.positions, np.linspace(0, 1, 21), atol=1e-12)
    assert 'logarithmic' in upright.title
    ticks = {text: place for place, text in upright.ticks}
    assert ticks['0.001'] == pytest.approx(0.5)
    linear = sweep._upright('bank.size', list(range(10, 31)))
    assert linear.positions[5] == pytest.approx(0.25) and 'logarithmic' not in linear.title


def test_few_values_are_spread_evenly_whatever_they_are():
    assert sweep._upright('kappa', [0.0, 300.0, 100.0, 1.0]).positions == [0, 1, 2 / 3, 1 / 3]
    assert sweep._upright('kind', ['nili', 'mean']).ticks == [(0.0, 'mean'), (1.0, 'nili')]
    assert sweep._upright('augment', [True, False]).positions == [1.0, 0.0]


@pytest.mark.parametrize('count', [1, 8])
def test_a_sweep_without_any_result_is_drawn_all_the_same(count, tmp_path):
    made = points({'seed': list(range(count))}, lambda v: math.nan)
    sweep.draw(made, LOSS, tmp_path / 'sweep.png', 'Title')
    grid = points({'a': [1, 2], 'b': [1, 2]}, lambda v: math.nan)
    sweep.draw(grid, LOSS, tmp_path / 'grid.png', 'Title')
    assert (tmp_path / 'sweep.png').exists() and (tmp_path / 'grid.png').exists()


def test_nothing_is_clipped_at_the_edges(tmp_path):
    """The margin of a picture with long names is white."""
    names = {'input.rs.jitter_brightness': [0.1, 0.2], 'model.location.frequencies': [64, 128]}
    for made in (points({**names, 'seed': [0, 1]}, lambda v: v['seed']), points({
        **names, 'input.rs.jitter_contrast': [0.1, 0.2]}, lambda v: 1.0)):  # fmt: skip
        sweep.draw(made, SHARE, tmp_path / 'sweep.png', 'A title of some length: ' + 'x' * 90)
        with Image.open(tmp_path / 'sweep.png') as image:
            pixels = np.asarray(image.convert('L'))
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert edge.min() == 255
