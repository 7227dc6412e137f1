"""Rows of probes in blocks, and their moments: how features and targets are spread.

What grows with the rows runs jitted in float32, block by block.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gair_jax.config import InputError

BLOCK = 4096  # rows at a time: bounds the memory of all logits together
# A feature that varies less than this, of its mean, carries nothing: scaling it would amplify noise
CONSTANT = 1e-6


class Rows(NamedTuple):
    """Rows in blocks [blocks, rows, ...], the last one filled up with rows of no subset."""

    x: Float[Array, 'i b d']
    y: Float[Array, 'i b k'] | Int[Array, 'i b']
    used: Bool[Array, '*s i b']


class Moments(NamedTuple):
    """Of each subset, in float64: how features and targets are spread, and hang together.

    `gram` and `cross` are mean products of standardised features with each other, and with what
    the targets differ from their mean; features that do not vary have the scale inf.
    """

    mean: Float[np.ndarray, 's d']
    scale: Float[np.ndarray, 's d']
    gram: Float[np.ndarray, 's d d']
    target: Float[np.ndarray, 's k']
    cross: Float[np.ndarray, 's d k']


def blocks(x: np.ndarray, y: np.ndarray, subsets: np.ndarray) -> Rows:
    """Rows [n, ...] of both, and bool [s, n] which subset uses them, cut into blocks."""
    size = min(BLOCK, len(x))
    fill = -len(x) % size

    def cut(rows: np.ndarray) -> Array:
        padded = np.pad(rows, [(0, fill)] + [(0, 0)] * (rows.ndim - 1))
        return jnp.asarray(padded.reshape(-1, size, *rows.shape[1:]))

    used = np.pad(subsets, [(0, 0), (0, fill)]).reshape(len(subsets), -1, size)
    return Rows(cut(x.astype(np.float32)), cut(y), jnp.asarray(used))


def moments(x: np.ndarray, y: np.ndarray, subsets: np.ndarray) -> Moments:
    """The moments of each subset of rows; InputError where one has none."""
    count = subsets.sum(axis=1)[:, None].astype(np.float64)
    if not count.all():
        raise InputError(f'probe: subset {int(np.argmin(count))} has no row to fit.')
    share = subsets / count
    mean, target = share @ x, share @ y
    rows = blocks(x, y.astype(np.float32), subsets)
    gram, cross = (np.asarray(v, np.float64) for v in _products(rows, mean, target))
    gram, cross = gram / count[..., None], cross / count[..., None]
    spread = np.sqrt(np.einsum('sdd->sd', gram))
    scale = np.where(spread > CONSTANT * (1 + np.abs(mean)), spread, np.inf)
    return Moments(
        mean, scale, gram / scale[:, :, None] / scale[:, None, :], target, cross / scale[..., None]
    )


@jax.jit
def _products(rows: Rows, mean: Array, target: Array) -> tuple[Array, Array]:
    """Sums of products of features, less their mean, with themselves and with targets."""

    def of_subset(used: Array, mean: Array, target: Array) -> tuple[Array, Array]:
        def add(sums: tuple[Array, Array], block: Rows) -> tuple[tuple[Array, Array], None]:
            z = jnp.where(block.used[:, None], block.x - mean[None], 0)
            more = dot(z.T, z), dot(z.T, block.y - target[None])
            return jax.tree.map(jnp.add, sums, more), None

        d, k = len(mean), len(target)
        start = jnp.zeros((d, d), jnp.float32), jnp.zeros((d, k), jnp.float32)
        return jax.lax.scan(add, start, rows._replace(used=used))[0]

    # One subset after the other: each is a large product, and holds a copy of its rows.
    return jax.lax.map(
        lambda own: of_subset(*own),
        (rows.used, mean.astype(jnp.float32), target.astype(jnp.float32)),
    )


def dot(a: Array, b: Array) -> Array:
    """True float32, whatever the device's default is."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
