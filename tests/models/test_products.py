"""Products in bfloat16: the form that a CPU has instructions for, and its slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractDevice, AbstractMesh

from gair_jax.models import products

CONTRACTED = (((1,), (0,)), ((), ()))


def drawn(dtype):
    draw = np.random.default_rng(0)
    return [jnp.asarray(draw.standard_normal(shape), dtype) for shape in ((5, 64), (64, 3))]


@pytest.mark.parametrize(
    ('platform', 'dtype', 'wanted'),
    [
        ('cpu', 'bfloat16', 'float32'),
        ('cpu', 'float32', 'float32'),
        ('gpu', 'bfloat16', 'bfloat16'),
        ('tpu', 'bfloat16', 'bfloat16'),
    ],
)
def test_the_sum_is_in_float32_on_a_cpu_alone(platform, dtype, wanted):
    x, y = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((5, 64), (64, 3)))
    mesh = AbstractMesh((1,), ('x',), abstract_device=AbstractDevice(platform, None, platform))
    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.make_jaxpr(lambda x, y: products.dot_general(x, y, CONTRACTED))(x, y)
    (product,) = [e for e in traced.eqns if e.primitive.name == 'dot_general']
    assert product.outvars[0].aval.dtype == wanted
    assert traced.out_avals[0].dtype == dtype


def test_the_sum_is_rounded_once():
    x, y = drawn('bfloat16')
    exact = np.asarray(x, np.float64) @ np.asarray(y, np.float64)
    found = np.asarray(products.dot_general(x, y, CONTRACTED), np.float64)
    # Half a unit in the last of eight bits, and what float32 sums leave.
    np.testing.assert_allclose(found, exact, rtol=2**-8, atol=1e-5)


def test_slopes_are_those_of_the_plain_product():
    x, y = drawn('bfloat16')

    def loss(product):
        return lambda x, y: (product(x, y).astype(jnp.float32) ** 2).sum()

    found = jax.grad(loss(lambda x, y: products.dot_general(x, y, CONTRACTED)), (0, 1))(x, y)
    exact = [np.asarray(a, np.float64) for a in (x, y)]
    out = 2 * exact[0] @ exact[1]
    for slope, expected in zip(found, (out @ exact[1].T, exact[0].T @ out), strict=True):
        assert slope.dtype == jnp.bfloat16
        np.testing.assert_allclose(np.asarray(slope, np.float64), expected, rtol=0.03, atol=0.5)
