"""What is drawn, and one step of the presence-only loss, beside the loss written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gair_jax.config import InputError
from gair_jax.models import place_encoders
from gair_jax.models.place_encoders import EncoderSizes, PlacePrior
from gair_jax.transfer import presence_fit
from gair_jax.transfer.presence_fit import Plan, Rows, State
from gair_jax.transfer.species_settings import PresenceConfig

SIZES = EncoderSizes(width=6, hidden=(5,), degrees=3, anchors=4, frequencies=3)


def made(name='xyz', *, users=0, dropout=0.0, classes=3):
    places = np.random.default_rng(0).uniform([-180, -90], [180, 90], (7, 2))
    encoder = place_encoders.build(name, SIZES, places, 0, dropout)
    rows = Rows(
        jnp.asarray(encoder.encode(places)),
        jnp.asarray([0, 1, 2, 0, 1, 2, 0], jnp.int32),
        jnp.asarray([0, 1, 1, 0, 1, 0, 0], jnp.int32),
        jnp.asarray(encoder.encode(places[::-1] * 0.5)),
    )
    network = PlacePrior(encoder.network, classes, users)
    return network, rows, network.init(jax.random.key(0), rows.x)


def nl(p):
    return -np.log(np.asarray(p, np.float64) + 1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def observed(p, label):
    own = np.eye(p.shape[1])[label]
    return (own * p.shape[1] * nl(p) + (1 - own) * nl(1 - p)).mean()


def test_the_loss_is_that_of_a_network_that_drops_units():
    found = {}
    for dropout in (0.0, 0.5):
        network, rows, params = made(dropout=dropout)
        keys = [jax.random.key(k) for k in (0, 0, 1)]
        values = [presence_fit.loss(params, rows, key, Plan(network, 1.0)) for key in keys]
        found[dropout] = [float(value) for value in values]
    assert len(set(found[0.0])) == 1
    assert found[0.5][0] == found[0.5][1] != found[0.5][2]


@pytest.mark.parametrize('users', [0, 2])
def test_the_loss_is_that_of_the_formula(users):
    network, rows, params = made(users=users)
    here, away = (network.apply(params, x)['embedding'] for x in (rows.x, rows.background))
    head = params['params']['head']
    kernel = head['class_weights']['kernel']
    expected = observed(sigmoid(here @ kernel), rows.label)
    expected += 0.3 * nl(1 - sigmoid(away @ kernel)).mean()
    if users:
        user = head['user_weights']['kernel'].T[rows.user]
        expected += nl(sigmoid((user * here).sum(axis=1))).mean()
        expected += nl(1 - sigmoid((user * away).sum(axis=1))).mean()
        expected += observed(sigmoid(user @ kernel), rows.label)
    found = presence_fit.loss(params, rows, jax.random.key(1), Plan(network, 0.3))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_step_is_one_of_adam_and_lowers_the_loss():
    network, rows, params = made(users=2)
    plan, key = Plan(network, 1.0), jax.random.key(0)
    state = State(params, optax.adam(1e-2).init(params))
    step = jax.jit(presence_fit.train_step, static_argnums=4)
    moved, value = step(state, rows, jnp.float32(1e-2), key, plan)
    # Adam's first step is the rate times the sign of the slope.
    slope = jax.jit(jax.grad(presence_fit.loss), static_argnums=3)(params, rows, key, plan)
    for new, old, own in zip(*map(jax.tree.leaves, (moved.params, params, slope)), strict=True):
        steep = np.abs(own) > 1e-4
        np.testing.assert_allclose((old - new)[steep], 1e-2 * np.sign(own)[steep], rtol=1e-3)
    assert float(presence_fit.loss(moved.params, rows, key, plan)) < float(value)


# Of each class of networks one.
@pytest.mark.parametrize('name', ['wrap', 'satclip', 'tile', 'geoclip', 'grid'])
def test_every_network_drops_units_in_training_alone(name):
    network, rows, params = made(name, dropout=0.5)
    plain, _, _ = made(name)
    np.testing.assert_array_equal(
        network.apply(params, rows.x)['class'], plain.apply(params, rows.x)['class']
    )
    first, again, other = (
        network.apply(params, rows.x, train=True, rngs={'dropout': jax.random.key(k)})['class']
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any()


def test_an_epoch_holds_so_many_rows_of_a_class_and_draws_others_the_next_time():
    label = np.repeat([0, 1, 2], [50, 7, 3])
    settings = PresenceConfig(batch=9, per_class=10)
    drawn = [presence_fit.order(label, settings, (0, epoch)) for epoch in (0, 0, 1)]
    assert drawn[0].shape == (3, 6)  # of 10 + 7 + 3 rows two are left out
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert set(drawn[0].ravel()) != set(drawn[2].ravel())
    for rows in drawn:
        assert len(set(rows.ravel())) == 18
        assert (np.bincount(label[rows.ravel()]) <= [10, 7, 3]).all()
    every = presence_fit.order(label, PresenceConfig(batch=60, per_class=0), (0, 0))
    assert sorted(every.ravel()) == list(range(60))


def test_random_places_are_uniform_on_the_sphere_or_the_published_quarter():
    sphere = presence_fit.random_places('sphere', 20_000, 0)
    # Mean and variance of a uniform sine, and of a uniform longitude: 1/3 and 180^2/3; five
    # standard errors.
    sine = np.sin(np.deg2rad(sphere[:, 1]))
    assert abs(sine.mean()) < 5 * np.sqrt(1 / 3 / 20_000)
    assert sine.var() == pytest.approx(1 / 3, abs=5 * np.sqrt(4 / 45 / 20_000))
    assert abs(sphere[:, 0].mean()) < 5 * np.sqrt(180**2 / 3 / 20_000)
    quarter = presence_fit.random_places('published', 20_000, 0)
    assert quarter.min() >= 0 and (quarter.max(axis=0) <= [180, 90]).all()
    # Uniform in degrees: a mean latitude of 45, where the sphere's north has 32.7.
    assert quarter[:, 1].mean() == pytest.approx(45, abs=5 * 90 / np.sqrt(12 * 20_000))


def fitted(rates, score, **settings):
    network, rows, _ = made()
    told = []
    config = PresenceConfig(rates=rates, batch=3, epochs=3, per_class=0, **settings)
    found = presence_fit.fit(network, rows, config, score, 0, lambda *now: told.append(now))
    return found, told


def test_the_epoch_and_rate_that_val_likes_are_kept():
    values = iter([0.1, 0.5, 0.3, 0.2, 0.5, 0.4])
    seen = []

    def score(answer):
        seen.append(answer(np.eye(3, dtype=np.float32)))
        return next(values)

    found, told = fitted((1e-3, 1e-2), score)
    assert (found.rate, found.epoch, found.value) == (1e-3, 2, 0.5)  # the first of two
    np.testing.assert_array_equal(found.answer(np.eye(3, dtype=np.float32)), seen[1])
    assert [done for done, _ in told] == [1, 2, 3, 4, 5, 6]
    assert len({part.tobytes() for part in seen}) == 6


def test_the_rate_falls_by_its_decay():
    """Where it is gone after the first epoch, nothing moves any more."""
    seen = []

    def score(answer):
        seen.append(answer(np.eye(3, dtype=np.float32)))
        return 1.0

    fitted((1e-2,), score, decay=1e-12)
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-6)
    fitted((1e-2,), score)
    assert np.abs(seen[4] - seen[3]).max() > 1e-4
    np.testing.assert_array_equal(seen[0], seen[3])


def test_a_loss_that_is_not_finite_is_refused_and_never_ranked():
    with pytest.raises(InputError, match='fit.rates: the loss was not finite'):
        fitted((1e30,), lambda answer: 1.0)
    found, _ = fitted((1e30, 1e-3), lambda answer: 0.5)
    assert found.rate == 1e-3
