"""A network learns where classes are met: Adam on the presence-only loss, val chooses the epoch.

`sgd_probes` fits every rate inside one compiled program and gives back outputs of all test rows at
once. Neither is possible here: val is scored with the photos' scores, which lie on the host; all
rows times thousands of classes do not fit; and a run of hours must tell how far it is. So an epoch
is one program, parameters are what is kept, and answers come in blocks.

Rows are drawn by (seed, epoch), units by (seed, epoch, step).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from gair_jax.config import InputError
from gair_jax.losses.presence import presence, user_presence
from gair_jax.models.place_encoders import PlacePrior
from gair_jax.transfer.species_settings import PresenceConfig

Score = Callable[[Callable[[np.ndarray], np.ndarray]], float]


class Rows(NamedTuple):
    """What is fitted, encoded: places, their class and user, and random places."""

    x: Float[Array, 'n f']
    label: Int[Array, ' n']
    user: Int[Array, ' n']
    background: Float[Array, 'm f']


class State(NamedTuple):
    """Parameters, and the optimiser's moments."""

    params: Any
    moments: Any


class Plan(NamedTuple):
    """What an epoch is compiled for, beside shapes."""

    network: PlacePrior
    background_weight: float


class Fitted(NamedTuple):
    """The network that val liked best.

    answer: encoded places float32 [b, f] to probabilities float64 [b, C].
    rate, epoch: that were chosen; epochs count from 1.
    value: what val gave.
    """

    answer: Callable[[np.ndarray], np.ndarray]
    rate: float
    epoch: int
    value: float


def random_places(kind: str, count: int, seed: int) -> Float[np.ndarray, 'n 2']:
    """Random places in degrees: uniform on the sphere, or as published.

    The published code means the former and draws longitudes 0..180 and latitudes 0..90, uniform
    in degrees: a quarter of the Earth (TorchSpatial, CSP and Sphere2Vec alike).
    """
    u, v = np.random.default_rng((seed, 0, 2)).random((2, count))
    if kind == 'published':
        return np.stack([180 * u, 90 * v], axis=1)
    return np.stack([360 * u - 180, np.rad2deg(np.arcsin(2 * v - 1))], axis=1)


def order(
    label: Int[np.ndarray, ' n'], settings: PresenceConfig, key: tuple[int, int]
) -> np.ndarray:
    """Rows of each step of an epoch, int32 [steps, batch]; fewer than `steps` are left out.

    Of a class with more than `settings.per_class` rows so many are drawn.
    """
    rng = np.random.default_rng(key)
    drawn = rng.permutation(len(label))
    if settings.per_class:
        by_class = drawn[np.argsort(label[drawn], kind='stable')]
        _, first, counts = np.unique(label[by_class], return_index=True, return_counts=True)
        place = np.arange(len(label)) - np.repeat(first, counts)
        drawn = rng.permutation(by_class[place < settings.per_class])
    steps = -(-len(drawn) // settings.batch)
    batch = len(drawn) // steps
    return drawn[: steps * batch].reshape(steps, batch).astype(np.int32)


def fit(
    network: PlacePrior, rows: Rows, settings: PresenceConfig, score: Score, seed: int,
    told: Callable[[int, str], None],
) -> Fitted:  # fmt: skip
    """Trains at each rate and keeps the epoch that `score` likes best, the first of equals.

    Args:
      network: whose `users` is 0 where users are not learnt.
      rows: of training.
      settings: how.
      score: of val, larger is better, given what answers encoded places.
      seed: of parameters, order and dropout.
      told: hears how many epochs are done, and what the last one gave.

    Raises:
      InputError: the loss was not finite in the first epoch of every rate.
    """
    plan = Plan(network, settings.background_weight)
    start = _drawn(jax.random.key(seed), network, rows.x.shape[1])
    best, chosen = -np.inf, (start, 0.0, 0)
    for i, rate in enumerate(settings.rates):
        state = State(start, optax.adam(rate).init(start))
        for epoch in range(settings.epochs):
            state, loss = _trained(state, rows, settings, plan, (seed, epoch), rate)
            if not np.isfinite(loss):
                # What is not a number must not be ranked: no class would stand above any other.
                break
            value = score(functools.partial(answers, network, state.params))
            if value > best:
                best, chosen = value, (state.params, rate, epoch + 1)
            told(i * settings.epochs + epoch + 1, f'loss {loss:.3f}, val {value:.4f}')
    if best == -np.inf:
        raise InputError(
            f'fit.rates: the loss was not finite in the first epoch at {settings.rates}; expected '
            'a smaller rate.'
        )
    return Fitted(functools.partial(answers, network, chosen[0]), chosen[1], chosen[2], best)


def answers(network: PlacePrior, params: Any, x: np.ndarray) -> Float[np.ndarray, 'b c']:
    """Probabilities of encoded places."""
    return np.asarray(_classes(network, params, jnp.asarray(x)), np.float64)


def _trained(
    state: State, rows: Rows, settings: PresenceConfig, plan: Plan, key: tuple[int, int],
    rate: float,
) -> tuple[State, float]:  # fmt: skip
    """The state after an epoch, and the mean loss in it."""
    steps = order(np.asarray(rows.label), settings, key)
    away = np.random.default_rng((*key, 1)).integers(len(rows.background), size=steps.shape)
    epoch_key = jax.random.fold_in(jax.random.key(key[0]), key[1])
    now = jnp.float32(rate * settings.decay ** key[1])
    state, loss = _epoch(state, rows, jnp.asarray(steps), jnp.asarray(away), now, epoch_key, plan)
    return state, float(loss)


@functools.partial(jax.jit, static_argnames=('network', 'width'))
def _drawn(key: Key[Array, ''], network: PlacePrior, width: int) -> Any:
    return network.init(key, jnp.zeros((1, width)))


@functools.partial(jax.jit, static_argnames='network')
def _classes(network: PlacePrior, params: Any, x: Array) -> Array:
    found: Any = network.apply(params, x)
    return found['class']


@functools.partial(jax.jit, static_argnames='plan')
def _epoch(
    state: State, rows: Rows, steps: Array, away: Array, rate: Array, key: Array, plan: Plan
) -> tuple[State, Array]:
    def step(state: State, drawn: tuple[Array, Array, Array]) -> tuple[State, Array]:
        at, random, number = drawn
        batch = Rows(rows.x[at], rows.label[at], rows.user[at], rows.background[random])
        return train_step(state, batch, rate, jax.random.fold_in(key, number), plan)

    state, losses = jax.lax.scan(step, state, (steps, away, jnp.arange(len(steps))))
    return state, losses.mean()


def train_step(
    state: State, batch: Rows, rate: Array, key: Array, plan: Plan
) -> tuple[State, Array]:
    """One step of Adam, and the loss before it; `batch` has a random place a row."""
    value, slope = jax.value_and_grad(loss)(state.params, batch, key, plan)
    updates, moments = optax.adam(rate).update(slope, state.moments)
    return State(optax.apply_updates(state.params, updates), moments), value


def loss(params: Any, batch: Rows, key: Array, plan: Plan) -> Array:
    """The presence-only loss (`losses.presence`) with what users add where the network has some."""
    both = jnp.concatenate([batch.x, batch.background])
    found: Any = plan.network.apply(params, both, train=True, rngs={'dropout': key})
    count = len(batch.label)
    here, away = found['class'][:count], found['class'][count:]
    value = presence(here, away, batch.label, weight=plan.background_weight)
    if plan.network.users:
        head = params['params']['head']
        value += user_presence(
            head['user_weights']['kernel'].T[batch.user],
            found['embedding'][:count],
            found['embedding'][count:],
            head['class_weights']['kernel'],
            batch.label,
        )
    return value
