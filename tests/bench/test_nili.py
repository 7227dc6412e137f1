"""Our NILI with a peer's weights gives the peer's numbers."""

import pytest

from gair_jax.bench import nili
from tests.shared import shared

pytestmark = pytest.mark.slow

# The references' rule, point by point, in float64 (LIIF, section 3).
TINY = """
import itertools
import numpy as np
import torch


class NILI(torch.nn.Module):
  def __init__(self, dim):
    super().__init__()
    self.mlp = torch.nn.Linear(9 * dim + 2, dim)

  def forward(self, tokens, uv):
    weight, bias = (p.detach().double().numpy() for p in (self.mlp.weight, self.mlp.bias))
    maps, points = tokens.double().numpy(), uv.double().numpy()
    out = [[self.one(m, p, weight, bias) for p in q] for m, q in zip(maps, points)]
    return torch.tensor(np.array(out), dtype=torch.float32)

  def one(self, tokens, point, weight, bias):
    side = int(len(tokens) ** 0.5)
    padded = np.pad(tokens.reshape(side, side, -1), ((1, 1), (1, 1), (0, 0)))
    answers, areas = [], []
    for move in itertools.product((-1, 1), (-1, 1)):
      at = np.clip(point + np.array(move) / side + 1e-6, -1 + 1e-6, 1 - 1e-6)
      column, row = np.floor((at + 1) / 2 * side).astype(int)
      offset = (point - ((2 * np.array([column, row]) + 1) / side - 1)) * side
      around = padded[row:row + 3, column:column + 3].transpose(2, 0, 1).reshape(-1)
      answers.append(weight @ np.concatenate([around, offset]) + bias)
      areas.append(abs(offset[0] * offset[1]) + 1e-9)
    return np.array(areas[::-1]) @ np.array(answers) / sum(areas)
"""


def test_the_numbers_of_a_tiny_peer(tmp_path):
    pytest.importorskip('torch')
    path = tmp_path / 'tiny.py'
    path.write_text(TINY)
    sizes = nili.Sizes(batch=2, queries=7, side=4, width=5)
    found = nili.bench(sizes, 1, str(path))
    assert 0 < found['max_difference'] < 2e-6


def test_the_numbers_of_the_shared_peer():
    pytest.importorskip('torch')
    path = shared('peers/torch_gair.py')
    found = nili.bench(nili.Sizes(batch=2, queries=13), 1, str(path))
    assert 0 < found['max_difference'] < 2e-5


def test_grids_lie_in_the_window_and_differ():
    grid, xy = nili.inputs(nili.Sizes(batch=2, queries=3, side=4, width=5))
    assert grid.shape == (2, 4, 4, 5) and xy.shape == (2, 9, 2)
    assert xy[0].tolist() == xy[1].tolist() and abs(xy).max() == pytest.approx(2 / 3)
    assert (grid[0] != grid[1]).all()
