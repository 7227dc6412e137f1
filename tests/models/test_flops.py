"""The counts from sizes against those of every product in the traced program."""

import math

import jax
import pytest
from jax.interpreters import partial_eval

from gair_jax import presets
from gair_jax.bench.training import shapes, training
from gair_jax.models import flops, gair
from gair_jax.train import sharding
from tests.models import small

pytestmark = pytest.mark.slow


def products(jaxpr):
    """FLOPs of the dot products of a traced function, those in inner functions included."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == 'dot_general':
            (contracting, _), _ = equation.params['dimension_numbers']
            left = equation.invars[0].aval.shape
            inner = math.prod(left[axis] for axis in contracting)
            total += 2 * inner * math.prod(equation.outvars[0].aval.shape)
        repeats = equation.params.get('length', 1)
        for value in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                total += repeats * products(getattr(value, 'jaxpr', value))
    return total


def _is_jaxpr(value):
    return hasattr(value, 'eqns') or hasattr(value, 'jaxpr')


@pytest.mark.parametrize(
    'rs',
    [{}, {'class_token': True, 'heads': 2}, {'class_token': True, 'pooling': 'pooler'}],
    ids=str,
)
def test_the_count_from_sizes_is_that_of_all_products(rs):
    made = small.config()
    for name, value in rs.items():
        setattr(made.model.rs, name, value)
    model = gair.build(made)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    counted = products(jax.make_jaxpr(model.apply)(shapes, small.batch(1)).jaxpr)
    # The offset columns of H are added without a product.
    offsets = 2 * 4 * 2 * model.nili.spec.hidden[0]
    assert flops.embed(model) == counted + offsets


@pytest.mark.parametrize('denominator', ['positive_and_bank', 'batch_and_bank', 'batch_only'])
def test_the_count_of_a_step_is_that_of_all_products_but_those_that_need_no_slope(denominator):
    made = small.config()
    made.batch, made.bank.size, made.loss.secl_denominator = 4, 16, denominator
    made.loss.form = 'plain'
    model = gair.build(made)
    step = training(made, sharding.make_mesh(jax.devices()[:1]))
    traced = step.step.trace(jax.eval_shape(step.make, jax.random.key(0)), shapes(made))
    traced = traced.jaxpr.jaxpr
    counted = products(partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))[0])
    rs, sv, location = model.rs.spec, model.sv.spec, model.location.spec
    images = sum(2 * s.patches * s.channels * s.patch**2 * s.layers.dim for s in (rs, sv))
    # Frequencies are fixed and places are given: one product of three, and two of three behind it.
    fourier = 2 * 2 * location.frequencies
    features = 2 * 2 * location.frequencies * location.hidden[0]
    places = len(location.sigma) * (2 * fourier + features) * (made.batch + made.bank.size)
    # Added without a product: three times what the offset columns of H would be.
    offsets = 3 * made.batch * 2 * 4 * 2 * model.nili.spec.hidden[0]
    assert flops.train_step(made, model) - counted == made.batch * images + places + offsets


def test_the_paper_s_model_costs_60_gflop_a_triple():
    # 34.9 + 25.4 by 2 n (12 d^2 L + 2 n d L) and the patch embeddings, n = 196 and 144.
    assert flops.embed(gair.build(presets.paper())) == pytest.approx(60.3e9, rel=2e-3)
