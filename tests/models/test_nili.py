import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.models.interpolation import bilinear
from gair_jax.models.nili import Nili, NiliSpec, nearest
from tests.models import small

H, W, D, K = 5, 7, 4, 6
RNG = np.random.default_rng(0)
GRID = jnp.asarray(RNG.normal(size=(2, H, W, D)), jnp.float32)
XY = jnp.asarray(RNG.uniform(-1, 1, (2, 40, 2)), jnp.float32)


def make(hidden=(), **settings):
    nili = Nili(NiliSpec(dim=D, embed_dim=K, hidden=hidden, **settings))
    return nili, small.drawn(nili.init, GRID, XY)['params']


def read(nili, params, grid=GRID, xy=XY, schedule='gather'):
    apply = jax.jit(nili.apply, static_argnames='schedule')
    return apply({'params': params}, grid, xy, schedule=schedule)


def oracle(params, grid, xy):
    """One point, written from the paper's sentences: loops and float64."""
    p = params
    padded = np.pad(grid, ((1, 1), (1, 1), (0, 0)))
    answers, areas = [], []
    for vx, vy in itertools.product((-1, 1), (-1, 1)):
        column = _cell(xy[0] + vx / W + 1e-6, W)
        row = _cell(xy[1] + vy / H + 1e-6, H)
        rel = np.array(
            [(xy[0] + 1 - (2 * column + 1) / W) * W, (xy[1] + 1 - (2 * row + 1) / H) * H]
        )
        around = padded[row : row + 3, column : column + 3]
        x = np.tensordot(around, p['first']['kernel'], 3)
        x = x + rel @ p['first']['offset_kernel'] + p['first']['bias']
        for name in sorted(n for n in p if n.startswith('rest')):
            x = np.maximum(x, 0) @ p[name]['kernel'] + p[name]['bias']
        answers.append(x)
        areas.append(abs(rel[0] * rel[1]) + 1e-9)
    opposite = np.array(areas[::-1]) / np.sum(areas)
    return opposite @ np.array(answers)


def _cell(at, n):
    return int(np.clip(np.floor((np.clip(at, -1 + 1e-6, 1 - 1e-6) + 1) * n / 2), 0, n - 1))


@pytest.mark.parametrize('hidden', [(), (9,), (9, 8, 7)])
def test_against_the_rule_point_by_point(hidden):
    nili, params = make(hidden)
    found = read(nili, params)
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    for b, q in itertools.product(range(2), range(0, 40, 7)):
        expected = oracle(params, np.asarray(GRID[b], np.float64), np.asarray(XY[b, q], np.float64))
        np.testing.assert_allclose(found[b, q], expected, atol=2e-5)


@pytest.mark.parametrize('hidden', [(), (9, 8)])
@pytest.mark.parametrize('settings', [{}, {'ensemble': False}, {'coordinates': 'history'}], ids=str)
def test_both_schedules_give_the_same_numbers(hidden, settings):
    nili, params = make(hidden, **settings)
    outside = jnp.concatenate([XY, 1.3 * XY, jnp.sign(XY)], axis=1)
    gathered = read(nili, params, xy=outside)
    np.testing.assert_allclose(
        gathered, read(nili, params, xy=outside, schedule='convolve'), atol=1e-5
    )


def test_one_affine_layer_is_a_bilinear_sample_of_a_convolution():
    # Clamped at the edge, plus the offset columns times r, zero but in the outer half cell.
    nili, params = make()
    first = params['first']
    convolved = jax.lax.conv_general_dilated(
        GRID, first['kernel'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    shape = jnp.asarray([W, H], jnp.float32)
    position = (XY + 1) / 2 * shape[None, None] - 0.5
    r = 2 * (position - jnp.clip(position, 0, shape[None, None] - 1))
    expected = (
        bilinear(convolved, XY, 'border') + r @ first['offset_kernel'] + first['bias'][None, None]
    )
    scale = jnp.abs(expected).max()
    np.testing.assert_allclose(read(nili, params) / scale, expected / scale, atol=3e-6)


def test_h_with_hidden_layers_is_no_such_sample():
    nili, params = make((9,))
    inner = jnp.zeros_like(params['first']['offset_kernel'])
    changed = params | {'first': params['first'] | {'offset_kernel': inner}}
    assert jnp.abs(read(nili, params) - read(nili, changed)).max() > 0.1


@pytest.mark.parametrize('schedule', ['gather', 'convolve'])
@pytest.mark.parametrize('hidden', [(), (9,)])
def test_mirrored_grid_mirrored_h_and_mirrored_point(schedule, hidden):
    nili, params = make(hidden)
    first = params['first']
    mirrored = params | {
        'first': first
        | {
            'kernel': first['kernel'][:, ::-1],
            'offset_kernel': first['offset_kernel'] * jnp.asarray([[-1.0], [1.0]]),
        }
    }
    found = read(nili, mirrored, GRID[:, :, ::-1], XY * jnp.asarray([[[-1.0, 1.0]]]), schedule)
    np.testing.assert_allclose(found, read(nili, params, schedule=schedule), atol=1e-4)


def test_flip_of_tile_and_xy_leaves_an_equivariant_toy_unchanged():
    # A toy that treats east and west alike: patch means, and an H whose kernel is symmetric in x.
    nili, params = make((9,))
    first = params['first']
    symmetric = first['kernel'] + first['kernel'][:, ::-1]
    blind = first['offset_kernel'].at[0].set(0)
    toy = params | {'first': first | {'kernel': symmetric, 'offset_kernel': blind}}
    tile = jnp.asarray(RNG.normal(size=(2, 8 * H, 8 * W, D)), jnp.float32)

    def localized(tile, xy):
        return read(nili, toy, tile.reshape(2, H, 8, W, 8, D).mean((2, 4)), xy)

    flipped = localized(tile[:, :, ::-1], XY * jnp.asarray([[[-1.0, 1.0]]]))
    np.testing.assert_allclose(flipped, localized(tile, XY), atol=1e-4)
    assert jnp.abs(localized(tile[:, :, ::-1], XY) - flipped).max() > 0.1


def test_history_reads_the_transposed_lower_right_quadrant():
    nili, params = make((9,), coordinates='history')
    swapped = params | {
        'first': params['first'] | {'offset_kernel': params['first']['offset_kernel'][::-1]}
    }
    centred, _ = make((9,))
    place = (XY[..., ::-1] + 1) / 2  # column from y, row from x, in [0, 1]
    np.testing.assert_allclose(read(nili, params), read(centred, swapped, xy=place), atol=1e-5)


def test_nearest_cell_and_offset():
    cell, offset = nearest(jnp.asarray([[[-1.0, 1.0], [0.0, 0.0]]]), np.asarray([[[7.0, 5.0]]]))
    np.testing.assert_array_equal(cell, [[[0, 4], [3, 2]]])
    np.testing.assert_allclose(offset, [[[-1, 1], [0, 0]]], atol=1e-6)


def test_gradients_reach_grid_and_parameters_and_are_finite():
    nili, params = make((9,))
    corners = jnp.asarray([[[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]]] * 2)

    def total(params, grid, xy):
        return jnp.sum(nili.apply({'params': params}, grid, xy) ** 2)

    grads = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(params, GRID, corners)
    assert all(jnp.isfinite(g).all() and g.any() for g in jax.tree.leaves(grads))
