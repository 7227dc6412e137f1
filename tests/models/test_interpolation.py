import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.models import interpolation

H, W = 5, 7
GRID = jax.random.normal(jax.random.key(0), (1, H, W, 3))


def centre(row, column):
    return jnp.asarray([[[(2 * column + 1) / W - 1, (2 * row + 1) / H - 1]]], jnp.float32)


@pytest.mark.parametrize('kind', [interpolation.bilinear, interpolation.bicubic])
@pytest.mark.parametrize('padding', interpolation.PADDINGS)
def test_a_cell_s_centre_gives_its_value(kind, padding):
    for row, column in [(0, 0), (2, 3), (4, 6)]:
        found = kind(GRID, centre(row, column), padding)
        np.testing.assert_allclose(found[0, 0], GRID[0, row, column], atol=1e-5)


@pytest.mark.parametrize('kind', [interpolation.bilinear, interpolation.bicubic])
def test_between_two_cells(kind):
    found = kind(GRID, (centre(2, 3) + centre(2, 4)) / 2, 'border')[0, 0]
    row = np.asarray(GRID[0, 2, 2:6], np.float64)
    # Keys' kernel with a = -3/4 at 1/2 and 3/2: 19/32 and -3/32.
    weights = {'bilinear': [0, 1 / 2, 1 / 2, 0], 'bicubic': [-3 / 32, 19 / 32, 19 / 32, -3 / 32]}
    np.testing.assert_allclose(found, weights[kind.__name__] @ row, atol=1e-5)


def test_zeros_fade_in_the_outer_half_cell_and_border_does_not():
    ones, corner = jnp.ones((1, H, W, 1)), jnp.asarray([[[-1.0, -1.0], [-1.0, 0.0]]])
    # Zero padding, in closed form: half at an edge, a quarter at a corner.
    faded = interpolation.bilinear(ones, corner, 'zeros')
    np.testing.assert_allclose(faded[0, :, 0], [0.25, 0.5], atol=1e-6)
    for kind in (interpolation.bilinear, interpolation.bicubic):
        np.testing.assert_allclose(kind(ones, 3 * corner, 'border'), 1, atol=1e-5)


def test_mean_is_the_same_everywhere():
    found = interpolation.mean(GRID, jnp.asarray([[[0.3, -0.9], [1.0, 1.0]]]))
    np.testing.assert_allclose(found, np.broadcast_to(GRID.mean((1, 2)), (1, 2, 3)), atol=1e-6)
