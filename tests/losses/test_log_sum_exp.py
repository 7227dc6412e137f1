"""One value and one gradient in every form, on any number of devices; and what each form holds."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.losses import Candidates, Form, Rule, Settings, batch_rows, incl, past_rows, secl
from gair_jax.losses import log_sum_exp as module
from gair_jax.losses.pairs import MASKED, Term

N, K, D, T = 16, 24, 6, 0.1
RULE = Rule(same_tile=True, radius_m=2e5)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks, the last not full, even at these sizes."""
    monkeypatch.setattr(module, 'block_side', lambda rows: 5)


def draw():
    """Embeddings, bank, and all that decides which candidates count; every case occurs."""
    rng = np.random.default_rng(0)
    z, g, e = (rng.normal(size=(N, D)).astype(np.float32) for _ in range(3))
    return {
        'z': z, 'g': g, 'e': e, 'bank': rng.normal(size=(K, D)).astype(np.float32),
        'has_rs': rng.random(N) < 0.8, 'has_sv': rng.random(N) < 0.8,
        'tile': rng.integers(-1, 4, N).astype(np.int32),
        'lonlat': rng.integers(0, 4, (N, 2)).astype(np.float32),
        'past': rng.integers(0, 4, (K, 2)).astype(np.float32), 'filled': rng.random(K) < 0.8,
    }  # fmt: skip


def total(arrays, form, groups=1, apart=False):
    """INCL + SECL over batch and bank, with masks and absent modalities."""
    a = arrays
    settings = Settings(T, RULE, Form(form), apart)
    rows = batch_rows(N, tile=a['tile'], lonlat=a['lonlat'], groups=groups)
    bank = Candidates(a['bank'], past_rows(a['past'], a['filled']))
    place = secl(
        a['z'], a['g'], a['e'], bank, settings, denominator='batch_and_bank', rows=rows,
        has_rs=a['has_rs'], has_sv=a['has_sv'],
    )  # fmt: skip
    both = rows._replace(valid=a['has_rs'] & a['has_sv'])
    return incl(a['z'], a['g'], settings, both)[0] + place


def value_and_slopes(form, devices, groups=1, apart=False):
    """The total and its slopes by every embedding, with all rows split over the devices."""
    mesh = jax.make_mesh(
        (devices // 2 or 1, min(devices, 2)), ('data', 'fsdp'), devices=jax.devices()[:devices],
        axis_types=(AxisType.Auto, AxisType.Auto),
    )  # fmt: skip
    split = NamedSharding(mesh, P(('data', 'fsdp')))
    arrays = {name: jax.device_put(x, split) for name, x in draw().items()}
    sloped = {name: arrays.pop(name) for name in ('z', 'g', 'e', 'bank')}

    @jax.jit
    def run(sloped, arrays):
        return jax.value_and_grad(lambda s: total(s | arrays, form, groups, apart))(sloped)

    with jax.set_mesh(mesh):
        return jax.device_get(run(sloped, arrays))


@functools.cache
def reference(groups):
    return value_and_slopes('plain', 1, groups)


@pytest.mark.slow
@pytest.mark.parametrize('devices', [1, 2, 4, 8])
@pytest.mark.parametrize('form', module.FORMS)
def test_forms_and_devices_agree(form, devices):
    same_as_reference(value_and_slopes(form, devices), 1)


@pytest.mark.slow
@pytest.mark.parametrize('form', module.FORMS)
def test_groups_of_one_device_need_nothing_from_others(form):
    same_as_reference(value_and_slopes(form, 4, groups=4, apart=True), 4)
    assert abs(reference(4)[0] - reference(1)[0]) > 1e-2


def same_as_reference(found, groups):
    (value, slopes), (expected, wanted) = found, reference(groups)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for name, slope in wanted.items():
        error = np.linalg.norm(slopes[name] - slope) / np.linalg.norm(slope)
        assert error <= 1e-5, (name, error)


def sums(query, key, rows, temperature, form):
    """Of queries against keys, which are their positives too."""
    sets = [Candidates(query, rows), Candidates(key, rows)]
    return module.log_sum_exp(
        sets, [Term(0, 1, (1,))], jnp.float32(temperature), rule=Rule(), form=Form(form)
    )[0]


@pytest.mark.parametrize('form', module.FORMS)
def test_very_large_and_very_small_logits_stay_finite(form):
    """At temperature 1e-4 logits reach 1e4, beyond what exp can hold."""
    query = jnp.asarray([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])

    def of(query):
        return sums(query, query, batch_rows(3), 1e-4, form).total

    np.testing.assert_allclose(of(query), [np.log1p(0), np.log(2), 0], atol=1e-6)
    assert jnp.isfinite(jax.grad(lambda q: of(q).sum())(query)).all()


@pytest.mark.parametrize('form', module.FORMS)
def test_an_anchor_without_negatives_has_no_slope_whatever_is_asked_of_it(form):
    def of(query):
        return sums(query, jnp.ones((1, 2)), batch_rows(1), 1, form).total.sum()

    value, slope = jax.value_and_grad(of)(jnp.ones((1, 2)))
    assert value == MASKED and (slope == 0).all()


@pytest.mark.parametrize('form', module.FORMS)
def test_the_slope_of_the_temperature_is_that_of_a_small_change(form):
    """With slopes of totals and positives that differ from row to row."""
    draws = [jnp.asarray(draw()[name]) for name in ('z', 'g')]
    weights = jnp.arange(2.0 * N).reshape(2, N) - N

    @jax.jit
    def of(temperature):
        found = sums(*draws, batch_rows(N), temperature, form)
        return jnp.sum(weights[0] * found.total + weights[1] * found.positive)

    step = 1e-3
    numeric = (of(T + step) - of(T - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(of)(jnp.float32(T)), numeric, rtol=2e-3)


COLLECTIVE = re.compile(
    r' = (\w+)\[([\d,]*)\]\S* (?:all-gather|all-reduce|reduce-scatter|collective-permute)'
)


def collective_numbers(form, n):
    """Numbers in the results of all collectives of loss and gradient, rows split over 8 devices."""
    mesh = jax.make_mesh((8,), ('data',), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, P('data'))
    row = jax.ShapeDtypeStruct((n, 64), jnp.float32, sharding=split)

    def loss(z, g):
        return incl(z, g, Settings(T, form=Form(form)))[0]

    with jax.set_mesh(mesh):
        text = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(row, row).compile().as_text()
    shapes = [m.group(2) for m in COLLECTIVE.finditer(text)]
    return sum(int(np.prod([int(x) for x in s.split(',') if x])) for s in shapes)


@pytest.mark.parametrize('form', module.FORMS)
def test_collectives_grow_as_the_embeddings_not_as_the_pairs(form, monkeypatch):
    monkeypatch.setattr(module, 'block_side', lambda rows: 64)
    small, large = collective_numbers(form, 256), collective_numbers(form, 1024)
    assert small > 0 and large / small < 4.5, (small, large)
