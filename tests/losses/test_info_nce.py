import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.losses import info_nce as module
from gair_jax.losses.info_nce import DENOMINATORS, info_nce, normalize, retrieval_accuracy
from tests.losses import oracle
from tests.shared import shared

B, K, D, T = 7, 9, 5, 0.2

# Compiled, as training runs them.
incl = jax.jit(module.incl)
secl = jax.jit(module.secl, static_argnames='denominator')


def draw(seed=0):
    """Localized, photo and place embeddings, a bank, and masks in which every case occurs."""
    rng = np.random.default_rng(seed)
    z, g, e = (rng.normal(size=(B, D)).astype(np.float32) for _ in range(3))
    bank = rng.normal(size=(K, D)).astype(np.float32)
    has_rs, has_sv = rng.random(B) < 0.7, rng.random(B) < 0.7
    near = np.triu(rng.random((B, B)) < 0.2, 1)
    made = z, g, e, bank, has_rs, has_sv, near | near.T, rng.random((B, K)) < 0.3
    return tuple(jnp.asarray(x) for x in made)


def all_finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize('seed', range(3))
def test_incl_is_the_papers_equation_on_the_valid_rows(seed):
    z, g, _, _, has_rs, has_sv, near, _ = draw(seed)
    ours = incl(z, g, T, valid=has_rs & has_sv, exclude=near)
    np.testing.assert_allclose(ours, oracle.incl(z, g, T, has_rs & has_sv, near), rtol=2e-6)
    plain = oracle.incl(z, g, T, np.ones(B, bool), np.zeros((B, B), bool))
    np.testing.assert_allclose(incl(z, g, T), plain, rtol=2e-6)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_secl_is_the_papers_equation_in_each_reading(denominator, seed):
    z, g, e, bank, has_rs, has_sv, near, past = draw(seed)
    ours = secl(
        z, g, e, bank, T, denominator=denominator, has_rs=has_rs, has_sv=has_sv,
        exclude_batch=near, exclude_bank=past,
    )  # fmt: skip
    expected = oracle.secl(z, g, e, bank, T, denominator, has_rs, has_sv, near, past)
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_parity_incl_secl(denominator):
    """The three readings with all gradients, against the stored float64 reference."""
    with np.load(shared('parity/gair/incl_secl_loss.npz')) as case:
        given = [jnp.float32(case[f'in/{name}']) for name in ('z', 'g', 'e', 'bank')]
        expected = {k[4:]: case[k] for k in case.files if k.startswith('out/')}

    def total(z, g, e, bank):
        return incl(z, g, 0.07) + 0.5 * secl(z, g, e, bank, 0.07, denominator=denominator)

    value, grads = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))(*given)
    assert abs(value - expected[f'total_{denominator}']) <= 2e-6
    assert abs(incl(*given[:2], 0.07) - expected['incl']) <= 2e-6
    for name, grad in zip(('z', 'g', 'e', 'bank'), grads, strict=True):
        wanted = expected.get(f'grad_{name}_{denominator}', np.zeros(()))
        np.testing.assert_allclose(grad, np.broadcast_to(wanted, grad.shape), atol=1e-7, rtol=1e-5)


def test_rows_without_data_change_nothing():
    z, g, e, bank, *_ = draw()
    has = jnp.arange(B) < 4

    def losses(z, g, e, has):
        return incl(z, g, T, valid=has) + secl(
            z, g, e, bank, T, denominator='batch_and_bank', has_rs=has, has_sv=has
        )

    mixed, grads = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2)))(z, g, e, has)
    np.testing.assert_allclose(mixed, losses(z[:4], g[:4], e[:4], has[:4]), rtol=1e-6)
    assert all((grad[4:] == 0).all() and (grad[:4] != 0).any() for grad in grads)


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_nothing_valid_gives_zero_and_zero_gradients(denominator):
    nothing = jnp.zeros(B, bool)

    def losses(z, g, e, bank):
        return incl(z, g, T, valid=nothing) + secl(
            z, g, e, bank, T, denominator=denominator, has_rs=nothing, has_sv=nothing
        )

    run = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2, 3)))
    for given in (draw()[:4], [jnp.zeros_like(x) for x in draw()[:4]]):
        value, grads = run(*given)
        assert value == 0
        assert all((grad == 0).all() for grad in grads)


def test_no_candidate_but_the_positive_gives_zero_and_zero_gradients():
    z, g, e, bank, *_ = draw()

    def losses(z, g, e, bank):
        return incl(z, g, T, exclude=jnp.ones((B, B), bool)) + secl(
            z, g, e, bank, T, denominator='batch_and_bank',
            exclude_batch=jnp.ones((B, B), bool), exclude_bank=jnp.ones((B, K), bool),
        )  # fmt: skip

    value, grads = jax.jit(jax.value_and_grad(losses, argnums=(0, 1, 2, 3)))(z, g, e, bank)
    assert abs(value) < 1e-6
    assert all((abs(grad) < 1e-6).all() for grad in grads)
    assert (grads[3] == 0).all()


def test_zero_embeddings_have_finite_gradients():
    zeros = jnp.zeros((B, D))
    grads = jax.jit(jax.grad(lambda x: incl(x, zeros, 0.07)))(zeros)
    assert all_finite(grads)
    np.testing.assert_array_equal(normalize(zeros), zeros)


def test_an_equal_loss_for_all_candidates_is_the_log_of_their_number():
    """Closed form; ln(256) + ln(4097) is the first loss of the authors' log at size 4096."""
    same = jnp.ones((B, D))
    np.testing.assert_allclose(incl(same, same, 0.07), np.log(B), rtol=1e-6)
    bank = jnp.ones((K, D))
    for denominator, n in zip(DENOMINATORS, (1 + K, B + K, B), strict=True):
        value = secl(same, same, same, bank, 0.07, denominator=denominator)
        np.testing.assert_allclose(value, np.log(n), rtol=1e-6)


def test_an_absent_side_leaves_the_other_half():
    z, g, e, bank, *_ = draw()
    half_rs, half_sv, both = (
        secl(*sides, e, bank, T, denominator='positive_and_bank')
        for sides in ((z, None), (None, g), (z, g))
    )
    np.testing.assert_allclose(half_rs + half_sv, both, rtol=1e-6)


def test_bfloat16_embeddings_are_compared_in_float32():
    z, g = (jnp.bfloat16(x) for x in draw()[:2])
    value = incl(z, g, T)
    assert value.dtype == jnp.float32
    expected = incl(z.astype(jnp.float32), g.astype(jnp.float32), T)
    np.testing.assert_array_equal(value, expected)


def test_temperature_can_be_learnt():
    z, g, *_ = draw()
    slope = jax.grad(lambda t: incl(z, g, t))(jnp.float32(T))
    step = 1e-3
    numeric = (incl(z, g, T + step) - incl(z, g, T - step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-2)


def test_sharded_over_8_devices_the_value_is_the_same():
    rng = np.random.default_rng(0)
    z, g, e = (rng.normal(size=(16, D)).astype(np.float32) for _ in range(3))
    mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))

    @jax.jit
    def losses(z, g, e):
        return incl(z, g, T) + secl(z, g, e, None, T, denominator='batch_only')

    shared_out = losses(*(jax.device_put(x, split) for x in (z, g, e)))
    np.testing.assert_allclose(shared_out, losses(z, g, e), rtol=1e-6)


def test_info_nce_without_negatives_is_zero():
    z, g, *_ = draw()
    value = info_nce(z, g, T, valid=jnp.ones(B, bool), batch_negatives=None)
    assert value == 0


def test_retrieval_accuracy_counts_valid_rows_among_valid_keys():
    key = jnp.eye(4)
    query = key[jnp.array([0, 1, 3, 2])]
    every = jnp.ones(4, bool)
    assert retrieval_accuracy(query, key, every) == 0.5
    # Without row 3, row 2 can no longer be taken for it, but is not its own nearest by itself.
    assert retrieval_accuracy(query, key, jnp.array([True, True, False, False])) == 1
    assert retrieval_accuracy(query, key, ~every) == 0


@pytest.mark.parametrize(
    ('denominator', 'bank', 'message'),
    [
        ('batch', jnp.ones((K, D)), "expected one of .*found 'batch'"),
        ('positive_and_bank', None, 'needs a memory bank'),
        ('batch_and_bank', None, 'needs a memory bank'),
    ],
)
def test_refused_denominators(denominator, bank, message):
    z, g, e, *_ = draw()
    with pytest.raises(InputError, match=message):
        secl(z, g, e, bank, T, denominator=denominator)
