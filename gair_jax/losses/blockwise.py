"""Sums over negatives a block of pairs at a time; the derivative computes the logits again."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from gair_jax.losses import blocks
from gair_jax.losses.negatives import Rows
from gair_jax.losses.pairs import MASKED, Plan, Set, Sums, Term, logits_of, normalize, product, unit


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def blockwise(
    plan: Plan, embeddings: tuple[Array, ...], temperature: Array, rows: tuple[Rows, ...]
) -> tuple[Sums, ...]:
    """The sums of each term, in the forms 'chunked' and 'ring' (`log_sum_exp`)."""
    return _forward(plan, embeddings, temperature, rows)[0]


def _forward(plan: Plan, *given: Any) -> tuple[tuple[Sums, ...], tuple[Any, ...]]:
    split = blocks.split()
    run = blocks.on_devices(functools.partial(_sums, plan), (split, P(), split), split)
    sums = run(*given)
    return sums, (*given, tuple(s.total for s in sums))


def _backward(
    plan: Plan, kept: tuple[Any, ...], cotangents: tuple[Sums, ...]
) -> tuple[tuple[Array, ...], Array, None]:
    split = blocks.split()
    kept = jax.tree.map(jnp.asarray, kept)  # a constant temperature comes back as NumPy's
    places = (split, P(), split, split, split)
    run = blocks.on_devices(functools.partial(_slopes, plan), places, (split, P()))
    return *run(*kept, cotangents), None


blockwise.defvjp(_forward, _backward)


def _sums(
    plan: Plan, embeddings: tuple[Array, ...], temperature: Array, rows: tuple[Rows, ...]
) -> tuple[Sums, ...]:
    """Sums of this device's anchors over the candidates of all."""
    sets = [blocks.cut(plan.side, pair) for pair in zip(embeddings, rows, strict=True)]
    found = [_start(term, sets, temperature) for term in plan.terms]
    for number, terms in plan.meetings():
        anchors = [sets[plan.terms[t].anchors] for t in terms]
        visit = functools.partial(_add_block, plan, temperature, anchors)
        state, _ = blocks.walk(
            plan.fetch[number], functools.partial(_prepared, plan), visit,
            [found[t] for t in terms], sets[number], None,
        )  # fmt: skip
        for t, sums in zip(terms, state, strict=True):
            found[t] = sums
    counts = [len(embeddings[term.anchors]) for term in plan.terms]
    return tuple(blocks.joined(s, n) for s, n in zip(found, counts, strict=True))


def _start(term: Term, sets: Sequence[Set], temperature: Array) -> Sums:
    """Sums before any negative, in blocks."""

    def cosines(pair: tuple[Array, Array]) -> Array:
        return jnp.sum(normalize(pair[0]) * normalize(pair[1]), axis=-1)

    pairs = sets[term.anchors][0], sets[term.positives][0]
    positive = jax.lax.map(cosines, pairs) / temperature
    nothing = jnp.full_like(positive, MASKED)
    return Sums(nothing, nothing, positive)


def _add_block(
    plan: Plan, temperature: Array, anchors: list[Set], state: list[Sums], block: Set, _: None
) -> tuple[list[Sums], None]:
    """The sums of the anchors after one more block of candidates."""

    def add(given: tuple[Set, Sums]) -> Sums:
        queries, sums = given
        return _added(sums, logits_of(plan, temperature, _prepared(plan, queries), block))

    return [jax.lax.map(add, pair) for pair in zip(anchors, state, strict=True)], None


def _slopes(
    plan: Plan, embeddings: tuple[Array, ...], temperature: Array, rows: tuple[Rows, ...],
    totals: tuple[Array, ...], of_sums: tuple[Sums, ...],
) -> tuple[tuple[Array, ...], Array]:  # fmt: skip
    """Slopes of this device's embeddings and of the temperature, from those of its sums."""
    sets = [blocks.cut(plan.side, pair) for pair in zip(embeddings, rows, strict=True)]
    asked = [
        blocks.cut(plan.side, (total, given.total / temperature, given.positive / temperature))
        for total, given in zip(totals, of_sums, strict=True)
    ]
    of_units = _slopes_of_units(plan, sets, temperature, asked)
    ended = [_of_lengths(s, x) for s, (x, _) in zip(of_units, sets, strict=True)]
    # A logit is linear in its anchor, in its candidate and in 1 / temperature: what it adds to the
    # slope of the temperature is contained in the slopes of its anchor and of its candidate alike.
    twice = sum(radial for _, radial in ended)
    of_embeddings = tuple(
        blocks.joined(s, len(x)).astype(x.dtype)
        for (s, _), x in zip(ended, embeddings, strict=True)
    )
    return of_embeddings, blocks.summed(-twice / (2 * temperature))


def _slopes_of_units(
    plan: Plan, sets: Sequence[Set], temperature: Array,
    asked: Sequence[tuple[Array, Array, Array]],
) -> list[Array]:  # fmt: skip
    """Slopes of all unit rows, in blocks; `asked` has each term's totals and slopes."""
    found = [jnp.zeros(x.shape, jnp.float32) for x, _ in sets]
    for number, terms in plan.meetings():
        numbers = [plan.terms[t].anchors for t in terms]
        anchors = [(sets[i], asked[t][:2]) for i, t in zip(numbers, terms, strict=True)]
        visit = functools.partial(_pull_block, plan, temperature, anchors)
        state, found[number] = blocks.walk(
            plan.fetch[number], functools.partial(_prepared, plan), visit,
            [found[i] for i in numbers], sets[number], found[number],
        )  # fmt: skip
        for i, slopes in zip(numbers, state, strict=True):
            found[i] = slopes
    for (i, j, _), (*_, of_positive) in zip(plan.terms, asked, strict=True):
        given = sets[i][0], sets[j][0], of_positive
        found[i], found[j] = _pull_positives(found[i], found[j], given)
    return found


def _pull_block(
    plan: Plan, temperature: Array, anchors: list[Any], state: list[Array], block: Set,
    of_key: Array,
) -> tuple[list[Array], Array]:  # fmt: skip
    """Slopes of the anchors, and of a block of candidates, with what each adds to the other's."""

    def pull(slopes: tuple[Array, Array], given: Any) -> tuple[tuple[Array, Array], None]:
        (of_query, of_key), (i, (queries, (total, slope))) = slopes, given
        queries = _prepared(plan, queries)
        logits = logits_of(plan, temperature, queries, block)
        # An anchor without negatives has total MASKED: its logits must not count as exp(0).
        shares = jnp.where(logits > MASKED / 2, jnp.exp(logits - total[:, None]), 0)
        pulls = shares * slope[:, None]
        of_query = blocks.add_at(of_query, i, product('bm,md->bd', pulls, block[0]))
        return (of_query, of_key + product('bm,bd->md', pulls, queries[0])), None

    ended = []
    for of_query, given in zip(state, anchors, strict=True):
        numbered = jnp.arange(len(of_query)), given
        (of_query, of_key), _ = jax.lax.scan(pull, (of_query, of_key), numbered)
        ended.append(of_query)
    return ended, of_key


def _pull_positives(
    of_query: Array, of_key: Array, given: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    """Slopes with what each anchor and its positive add to each other's."""

    def pull(slopes: tuple[Array, Array], given: Any) -> tuple[tuple[Array, Array], None]:
        i, (query, key, slope) = given
        of_query = blocks.add_at(slopes[0], i, slope[:, None] * normalize(key))
        of_key = blocks.add_at(slopes[1], i, slope[:, None] * normalize(query))
        return (of_query, of_key), None

    return jax.lax.scan(pull, (of_query, of_key), (jnp.arange(len(of_query)), given))[0]


def _of_lengths(slopes: Array, x: Array) -> tuple[Array, Array]:
    """Slopes of `x` from those of its unit rows, in place, and the sum of units x their slopes."""

    def one(carry: tuple[Array, Array], given: Any) -> tuple[tuple[Array, Array], None]:
        (slopes, radial), (i, x) = carry, given
        unit, back = jax.vjp(normalize, x.astype(jnp.float32))
        radial += jnp.sum(unit * slopes[i])
        slopes = jax.lax.dynamic_update_index_in_dim(slopes, back(slopes[i])[0], i, 0)
        return (slopes, radial), None

    return jax.lax.scan(one, (slopes, jnp.zeros(())), (jnp.arange(len(x)), x))[0]


def _prepared(plan: Plan, rows: Set) -> Set:
    return unit(plan, rows[0]), rows[1]


def _added(sums: Sums, logits: Array) -> Sums:
    """The sums after one more block."""
    top = jnp.maximum(sums.top, jnp.max(logits, axis=1))
    some = jnp.sum(jnp.exp(logits - top[:, None]), axis=1) + jnp.exp(sums.total - top)
    # Where all is masked so far, the sum counts masked entries.
    total = jnp.where(top > MASKED / 2, top + jnp.log(some), MASKED)
    return Sums(total, top, sums.positive)
