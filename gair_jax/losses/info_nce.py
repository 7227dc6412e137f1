"""Contrastive losses: InfoNCE, and INCL and SECL made of it (paper section 3.4, equations 2 to 4).

For anchors q_i with their positives k_i, and D the cosine,

  InfoNCE = -mean_i log( exp(D(q_i, k_i)/t) / (exp(D(q_i, k_i)/t) + sum_n exp(D(q_i, n)/t)) )

  INCL = (InfoNCE(tile -> photo) + InfoNCE(photo -> tile)) / 2
  SECL = (InfoNCE(photo -> place) + InfoNCE(tile -> place)) / 2

Rows without data are no anchors and no negatives; a mean over no rows is 0, as are its gradients.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError
from gair_jax.losses.log_sum_exp import Form, log_sum_exp
from gair_jax.losses.negatives import Rows, Rule, batch_rows, past_rows

Temperature = float | Float[Array, '']

DENOMINATORS = ('positive_and_bank', 'batch_and_bank', 'batch_only')


class Candidates(NamedTuple):
    """Embeddings [M, D] among which an anchor looks for its positive, and what they are rows of.

    `apart`: none on another device counts for an anchor.
    """

    embeddings: Float[Array, 'm d']
    rows: Rows
    apart: bool = False


class Settings(NamedTuple):
    """What all terms of the loss share.

    Attributes:
      temperature: softmax temperature, > 0.
      rule: which candidates are spared.
      form: how sums over candidates are computed.
      apart: every group of rows lies on one device.
    """

    temperature: Temperature
    rule: Rule = Rule()
    form: Form = Form()
    apart: bool = False


def normalize(x: Float[Array, '*batch d']) -> Float[Array, '*batch d']:
    """Unit rows, x / max(|x|, 1e-12), in float32 or better; the gradient at zero is finite."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24))


def masked_mean(x: Float[Array, '*shape'], valid: Bool[Array, '*shape']) -> Float[Array, '']:
    """The mean over valid entries; 0 where there are none."""
    return jnp.sum(jnp.where(valid, x, 0)) / jnp.maximum(jnp.sum(valid), 1)


def info_nce(
    query: Float[Array, 'b d'],
    key: Float[Array, 'b d'],
    settings: Settings,
    *,
    anchors: Rows,
    candidates: Sequence[Candidates],
) -> tuple[Float[Array, ''], Float[Array, '']]:
    """InfoNCE of each query against its own key, averaged over valid rows.

    Args:
      query: anchors; no embedding need be normalised.
      key: row i is the positive of query i.
      settings: temperature, rule and form.
      anchors: what the queries are rows of; the valid ones are averaged.
      candidates: where negatives come from, as `settings.rule` allows.

    Returns:
      The loss, and the share of valid queries that are nearer to their own key than to every
      negative. The gradient flows into all embeddings; stop that of a bank outside.
    """
    temperature = jnp.asarray(settings.temperature, jnp.float32)
    query = normalize(query)
    positive = jnp.sum(query * normalize(key), axis=-1) / temperature
    sums = [
        log_sum_exp(
            query,
            normalize(given.embeddings),
            temperature,
            anchors,
            given.rows,
            rule=settings.rule,
            form=settings.form,
            apart=given.apart,
        )
        for given in candidates
    ]
    total = functools.reduce(jnp.logaddexp, (s.total for s in sums), positive)
    found = functools.reduce(jnp.logical_and, (positive > s.top for s in sums), anchors.valid)
    return (
        masked_mean(total - positive, anchors.valid),
        masked_mean(found.astype(jnp.float32), anchors.valid),
    )


def incl(
    localized: Float[Array, 'b d'],
    sv: Float[Array, 'b d'],
    settings: Settings,
    rows: Rows | None = None,
) -> tuple[Float[Array, ''], Float[Array, '']]:
    """Implicit neural contrastive loss: tile at the photo's position against photo, both ways.

    Args:
      localized: what NILI read from each tile at its photo's position.
      sv: the photos' embeddings.
      settings: temperature, rule and form.
      rows: of the batch; only valid ones, which have both, are anchors and negatives. None: all.

    Returns:
      The loss, and the share of photos whose own tile is nearer than every negative.
    """
    rows = batch_rows(len(sv)) if rows is None else rows

    def one_way(query: Array, key: Array) -> tuple[Array, Array]:
        candidates = [Candidates(key, rows, settings.apart)]
        return info_nce(query, key, settings, anchors=rows, candidates=candidates)

    there, _ = one_way(localized, sv)
    back, found = one_way(sv, localized)
    return (there + back) / 2, found


def secl(
    localized: Float[Array, 'b d'] | None,
    sv: Float[Array, 'b d'] | None,
    location: Float[Array, 'b d'],
    bank: Candidates | None,
    settings: Settings,
    *,
    denominator: str,
    rows: Rows | None = None,
    has_rs: Bool[Array, ' b'] | None = None,
    has_sv: Bool[Array, ' b'] | None = None,
) -> Float[Array, '']:
    """Spatially explicit contrastive loss: photo and tile, each against place.

    Args:
      localized: what NILI read from the tiles; None where the model has no tile encoder. Each side
        is averaged over the rows that have it, and halved: an absent one counts 0, the other keeps
        its weight.
      sv: the photos' embeddings; None where the model has no photo encoder.
      location: embeddings of the rows' own places, the positives.
      bank: other places; None where there is no bank.
      settings: temperature, rule and form.
      denominator: 'positive_and_bank' (the authors' first code), 'batch_and_bank' or 'batch_only'.
      rows: of the batch; None: nothing is known of them.
      has_rs: rows that have a tile; None: all.
      has_sv: rows that have a photo; None: all. The place of a row with neither is no negative.

    Raises:
      InputError: an unknown denominator, or one that needs the bank that is not there.
    """
    use_batch, use_bank = _denominator(denominator, bank is not None)
    rows = batch_rows(len(location)) if rows is None else rows
    has_rs = rows.valid if has_rs is None else has_rs
    has_sv = rows.valid if has_sv is None else has_sv
    candidates = []
    if use_batch:
        present = rows._replace(valid=has_rs | has_sv)
        candidates.append(Candidates(location, present, settings.apart))
    if use_bank and bank is not None:
        candidates.append(bank)
    total = jnp.zeros((), jnp.float32)
    for anchor, has in ((sv, has_sv), (localized, has_rs)):
        if anchor is not None:
            anchors = rows._replace(valid=has)
            total += (
                0.5
                * info_nce(anchor, location, settings, anchors=anchors, candidates=candidates)[0]
            )
    return total


def bank_of(embeddings: Float[Array, 'k d']) -> Candidates:
    """Places of which nothing is known, all of them negatives of every anchor."""
    n = len(embeddings)
    # No anchor stands at a place that is not a number.
    return Candidates(embeddings, past_rows(jnp.full((n, 2), jnp.nan), jnp.ones(n, bool)))


def _denominator(name: str, has_bank: bool) -> tuple[bool, bool]:
    """Whether other places of the batch and whether those of the bank are candidates."""
    if name not in DENOMINATORS:
        raise InputError(
            f'loss.secl_denominator: expected one of {", ".join(DENOMINATORS)}, found {name!r}.'
        )
    if name == 'batch_only':
        return True, False
    if not has_bank:
        raise InputError(
            f'loss.secl_denominator: {name} needs a memory bank, found bank.size 0; '
            'batch_only needs none.'
        )
    return name == 'batch_and_bank', True
