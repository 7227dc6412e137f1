import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.losses.presence import observed, presence, user_presence


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def nl(p):
    return -np.log(p + 1e-5)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_row_by_hand():
    # Class 1 of 3 was seen; the other two are taken to be absent.
    p, q = jnp.array([[0.2, 0.6, 0.1]]), jnp.array([[0.5, 0.3, 0.9]])
    seen = (nl(0.8) + 3 * nl(0.6) + nl(0.9)) / 3
    random = (nl(0.5) + nl(0.7) + nl(0.1)) / 3
    found = presence(p, q, jnp.array([1]), weight=0.5)
    assert float(found) == pytest.approx(seen + 0.5 * random, rel=1e-5)


def test_rows_are_averaged_and_their_order_is_free(rng):
    p = jnp.asarray(rng.uniform(0.05, 0.95, (6, 4)))
    label = jnp.asarray(rng.integers(0, 4, 6))
    whole = observed(p, label)
    each = [float(observed(p[i : i + 1], label[i : i + 1])) for i in range(6)]
    assert float(whole) == pytest.approx(np.mean(each), rel=1e-5)
    order = rng.permutation(6)
    assert float(observed(p[order], label[order])) == pytest.approx(float(whole), rel=1e-6)


def test_what_users_add_is_the_loop_over_rows(rng):
    user, here, away = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(3))
    weights = rng.normal(size=(3, 4)).astype(np.float32)
    label = rng.integers(0, 4, 5)
    total = 0.0
    for row in range(5):
        total += nl(sigmoid(user[row] @ here[row])) + nl(1 - sigmoid(user[row] @ away[row]))
        affinity = sigmoid(user[row] @ weights)
        own = [4 * nl(a) if k == label[row] else nl(1 - a) for k, a in enumerate(affinity)]
        total += np.mean(own)
    found = user_presence(*map(jnp.asarray, (user, here, away, weights, label)))
    assert float(found) == pytest.approx(total / 5, rel=1e-5)


def test_descent_raises_the_class_seen_and_lowers_the_others():
    def loss(logits):
        return presence(jax.nn.sigmoid(logits[:1]), jax.nn.sigmoid(logits[1:]), jnp.array([2]))

    slope = jax.grad(loss)(jnp.zeros((2, 4)))
    assert (np.asarray(slope) < 0).tolist() == [[False, False, True, False], [False] * 4]


def test_certain_scores_have_a_finite_loss_and_slope():
    p = jnp.array([[0.0, 1.0]])
    value, slope = jax.value_and_grad(lambda p: presence(p, p, jnp.array([0])))(p)
    assert np.isfinite(value) and np.isfinite(slope).all()
