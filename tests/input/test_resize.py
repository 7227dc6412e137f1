import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input.resize import KERNELS, matrix, resize

SHAPES = [((24, 30), (12, 12)), ((40, 31), (16, 24)), ((9, 13), (20, 20)), ((50, 64), (50, 21))]


def image(shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 3)).astype(np.float32)


@pytest.mark.parametrize('shapes', SHAPES)
def test_cubic_antialias_is_that_of_jax(shapes):
    source, target = shapes
    x = image(source)
    reference = jax.image.resize(jnp.asarray(x), (*target, 3), 'cubic', antialias=True)
    # 1e-6 between exact weights; JAX computes its own in float32.
    np.testing.assert_allclose(resize(x, target, 'cubic_antialias'), reference, atol=5e-6)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('shapes', SHAPES)
def test_kernels_are_those_of_torch(shapes, kernel):
    torch = pytest.importorskip('torch')
    source, target = shapes
    x = image(source)
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(np.moveaxis(x, -1, 0)[None].astype(np.float64)),
        size=target,
        mode='bilinear' if kernel == 'linear_antialias' else 'bicubic',
        align_corners=False,
        antialias=kernel != 'cubic',
    )
    ours = resize(x, target, kernel)
    np.testing.assert_allclose(ours, np.moveaxis(reference[0].numpy(), 0, -1), atol=1e-6)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('sizes', [(7, 3), (3, 7), (96, 224), (300, 224), (1, 5)])
def test_weights_sum_to_one(kernel, sizes):
    np.testing.assert_allclose(matrix(*sizes, kernel).sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize('kernel', KERNELS)
def test_resizing_equals_the_product_with_both_matrices(kernel):
    x = image((17, 23))
    rows, cols = matrix(17, 9, kernel), matrix(23, 31, kernel)
    expected = np.einsum('ph,hwc,qw->pqc', rows, x.astype(np.float64), cols)
    np.testing.assert_allclose(resize(x, (9, 31), kernel), expected, atol=1e-6)


def test_the_same_size_changes_nothing():
    x = image((8, 8))
    np.testing.assert_array_equal(resize(x, (8, 8), 'cubic'), x)


def test_the_result_can_leave_the_range_as_cubic_does():
    step = np.zeros((16, 16, 1), np.float32)
    step[:, 8:] = 1
    assert resize(step, (32, 32), 'cubic').min() < -0.01


def test_an_unknown_kernel_is_named():
    with pytest.raises(InputError, match="cubic or linear_antialias, found 'linear'"):
        resize(image((4, 4)), (2, 2), 'linear')
