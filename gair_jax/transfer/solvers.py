"""Linear probes solved to the end, many at once: ridge and multinomial logistic regression.

All subsets of the rows (seeds of a few-shot draw, folds) and all penalties are solved over one copy
of the features, so that a sweep costs little more than its hardest member. Features are
standardised by the rows of each subset. What grows with the rows runs jitted in float32, block by
block; the small problems in the features' covariance are solved on the host in float64.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from gair_jax.config import InputError
from gair_jax.transfer.moments import Rows, blocks, dot, moments

MOST_STEPS = 200  # of L-BFGS
ARMIJO = 1e-4  # share of the expected gain that a step must bring
ROUNDING = 1e-7  # of float32
TOLERANCE = 1e-4  # of the gradient's norm, in coordinates in which the curvature is at most 1


class Fits(NamedTuple):
    """Linear maps for s subsets and p penalties: outputs are `x @ weights + bias`."""

    weights: Float[np.ndarray, 's p d k']
    bias: Float[np.ndarray, 's p k']

    def outputs(self, x: Float[np.ndarray, 'n d']) -> Float[np.ndarray, 's p n k']:
        """Values, or logits, of rows."""
        return np.einsum('nd,spdk->spnk', x, self.weights, optimize=True) + self.bias[:, :, None]

    def chosen(self, penalty: Int[np.ndarray, ' s']) -> 'Fits':
        """One penalty of each subset, by its position."""
        return Fits(*(np.stack([v[s, [p]] for s, p in enumerate(penalty)]) for v in self))


def ridge(
    x: Float[np.ndarray, 'n d'],
    y: Float[np.ndarray, 'n k'],
    subsets: Bool[np.ndarray, 's n'],
    penalties: Sequence[float],
) -> Fits:
    """Minimises |y - x w - b|^2 / n + penalty |w|^2 over the rows of each subset, x standardised.

    Args:
        x: features.
        y: targets; each column is a problem of its own.
        subsets: the rows that are fitted.
        penalties: of the mean squared error.

    Raises:
        InputError: a subset has no row.
    """
    m = moments(x, y, subsets)
    values, vectors = np.linalg.eigh(m.gram)
    rotated = np.swapaxes(vectors, 1, 2) @ m.cross
    shrunk = np.maximum(values, 0)[:, None] + np.asarray(penalties)[None, :, None]
    weights = vectors[:, None] @ (rotated[:, None] / shrunk[..., None]) / m.scale[:, None, :, None]
    return Fits(weights, m.target[:, None] - np.einsum('sd,spdk->spk', m.mean, weights))


def logistic(
    x: Float[np.ndarray, 'n d'],
    y: Int[np.ndarray, ' n'],
    subsets: Bool[np.ndarray, 's n'],
    penalties: Sequence[float],
    classes: int,
) -> Fits:
    """Minimises the mean cross entropy + penalty / 2 |w|^2 over each subset, x standardised.

    L-BFGS runs in the eigenvectors of x, scaled by a bound of the curvature (Boehning 1992):
    features of networks are so correlated that it would take several times as many steps without.

    Args:
        x: features.
        y: classes 0..classes-1; one that a subset lacks is never answered (its bias is -inf).
        subsets: the rows that are fitted.
        penalties: of the mean cross entropy.
        classes: how many there are.

    Raises:
        InputError: a subset has no row, or a class is out of range.
    """
    if len(y) and not 0 <= y.min() <= y.max() < classes:
        raise InputError(f'classes: expected 0 to {classes - 1}, found {y.min()} to {y.max()}.')
    m = moments(x, np.zeros((len(x), 1)), subsets)
    values, vectors = np.linalg.eigh(m.gram)
    # The strongest first: each then starts where the one before ended.
    order = np.argsort(-np.asarray(penalties, np.float64))
    strength = np.asarray(penalties, np.float64)[order]
    # With this width the curvature of the cross entropy is at most 1 along every coordinate.
    width = 1 / np.sqrt(np.maximum(values, 0)[:, None] / 4 + strength[None, :, None])
    turn = vectors / m.scale[:, :, None]
    present = np.stack([np.isin(np.arange(classes), y[subset]) for subset in subsets])
    centre = x.mean(axis=0, dtype=np.float64)
    rows = blocks(x - centre, y.astype(np.int32), subsets)
    given = [jnp.asarray(v, jnp.float32) for v in (m.mean - centre, turn, width, strength)]
    found, bias = _paths(_Path(rows, given[0], given[1], given[2], given[3], jnp.asarray(present)))
    back = np.argsort(order)
    weights = turn[:, None] @ np.asarray(found, np.float64)[:, back]
    bias = np.asarray(bias, np.float64)[:, back] - np.einsum('sd,spdk->spk', m.mean, weights)
    return Fits(weights, np.where(present[:, None], bias, -np.inf))


class _Path(NamedTuple):
    """One subset and, from the strongest, all penalties; or, without `*p`, one of them.

    `turn` leads from coordinates [d, k] to weights; within `width` of each the curvature is 1.
    """

    rows: Rows
    mean: Float[Array, '*s d']
    turn: Float[Array, '*s d d']
    width: Float[Array, '*batch d']
    strength: Float[Array, '*p']
    present: Bool[Array, '*s k']


@jax.jit
def _paths(paths: _Path) -> tuple[Array, Array]:
    """Coordinates [s, p, d, k] and biases [s, p, k] of all subsets, side by side."""
    of_subset = _Path(Rows(None, None, 0), 0, 0, 0, None, 0)  # type: ignore[arg-type]
    return jax.vmap(_path, in_axes=(of_subset,))(paths)


def _path(path: _Path) -> tuple[Array, Array]:
    def solve(start: Any, own: tuple[Array, Array]) -> tuple[Any, Any]:
        found = _minimised(path._replace(width=own[0], strength=own[1]), *start)
        return found, found

    d, k = len(path.mean), len(path.present)
    start = jnp.zeros((d, k), jnp.float32), jnp.zeros(k, jnp.float32)
    return jax.lax.scan(solve, start, (path.width, path.strength))[1]


class _Search(NamedTuple):
    """L-BFGS at the point `at`, about to try a share `length` of `move`."""

    at: tuple[Array, Array]
    value: Float[Array, '']
    slope: tuple[Array, Array]
    memory: Any
    move: tuple[Array, Array]
    length: Float[Array, '']
    step: Int[Array, '']


def _minimised(path: _Path, start: Array, bias: Array) -> tuple[Array, Array]:
    """The coordinates [d, k] and biases [k] of one penalty, sought from those of another.

    One pass over the rows a step, whether it is taken or halved: a search that nests loops, as
    those of optax, takes several times as long to compile.
    """
    method, width = optax.scale_by_lbfgs(), path.width[:, None]
    begin = start / width, bias
    value, slope = _value_and_slope(path, begin)
    search = _moved(method, begin, value, slope, method.init(begin), jnp.int32(0))

    def unsolved(search: _Search) -> Array:
        return (search.step < MOST_STEPS) & (optax.tree.norm(search.slope) > TOLERANCE)

    def improve(search: _Search) -> _Search:
        step = search.step + 1
        at = optax.tree.add_scale(search.at, search.length, search.move)
        value, slope = _value_and_slope(path, at)
        expected = search.length * optax.tree.vdot(search.slope, search.move)
        # Near the end a gain is smaller than the rounding of the value.
        enough = value <= search.value + ARMIJO * expected + ROUNDING * jnp.abs(search.value)
        taken = _moved(method, at, value, slope, search.memory, step)
        halved = search._replace(length=search.length / 2, step=step)
        return jax.tree.map(functools.partial(jnp.where, enough), taken, halved)

    u, bias = jax.lax.while_loop(unsolved, improve, search).at
    return width * u, bias


def _moved(
    method: optax.GradientTransformation, at: Any, value: Array, slope: Any, memory: Any,
    step: Array,
) -> _Search:  # fmt: skip
    """The search at a new point, with its next move."""
    move, memory = method.update(slope, memory, at)
    return _Search(at, value, slope, memory, optax.tree.scale(-1, move), jnp.float32(1), step)


def _value_and_slope(path: _Path, at: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
    """The mean cross entropy with its penalty, and the derivatives by coordinates and biases."""
    u, bias = at
    width = path.width[:, None]
    value, (by_weights, by_bias) = _cross_entropy(
        path.rows, path.mean, path.present, dot(path.turn, width * u), bias
    )
    # The eigenvectors do not change the norm of the standardised weights.
    penalty = path.strength / 2 * jnp.sum(jnp.square(width * u))
    by_u = width * dot(path.turn.T, by_weights) + path.strength * jnp.square(width) * u
    return value + penalty, (by_u, by_bias)


def _cross_entropy(
    rows: Rows, mean: Array, present: Array, weights: Array, bias: Array
) -> tuple[Array, tuple[Array, Array]]:
    """The mean over the used rows, among the classes that are present, and its derivatives.

    In one pass over the blocks, so that no logits are kept.
    """
    # Of the rows less `mean`; taken out of the loop, one product serves all subsets.
    shift = bias - dot(mean, weights)

    def add(sums: Any, block: Rows) -> tuple[Any, None]:
        logits = jnp.where(present[None], dot(block.x, weights) + shift[None], -jnp.inf)
        log_p = jax.nn.log_softmax(logits)
        own = jnp.take_along_axis(log_p, block.y[:, None], axis=1)[:, 0]
        value = -jnp.sum(jnp.where(block.used, own, 0))
        error = jnp.exp(log_p) - jax.nn.one_hot(block.y, len(bias))
        error = jnp.where(block.used[:, None], error, 0)
        return jax.tree.map(jnp.add, sums, (value, dot(block.x.T, error), error.sum(axis=0))), None

    start = jnp.float32(0), jnp.zeros_like(weights), jnp.zeros_like(bias)
    sums, _ = jax.lax.scan(add, start, rows)
    value, by_weights, by_bias = jax.tree.map(lambda v: v / rows.used.sum(), sums)
    return value, (by_weights - mean[:, None] * by_bias[None], by_bias)
