import numpy as np
import pytest

from gair_jax.serve import parity as rules

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ('rule', 'expected'),
    [
        ('x', X),
        ('x[:, ::2]', X[:, ::2]),
        ('x[..., -1]', X[..., -1]),
        ('x[1:, 0, 2:5:2]', X[1:, 0, 2:5:2]),
        ('x.mean(1)', X.mean(1)),
        ('x.std(1, 2)', X.std((1, 2))),
        ('x[:, 1:].max(-1)', X[:, 1:].max(-1)),
        ('x.sum(0)[2]', X.sum(0)[2]),
        ('x.norm(-1)', np.sqrt((X**2).sum(-1))),
        ('x.unit(-1)[0]', X[0] / np.sqrt((X[0] ** 2).sum(-1, keepdims=True))),
        ('x[0].shape()', [4, 5]),
    ],
)
def test_steps_are_read_left_to_right(rule, expected):
    np.testing.assert_allclose(rules.apply(rule, {'x': X}), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    'rule', ['', '[0]', 'x + 1', 'x.tofile(0)', "x.mean('a')", 'x[[0, 1]]', 'x[0](1)', 'x.norm()',
             'x[1:2:3:4]', '__import__("os")'],
)  # fmt: skip
def test_nothing_else_is_read(rule):
    with pytest.raises(ValueError):
        rules.apply(rule, {'x': X, '__import__': X})


def test_an_unknown_array_is_named():
    with pytest.raises(KeyError, match='tokens'):
        rules.apply('tokens[0]', {'x': X})
