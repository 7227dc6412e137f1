"""Sets of embeddings whose rows are compared in pairs, and the logits of such pairs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gair_jax.losses.negatives import Rows, Rule, negatives

# Finite, so that a masked logit has a gradient of exactly 0 where minus infinity could give nan.
MASKED = -1e30

Set = tuple[Array, Rows]  # embeddings, or unit rows in the type of products; and what they are of


class Candidates(NamedTuple):
    """Embeddings [M, D] among which an anchor looks for its positive, and what they are rows of.

    `apart`: none on another device counts for an anchor, so none needs to be fetched from there.
    """

    embeddings: Float[Array, 'm d']
    rows: Rows
    apart: bool = False


class Term(NamedTuple):
    """What is compared with what, by the numbers of sets.

    anchors, positives: row i of one is the positive of row i of the other. negatives: sets in which
    the anchors look for others.
    """

    anchors: int
    positives: int
    negatives: tuple[int, ...]


class Sums(NamedTuple):
    """Of each anchor: the log-sum-exp of its negatives' logits, the largest, and its positive's.

    The first two are `MASKED` for an anchor without negatives; the largest has no gradient.
    """

    total: Float[Array, ' b']
    top: Float[Array, ' b']
    positive: Float[Array, ' b']


class Plan(NamedTuple):
    """What is settled before any number is known.

    fetch: of each set, how its rows reach anchors on other devices (`blocks.walk`). side: of a
    block.
    """

    rule: Rule
    products: str
    terms: tuple[Term, ...]
    fetch: tuple[str, ...]
    side: int

    def meetings(self) -> list[tuple[int, list[int]]]:
        """Each set of negatives, and the numbers of the terms whose anchors look in it."""
        met = [
            [t for t, term in enumerate(self.terms) if number in term.negatives]
            for number in range(len(self.fetch))
        ]
        return [(number, terms) for number, terms in enumerate(met) if terms]


def normalize(x: Float[Array, '*batch d']) -> Float[Array, '*batch d']:
    """Unit rows, x / max(|x|, 1e-12), in float32 or better; the gradient at zero is finite."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24))


def unit(plan: Plan, x: Array) -> Array:
    """Unit rows in the type of the products."""
    return normalize(x).astype(plan.products)


def logits_of(plan: Plan, temperature: Array, anchors: Set, candidates: Set) -> Array:
    """[b, m]; `MASKED` where a candidate is spared."""
    logits = product('bd,md->bm', anchors[0], candidates[0]) / temperature
    return jnp.where(negatives(plan.rule, anchors[1], candidates[1]), logits, MASKED)


def product(spec: str, a: Array, b: Array) -> Array:
    """A product of matrices, in the type of the second, with float32 sums."""
    return jnp.einsum(
        spec, a.astype(b.dtype), b, precision='highest', preferred_element_type=jnp.float32
    )
