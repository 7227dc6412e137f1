import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gair_jax.config import InputError
from gair_jax.models import siamese
from gair_jax.models.batch_norm import BatchNorm
from gair_jax.models.upernet import Up, UPerNet, UPerNetSpec, adaptive_pool, resize

RNG = np.random.default_rng(0)


def count(width):
    levels = [jnp.zeros((1, 12, 12, width))] * 4
    made = jax.eval_shape(
        lambda: UPerNet(UPerNetSpec(classes=2)).init(jax.random.key(0), levels, (96, 96))
    )
    return sum(leaf.size for leaf in jax.tree.leaves(made['params']))


def test_parameters_are_as_many_as_the_references():
    """Four levels of a ViT-B and two classes; twice as wide where two dates are joined."""
    assert count(768) == 39_344_898 and count(1536) == 66_873_858


@pytest.mark.parametrize(('rows', 'columns', 'size'), [(7, 5, 3), (2, 3, 6), (12, 4, 1)])
def test_windows_of_the_pooling(rows, columns, size):
    x = RNG.normal(size=(2, rows, columns, 3)).astype(np.float32)
    expected = np.empty((2, size, size, 3))
    for i in range(size):
        for j in range(size):
            top, bottom = int(np.floor(i * rows / size)), int(np.ceil((i + 1) * rows / size))
            left, right = int(np.floor(j * columns / size)), int(np.ceil((j + 1) * columns / size))
            expected[:, i, j] = x[:, top:bottom, left:right].mean((1, 2))
    np.testing.assert_allclose(adaptive_pool(jnp.asarray(x), size), expected, atol=1e-6)


def test_a_transposed_convolution_does_not_flip_its_kernel():
    x, kernel, bias = RNG.normal(size=(1, 2, 3, 4)), RNG.normal(size=(2, 2, 4, 4)), np.arange(4.0)
    out = Up(jnp.float32).apply({'params': {'kernel': kernel, 'bias': bias}}, jnp.asarray(x))
    for a in range(2):
        for b in range(2):
            np.testing.assert_allclose(out[:, a::2, b::2], x @ kernel[a, b] + bias, atol=1e-5)


def test_resizing_is_at_half_pixel_centres_with_clamped_edges():
    x = jnp.asarray([0.0, 4.0]).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(resize(x, (1, 4)).ravel(), [0, 1, 3, 4], atol=1e-6)


def test_training_moves_the_statistics_as_pytorch_does():
    x = RNG.normal(3, 2, size=(2, 3, 3, 4)).astype(np.float32)
    norm, flat = BatchNorm(), x.reshape(-1, 4)
    made = norm.init(jax.random.key(0), jnp.asarray(x), False)
    out, after = norm.apply(made, jnp.asarray(x), True, mutable='batch_stats')
    kept = after['batch_stats']
    np.testing.assert_allclose(kept['mean'], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(kept['var'], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)
    expected = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_statistics_of_a_sharded_batch_are_those_of_the_whole():
    x = jnp.asarray(RNG.normal(size=(4, 2, 2, 3)), jnp.float32)
    norm = BatchNorm()
    made = norm.init(jax.random.key(0), x, False)
    train = jax.jit(functools.partial(norm.apply, train=True, mutable='batch_stats'))
    mesh = Mesh(np.array(jax.devices()[:2]), ('data',))
    split = jax.device_put(x, NamedSharding(mesh, PartitionSpec('data')))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-6), train(made, split), train(made, x)
    )


def test_one_value_a_channel_has_no_variance():
    norm, x = BatchNorm(), jnp.ones((1, 1, 1, 3))
    made = norm.init(jax.random.key(0), x, False)
    with pytest.raises(InputError, match='batch: expected 2 values a channel'):
        norm.apply(made, x, True, mutable='batch_stats')


@functools.cache
def small(dtype='float32'):
    model = UPerNet(UPerNetSpec(classes=3, channels=4, pools=(1, 2), dropout=0.5, dtype=dtype))
    levels = [jnp.asarray(RNG.normal(size=(2, 3, 2, 4)), jnp.float32) for _ in range(4)]
    made = jax.jit(lambda: model.init(jax.random.key(0), levels, (5, 7)))()
    step = jax.jit(
        lambda v, key: model.apply(
            v, levels, (5, 7), True, rngs={'dropout': key}, mutable='batch_stats'
        )
    )
    return made, step


def test_dropout_follows_its_key():
    made, step = small()
    first, again, other = (step(made, jax.random.key(i))[0] for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, 5, 7, 3) and not np.allclose(first, other)


def test_bfloat16_keeps_float32_statistics_and_logits():
    made, step = small('bfloat16')
    logits, after = step(made, jax.random.key(0))
    kept = jax.tree.leaves(after['batch_stats'])
    assert logits.dtype == jnp.float32 and {leaf.dtype for leaf in kept} == {jnp.dtype('float32')}
    moved = [
        np.any(a != b) for a, b in zip(kept, jax.tree.leaves(made['batch_stats']), strict=True)
    ]
    assert all(moved)


def test_levels_that_cannot_be_decoded_are_refused():
    model = UPerNet(UPerNetSpec(classes=1, channels=2))
    with pytest.raises(InputError, match='at least 1 map, found none'):
        model.init(jax.random.key(0), [], (2, 2))
    with pytest.raises(InputError, match=r'2 x 2 or more, found \(1, 3\)'):
        jax.eval_shape(lambda: model.init(jax.random.key(0), [jnp.zeros((1, 1, 3, 2))] * 4, (2, 2)))


def test_two_dates_are_subtracted_or_joined():
    first, second = [jnp.full((1, 2, 2, 3), 1.0)], [jnp.full((1, 2, 2, 3), 5.0)]
    np.testing.assert_array_equal(siamese.merge(first, second, 'diff')[0], 4.0)
    joined = siamese.merge(first, second, 'conc')[0]
    np.testing.assert_array_equal(joined[0, 0, 0], [1, 1, 1, 5, 5, 5])
    with pytest.raises(InputError, match='strategy: expected diff or conc, found sum'):
        siamese.merge(first, second, 'sum')
