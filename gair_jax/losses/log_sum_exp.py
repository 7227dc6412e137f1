"""Log-sum-exp of the cosines of anchors with their negatives, in three forms of one value.

  plain    holds all logits; the reference
  chunked  holds a block of logits at a time, forwards and, computed again, backwards; on several
           devices the candidates are gathered first
  ring     the same, but a block of candidates travels from device to device and none holds them all

The chunked sum is the online one of Milakov and Gimelshein 2018 (arXiv 1805.02867); computing
logits again in the backward pass follows Rabe and Staats 2021 (arXiv 2112.05682), the ring follows
Inf-CLIP (arXiv 2410.17243). On a mesh (`jax.set_mesh`) the rows of every set are split over all its
devices, and their numbers must be multiples of that of the devices.

Terms that share sets are made in one call: their slopes are then added up in one array a set, and a
candidate is fetched once for all anchors. Beside those arrays only blocks are held, so embeddings
are made to unit rows block by block too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gair_jax.losses.blocks import block_side, device_count
from gair_jax.losses.blockwise import blockwise
from gair_jax.losses.negatives import Rows, Rule
from gair_jax.losses.pairs import MASKED, Candidates, Plan, Sums, Term, logits_of, normalize, unit

FORMS = ('plain', 'chunked', 'ring')
PRODUCTS = ('float32', 'bfloat16')


class Form(NamedTuple):
    """How the sum is computed.

    Attributes:
      name: one of `FORMS`.
      products: type of the operands of the products, one of `PRODUCTS`; sums are float32.
    """

    name: str = 'plain'
    products: str = 'float32'


def log_sum_exp(
    sets: Sequence[Candidates],
    terms: Sequence[Term],
    temperature: Float[Array, ''],
    *,
    rule: Rule,
    form: Form,
) -> list[Sums]:
    """The sums of each term.

    Args:
      sets: anchors and candidates; none need be normalised.
      terms: which of them; no set is among its own negatives, or the anchors of two.
      temperature: divides the cosines.
      rule: which candidates are spared.
      form: how it is computed; the value does not depend on it.
    """
    embeddings, rows, apart = zip(*sets, strict=True)
    fetch = tuple('none' if alone else form.name for alone in apart)
    anchors = max(len(sets[term.anchors].embeddings) for term in terms)
    side = block_side(anchors // device_count())
    plan = Plan(rule, form.products, tuple(terms), fetch, side)
    method = _plain if form.name == 'plain' else blockwise
    return list(method(plan, embeddings, temperature, rows))


def _plain(
    plan: Plan, embeddings: tuple[Array, ...], temperature: Array, rows: tuple[Rows, ...]
) -> list[Sums]:
    sums = []
    for anchors, positives, seen in plan.terms:
        units = normalize(embeddings[anchors]), normalize(embeddings[positives])
        positive = jnp.sum(units[0] * units[1], axis=-1) / temperature
        total = top = jnp.full_like(positive, MASKED)
        for i in seen:
            query, key = ((unit(plan, embeddings[j]), rows[j]) for j in (anchors, i))
            logits = logits_of(plan, temperature, query, key)
            total = jnp.logaddexp(total, jax.nn.logsumexp(logits, axis=1))
            top = jnp.maximum(top, jnp.max(jax.lax.stop_gradient(logits), axis=1))
        sums.append(Sums(total, top, positive))
    return sums
