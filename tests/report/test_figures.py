import numpy as np
import pytest
from PIL import Image

from gair_jax.report import figures


def _colours(path):
    with Image.open(path) as image:
        assert min(image.size) > 200
        return np.asarray(image.convert('RGB')).reshape(-1, 3)


def _has(path, colour):
    return np.any(np.all(np.abs(_colours(path).astype(int) - colour) < 8, axis=1))


def test_loss_curve(tmp_path):
    records = [
        {'step': 1, 'loss': 3.0, 'incl': 2.0, 'secl': 2.0},
        {'step': 2, 'loss': 2.0, 'incl': 1.5, 'secl': 1.0},
        {'step': 2, 'val_loss': 2.5},
    ]
    figures.loss_curve(records, tmp_path / 'loss.png', 'Loss')
    assert _has(tmp_path / 'loss.png', (31, 119, 180))  # INCL's blue
    assert [p.name for p in tmp_path.iterdir()] == ['loss.png']


def test_loss_curve_of_a_run_that_logged_nothing(tmp_path):
    figures.loss_curve([], tmp_path / 'loss.png', 'Loss')
    assert (tmp_path / 'loss.png').exists()


def test_heat_maps_mark_the_place_found(tmp_path, rng):
    case = figures.Case(
        rng.random((8, 8, 3)), np.zeros((8, 8, 3)), rng.random((4, 4)),
        np.array([0.5, 0.5]), np.array([-0.5, 0.5]), 12.0,
    )  # fmt: skip
    figures.heat_maps([case, case], tmp_path / 'heat.png', 'Synthetic')
    assert _has(tmp_path / 'heat.png', (255, 45, 85))


@pytest.mark.parametrize('right', [0, 4, -1])
def test_retrieval_frames_the_own_window_only_if_found(tmp_path, rng, right):
    answer = figures.Answer(
        np.zeros((8, 8, 3)), np.zeros((5, 8, 8, 3)), np.zeros((5, 2)), np.zeros(5), right, 7
    )
    figures.retrieval_panel([answer], tmp_path / 'r.png', 'Title', candidates=20)
    assert _has(tmp_path / 'r.png', (255, 45, 85)) == (right >= 0)


def test_stretch_fills_the_range(rng):
    out = figures.stretch(rng.normal(size=(2, 30, 30, 3)) * 5 + 3)
    assert out.min() == 0.0 and out.max() == 1.0
    assert 0.4 < out.mean() < 0.6


def test_image_rows_point_south_like_y():
    """A mark at xy (-0.5, 0.5) falls on the lower left quarter of the pixels."""
    axes = figures.new_figure(2, 2).subplots()
    figures._image(axes, np.zeros((2, 2, 3)))
    figures._mark(axes, np.array([-0.5, 0.5]), figures.FOUND)
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((-0.5, 0.5)))
    np.testing.assert_allclose([x, y], [0.25, 0.25])
    assert axes.images[0].get_extent() == [-1, 1, 1, -1]
