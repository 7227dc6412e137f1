import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.losses import Candidates, Form, Rule, Settings, bank_of, batch_rows, past_rows
from gair_jax.losses import info_nce as module
from gair_jax.losses.info_nce import DENOMINATORS, info_nce
from gair_jax.losses.log_sum_exp import FORMS
from gair_jax.losses.pairs import Term, normalize
from tests.losses import oracle
from tests.shared import shared

B, K, D, T = 7, 9, 5, 0.2
SETTINGS = Settings(T)
SAME_TILE = Rule(same_tile=True)


@functools.cache
def compiled_incl(settings):
    return jax.jit(lambda z, g, rows: module.incl(z, g, settings, rows)[0])


def incl(z, g, settings=SETTINGS, rows=None):
    return compiled_incl(settings)(z, g, batch_rows(len(g)) if rows is None else rows)


@functools.cache
def compiled_secl(denominator, settings):
    def run(z, g, e, bank, past, rows, has_rs, has_sv):
        candidates = Candidates(bank, past)
        return module.secl(
            z, g, e, candidates, settings, denominator=denominator, rows=rows, has_rs=has_rs,
            has_sv=has_sv,
        )  # fmt: skip

    return jax.jit(run)


def secl(z, g, e, bank, settings=SETTINGS, *, denominator):
    every = jnp.ones(len(e), bool)
    run = compiled_secl(denominator, settings)
    return run(z, g, e, bank.embeddings, bank.rows, batch_rows(len(e)), every, every)


def draw(seed=0):
    """Localized, photo and place embeddings and a bank, all that decides, and what follows of it.

    Every case occurs: absent tiles and photos, candidates on the anchor's tile, empty slots of the
    bank and slots at an anchor's own position.
    """
    rng = np.random.default_rng(seed)
    z, g, e = (rng.normal(size=(B, D)).astype(np.float32) for _ in range(3))
    bank = rng.normal(size=(K, D)).astype(np.float32)
    has_rs, has_sv = rng.random(B) < 0.7, rng.random(B) < 0.7
    tile = rng.integers(-1, 3, B).astype(np.int32)
    lonlat = rng.integers(0, 3, (B, 2)).astype(np.float32)
    past, filled = rng.integers(0, 3, (K, 2)).astype(np.float32), rng.random(K) < 0.8
    near = (tile[:, None] == tile) & (tile >= 0)[:, None] & ~np.eye(B, dtype=bool)
    own = (lonlat[:, None] == past).all(-1) | ~filled
    assert near.any() and own.any() and not own.all()
    rows = batch_rows(B, tile=jnp.asarray(tile), lonlat=jnp.asarray(lonlat))
    candidates = Candidates(jnp.asarray(bank), past_rows(jnp.asarray(past), jnp.asarray(filled)))
    return tuple(map(jnp.asarray, (z, g, e, bank, has_rs, has_sv, near, own))), rows, candidates


def all_finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('seed', range(3))
def test_incl_is_the_papers_equation_on_the_valid_rows(seed, form):
    (z, g, _, _, has_rs, has_sv, near, _), rows, _ = draw(seed)
    rows = rows._replace(valid=jnp.asarray(has_rs & has_sv))
    ours = incl(z, g, Settings(T, SAME_TILE, Form(form)), rows)
    np.testing.assert_allclose(ours, oracle.incl(z, g, T, has_rs & has_sv, near), rtol=2e-6)
    plain = oracle.incl(z, g, T, np.ones(B, bool), np.zeros((B, B), bool))
    np.testing.assert_allclose(incl(z, g, Settings(T, form=Form(form))), plain, rtol=2e-6)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_secl_is_the_papers_equation_in_each_reading(denominator, seed, form):
    (z, g, e, bank, has_rs, has_sv, near, own), rows, candidates = draw(seed)
    run = compiled_secl(denominator, Settings(T, SAME_TILE, Form(form)))
    ours = run(z, g, e, bank, candidates.rows, rows, has_rs, has_sv)
    expected = oracle.secl(z, g, e, bank, T, denominator, has_rs, has_sv, near, own)
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_parity_incl_secl(denominator, form):
    """The three readings with all gradients, against the stored float64 reference."""
    with np.load(shared('parity/gair/incl_secl_loss.npz')) as case:
        given = [jnp.float32(case[f'in/{name}']) for name in ('z', 'g', 'e', 'bank')]
        expected = {k[4:]: case[k] for k in case.files if k.startswith('out/')}
    settings = Settings(0.07, form=Form(form))

    def total(z, g, e, bank):
        place = module.secl(z, g, e, bank_of(bank), settings, denominator=denominator)
        return module.incl(z, g, settings)[0] + 0.5 * place

    value, grads = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))(*given)
    assert abs(value - expected[f'total_{denominator}']) <= 2e-6
    assert abs(incl(*given[:2], settings) - expected['incl']) <= 2e-6
    for name, grad in zip(('z', 'g', 'e', 'bank'), grads, strict=True):
        wanted = expected.get(f'grad_{name}_{denominator}', np.zeros(()))
        np.testing.assert_allclose(grad, np.broadcast_to(wanted, grad.shape), atol=1e-7, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
def test_rows_without_data_change_nothing(form):
    (z, g, e, *_), _, bank = draw()
    settings, has = Settings(T, form=Form(form)), jnp.arange(B) < 4

    @jax.jit
    def losses(z, g, e, has):
        rows = batch_rows(len(z))
        there = module.secl(
            z, g, e, bank, settings, denominator='batch_and_bank', rows=rows, has_rs=has, has_sv=has
        )
        return module.incl(z, g, settings, rows._replace(valid=has))[0] + there

    mixed, grads = jax.value_and_grad(losses, argnums=(0, 1, 2))(z, g, e, has)
    np.testing.assert_allclose(mixed, losses(z[:4], g[:4], e[:4], has[:4]), rtol=1e-6)
    assert all((grad[4:] == 0).all() and (grad[:4] != 0).any() for grad in grads)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_nothing_valid_gives_zero_and_zero_gradients(denominator, form):
    nothing, settings = jnp.zeros(B, bool), Settings(T, form=Form(form))
    rows = batch_rows(B)

    def losses(z, g, e, bank):
        there = module.secl(
            z, g, e, bank_of(bank), settings, denominator=denominator, rows=rows, has_rs=nothing,
            has_sv=nothing,
        )  # fmt: skip
        return module.incl(z, g, settings, rows._replace(valid=nothing))[0] + there

    run = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2, 3)))
    for given in (draw()[0][:4], [np.zeros_like(x) for x in draw()[0][:4]]):
        value, grads = run(*given)
        assert value == 0
        assert all((grad == 0).all() for grad in grads)


@pytest.mark.parametrize('form', FORMS)
def test_no_candidate_but_the_positive_gives_zero_and_zero_gradients(form):
    (z, g, e, bank, *_), _, _ = draw()
    settings = Settings(T, SAME_TILE, Form(form))
    rows = batch_rows(B, tile=jnp.zeros(B, jnp.int32))
    empty = past_rows(jnp.zeros((K, 2)), jnp.zeros(K, bool))

    def losses(z, g, e, bank):
        there = module.secl(
            z, g, e, Candidates(bank, empty), settings, denominator='batch_and_bank', rows=rows
        )
        return module.incl(z, g, settings, rows)[0] + there

    value, grads = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2, 3)))(z, g, e, bank)
    assert abs(value) < 1e-6
    assert all((abs(grad) < 1e-6).all() for grad in grads)
    assert (grads[3] == 0).all()


def test_zero_embeddings_have_finite_gradients():
    zeros = jnp.zeros((B, D))
    grads = jax.jit(jax.grad(lambda x: module.incl(x, zeros, Settings(0.07))[0]))(zeros)
    assert all_finite(grads)
    np.testing.assert_array_equal(normalize(zeros), zeros)


def test_an_equal_loss_for_all_candidates_is_the_log_of_their_number():
    """Closed form; ln(256) + ln(4097) is the first loss of the authors' log at size 4096."""
    same = jnp.ones((B, D))
    np.testing.assert_allclose(incl(same, same), np.log(B), rtol=1e-6)
    bank = bank_of(jnp.ones((K, D)))
    for denominator, n in zip(DENOMINATORS, (1 + K, B + K, B), strict=True):
        value = secl(same, same, same, bank, denominator=denominator)
        np.testing.assert_allclose(value, np.log(n), rtol=1e-6)


def test_in_groups_it_is_the_mean_of_the_groups_own_losses():
    (z, g, *_), _, _ = draw()
    z, g = z[:6], g[:6]
    whole = incl(z, g, SETTINGS, batch_rows(6, groups=2))
    np.testing.assert_allclose(whole, (incl(z[:3], g[:3]) + incl(z[3:], g[3:])) / 2, rtol=1e-6)


def test_an_absent_side_leaves_the_other_half():
    (z, g, e, *_), _, bank = draw()
    half_rs, half_sv, both = (
        secl(*sides, e, bank, denominator='positive_and_bank')
        for sides in ((z, None), (None, g), (z, g))
    )
    np.testing.assert_allclose(half_rs + half_sv, both, rtol=1e-6)


def test_bfloat16_embeddings_are_compared_in_float32():
    z, g = (jnp.bfloat16(x) for x in draw()[0][:2])
    value = incl(z, g)
    assert value.dtype == jnp.float32
    np.testing.assert_array_equal(value, incl(z.astype(jnp.float32), g.astype(jnp.float32)))


@pytest.mark.parametrize('form', FORMS)
def test_bfloat16_products_round_the_cosines_alone(form):
    """A cosine of two rounded unit rows is off by at most 2^-8."""
    z, g = draw()[0][:2]
    near = incl(z, g, Settings(T, form=Form(form, 'bfloat16')))
    assert 1e-7 < abs(near - incl(z, g)) < 2 * 2**-8 / T


@pytest.mark.parametrize('form', FORMS)
def test_temperature_can_be_learnt(form):
    z, g = draw()[0][:2]

    @jax.jit
    def loss(t):
        return module.incl(z, g, Settings(t, form=Form(form)))[0]

    slope, step = jax.grad(loss)(jnp.float32(T)), 1e-3
    numeric = (loss(T + step) - loss(T - step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-2)


def test_info_nce_without_negatives_is_zero():
    sets = [Candidates(x, batch_rows(B)) for x in draw()[0][:2]]
    [(value, found)] = info_nce(sets, [Term(0, 1, ())], SETTINGS)
    assert value == 0 and found == 1


@pytest.mark.parametrize('form', FORMS)
def test_retrieval_counts_valid_rows_nearer_to_their_own_than_to_every_negative(form):
    key = jnp.eye(4)
    query = key[jnp.array([0, 1, 3, 2])]
    settings = Settings(T, form=Form(form))

    def share(query, **changed):
        return module.incl(key, query, settings, batch_rows(4)._replace(**changed))[1]

    assert share(query) == 0.5
    # Without row 3, nothing is nearer to row 2 than its own, which is as far as the others.
    assert share(query, valid=jnp.array([True, True, False, False])) == 1
    assert share(query, valid=jnp.zeros(4, bool)) == 0
    assert share(jnp.ones((4, 4))) == 0  # all alike: none is found


@pytest.mark.parametrize(
    ('denominator', 'bank', 'message'),
    [
        ('batch', jnp.ones((K, D)), "expected one of .*found 'batch'"),
        ('positive_and_bank', None, 'needs a memory bank'),
        ('batch_and_bank', None, 'needs a memory bank'),
    ],
)
def test_refused_denominators(denominator, bank, message):
    z, g, e = (jnp.asarray(x) for x in draw()[0][:3])
    past = None if bank is None else bank_of(bank)
    with pytest.raises(InputError, match=message):
        module.secl(z, g, e, past, SETTINGS, denominator=denominator)
