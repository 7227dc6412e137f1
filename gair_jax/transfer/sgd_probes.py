"""Networks fitted by AdamW on features of all rows, many at once: probes, and encoders of places.

All seeds and learning rates train side by side in one compiled program, over one copy of the rows;
what is drawn (parameters, the order of rows) is drawn before, as it would compile for longer than
the training. Features, and targets that are numbers, are standardised by the training rows; the
rate and the epoch are chosen on val for each seed, as the penalty of linear probes is: by accuracy,
or by the squared error.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.special
from jaxtyping import Array, Float, Int, Key

from gair_jax.models.heads import Module, Probe
from gair_jax.transfer.moments import CONSTANT
from gair_jax.transfer.probes import Rows, Splits, is_regression
from gair_jax.transfer.settings import NonlinearConfig

WARM_UP = 0.05  # of all steps, where the rate follows a cosine
BLOCK = 4096  # rows that are answered at a time: bounds the memory of all hidden layers together


class Plan(NamedTuple):
    """What a program is compiled for, beside shapes."""

    network: Module
    classes: bool
    weight_decay: float
    schedule: str


def two_layers(out: int) -> Module:
    """The probe of paper section 5, a sigmoid between two layers."""
    return Probe(out, hidden=True)


class Fitted(NamedTuple):
    """What is fitted: a network for so many outputs, and whether it reads features standardised."""

    network: Callable[[int], Module] = two_layers
    standardised: bool = True


PROBE = Fitted()


class _Problem(NamedTuple):
    """Rows: y is class int [n] or float [n, k]."""

    x: Float[Array, 'n d']
    y: Int[Array, ' n'] | Float[Array, 'n k']
    val_x: Float[Array, 'v d']
    val_y: Int[Array, ' v'] | Float[Array, 'v k']
    test_x: Float[Array, 't d']


class _Lane(NamedTuple):
    """One seed at one rate: where it is, and where it was best on val."""

    params: Any
    moments: Any
    best: Any
    value: Float[Array, '']


def predictions(
    splits: Splits,
    subsets: np.ndarray,
    settings: NonlinearConfig,
    *,
    fitted: Fitted = PROBE,
    seed: int = 0,
) -> np.ndarray:
    """Answers for the test rows of probes that are fitted on subsets of the training rows.

    Args:
        splits: the rows.
        subsets: bool [s, n], which training rows are fitted.
        settings: how; a batch is at most the training rows.
        fitted: what.
        seed: the first of the probes' seeds.

    Returns:
        Classes int [s * seeds, n] for integer targets, else values [s * seeds, n, k]; a class
        that a subset lacks is never answered.
    """
    regression = is_regression(splits)
    each = _each(splits, subsets, settings, fitted, seed)
    return np.concatenate([one if regression else one.argmax(axis=-1) for one in each])


def outputs(
    splits: Splits,
    settings: NonlinearConfig,
    *,
    fitted: Fitted = PROBE,
    seed: int = 0,
) -> np.ndarray:
    """What networks fitted on all training rows put out for the test rows.

    Arguments as of `predictions`.

    Returns:
        Values float64 [seeds, n, k]; for integer targets probabilities of the classes 0 to the
        highest of all rows, 0 for a class that training rows lack.
    """
    every = np.ones((1, len(splits.train.targets)), bool)
    return next(_each(splits, every, settings, fitted, seed))


def _each(
    splits: Splits, subsets: np.ndarray, settings: NonlinearConfig, fitted: Fitted, seed: int
) -> Iterator[np.ndarray]:
    """`outputs` of the networks that are fitted on each subset."""
    of_subset = _values if is_regression(splits) else _probabilities
    seeds = range(seed, seed + settings.seeds)
    for subset in subsets:
        train = Rows(*(values[subset] for values in splits.train))
        yield of_subset(splits._replace(train=train), settings, seeds, fitted)


def _values(splits: Splits, settings: NonlinearConfig, seeds: range, fitted: Fitted) -> np.ndarray:
    targets = splits.train.targets
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    wanted = [((rows.targets - mean) / scale).astype(np.float32) for rows in splits[:2]]
    found = _outputs(splits, wanted, targets.shape[1], settings, seeds, fitted)
    return found * scale + mean


def _probabilities(
    splits: Splits, settings: NonlinearConfig, seeds: range, fitted: Fitted
) -> np.ndarray:
    classes, own = np.unique(splits.train.targets, return_inverse=True)
    # A class of val that was never fitted is never answered rightly.
    at = np.searchsorted(classes, splits.val.targets).clip(max=len(classes) - 1)
    val = np.where(classes[at] == splits.val.targets, at, -1)
    wanted = [own.astype(np.int32), val.astype(np.int32)]
    found = _outputs(splits, wanted, len(classes), settings, seeds, fitted)
    count = 1 + max(int(rows.targets.max()) for rows in splits)
    every = np.zeros((*found.shape[:2], count))
    every[..., classes] = scipy.special.softmax(found, axis=-1)
    return every


def _outputs(
    splits: Splits, wanted: list[np.ndarray], out: int, settings: NonlinearConfig, seeds: range,
    fitted: Fitted,
) -> np.ndarray:  # fmt: skip
    """Outputs [seeds, n, out] for the test rows."""
    x, val_x, test_x = (
        _standardised(splits) if fitted.standardised else [rows.features for rows in splits]
    )
    plan = Plan(fitted.network(out), wanted[0].ndim == 1, settings.weight_decay, settings.schedule)
    keys = [jax.random.key(seed) for seed in seeds]
    params = jax.tree.map(lambda *own: jnp.stack(own), *(_drawn(k, plan, x.shape[1]) for k in keys))
    orders = np.stack([_order(len(x), settings, seed) for seed in seeds])
    problem = _Problem(*map(jnp.asarray, (x, wanted[0], val_x, wanted[1], test_x)))
    rates = jnp.asarray(settings.rates, jnp.float32)
    return np.asarray(_fitted(problem, params, orders, rates, plan), np.float64)


def _order(count: int, settings: NonlinearConfig, seed: int) -> np.ndarray:
    """Rows of each step, int32 [epochs, steps, batch]; an epoch leaves out fewer than `steps`."""
    steps = -(-count // settings.batch)
    batch = count // steps
    orders = [
        np.random.default_rng((seed, epoch)).permutation(count)[: steps * batch]
        for epoch in range(settings.epochs)
    ]
    return np.stack(orders).reshape(-1, steps, batch).astype(np.int32)


def _standardised(splits: Splits) -> list[np.ndarray]:
    """Features of the three splits, float32; those that do not vary in training are 0."""
    x = splits.train.features
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale = np.where(spread > CONSTANT * (1 + np.abs(mean)), spread, np.inf)
    return [((rows.features - mean) / scale).astype(np.float32) for rows in splits]


@functools.partial(jax.jit, static_argnames=('plan', 'width'))
def _drawn(key: Key[Array, ''], plan: Plan, width: int) -> Any:
    return plan.network.init(key, jnp.zeros((1, width)))


@functools.partial(jax.jit, static_argnames='plan')
def _fitted(
    problem: _Problem,
    params: Any,
    orders: Int[Array, 's e i b'],
    rates: Float[Array, ' r'],
    plan: Plan,
) -> Float[Array, 's t k']:
    """Outputs for the test rows, of each seed by the rate that is best on val, the first of two."""

    def of_seed(start: Any, order: Array) -> Array:
        lanes = jax.vmap(lambda rate: _trained(problem, start, order, rate, plan))(rates)
        best = jax.tree.map(lambda leaf: leaf[jnp.argmax(lanes.value)], lanes.best)
        return _answer(best, problem.test_x, plan)

    return jax.vmap(of_seed)(params, orders)


def _trained(problem: _Problem, params: Any, order: Array, rate: Array, plan: Plan) -> _Lane:
    """One seed at one rate, after all epochs."""
    rates = _rates(rate, plan.schedule, order.shape[0] * order.shape[1])
    optimizer = optax.adamw(rates, weight_decay=plan.weight_decay, mask=_matrices)

    def step(lane: _Lane, rows: Array) -> tuple[_Lane, None]:
        slope = jax.grad(_loss)(lane.params, problem.x[rows], problem.y[rows], plan)
        updates, moments = optimizer.update(slope, lane.moments, lane.params)
        moved = optax.apply_updates(lane.params, updates)
        return lane._replace(params=moved, moments=moments), None

    def epoch(lane: _Lane, batches: Array) -> tuple[_Lane, None]:
        return _kept(jax.lax.scan(step, lane, batches)[0], problem, plan), None

    start = _Lane(params, optimizer.init(params), params, jnp.float32(-jnp.inf))
    return jax.lax.scan(epoch, start, order)[0]


def _rates(peak: Array, schedule: str, steps: int) -> Any:
    if schedule == 'constant':
        return peak
    # The first step has a rate too: there may be no other.
    warm_up = max(1, round(WARM_UP * steps))
    rise = optax.linear_schedule(peak / warm_up, peak, warm_up - 1)
    fall = optax.cosine_decay_schedule(peak, steps - warm_up + 1)
    return optax.join_schedules([rise, fall], [warm_up - 1])


def _kept(lane: _Lane, problem: _Problem, plan: Plan) -> _Lane:
    """The lane with its parameters as the best, if none before were as good on val."""
    outputs = _answer(lane.params, problem.val_x, plan)
    if plan.classes:
        value = jnp.mean(jnp.argmax(outputs, axis=-1) == problem.val_y)
    else:
        value = -jnp.mean(jnp.square(outputs - problem.val_y))
    better = value > lane.value  # not where it is nan
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), lane.params, lane.best)
    return lane._replace(best=best, value=jnp.where(better, value, lane.value))


def _matrices(params: Any) -> Any:
    """What decays."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _loss(params: Any, x: Array, y: Array, plan: Plan) -> Array:
    """The mean cross entropy, or squared error of standardised targets."""
    outputs: Any = plan.network.apply(params, x)
    if plan.classes:
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
    return jnp.mean(jnp.square(outputs - y))


def _answer(params: Any, x: Array, plan: Plan) -> Array:
    """Outputs of any number of rows."""
    return jax.lax.map(lambda row: plan.network.apply(params, row[None])[0], x, batch_size=BLOCK)
