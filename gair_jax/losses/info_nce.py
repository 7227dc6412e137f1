"""Contrastive losses: InfoNCE, and INCL and SECL made of it (paper section 3.4, equations 2 to 4).

For anchors q_i with their positives k_i, and D the cosine,

  InfoNCE = -mean_i log( exp(D(q_i, k_i)/t) / (exp(D(q_i, k_i)/t) + sum_n exp(D(q_i, n)/t)) )

  INCL = (InfoNCE(tile -> photo) + InfoNCE(photo -> tile)) / 2
  SECL = (InfoNCE(photo -> place) + InfoNCE(tile -> place)) / 2

Rows without data are no anchors and no negatives; a mean over no rows is 0, as are its gradients.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError
from gair_jax.losses.log_sum_exp import Form, log_sum_exp
from gair_jax.losses.negatives import Rows, Rule, batch_rows, past_rows
from gair_jax.losses.pairs import Candidates, Term

Temperature = float | Float[Array, '']

DENOMINATORS = ('positive_and_bank', 'batch_and_bank', 'batch_only')


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


def masked_mean(x: Float[Array, '*shape'], valid: Bool[Array, '*shape']) -> Float[Array, '']:
    """The mean over valid entries; 0 where there are none."""
    return jnp.sum(jnp.where(valid, x, 0)) / jnp.maximum(jnp.sum(valid), 1)


def info_nce(
    sets: Sequence[Candidates], terms: Sequence[Term], settings: Settings
) -> list[tuple[Float[Array, ''], Float[Array, '']]]:
    """InfoNCE of each term: of every anchor against its own positive, averaged over valid rows.

    Args:
      sets: what is compared; no embedding need be normalised.
      terms: which sets.
      settings: temperature, rule and form.

    Returns:
      For each term the loss, and the share of valid anchors that are nearer to their positive than
      to every negative. The gradient flows into all embeddings; stop that of a bank outside.
    """
    temperature = jnp.asarray(settings.temperature, jnp.float32)
    found = []
    sums = log_sum_exp(sets, terms, temperature, rule=settings.rule, form=settings.form)
    for term, each in zip(terms, sums, strict=True):
        valid = sets[term.anchors].rows.valid
        loss = jnp.logaddexp(each.positive, each.total) - each.positive
        nearest = (each.positive > each.top).astype(jnp.float32)
        found.append((masked_mean(loss, valid), masked_mean(nearest, valid)))
    return found


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

    sets = [Candidates(side, rows, settings.apart) for side in (localized, sv)]
    (there, _), (back, found) = info_nce(sets, [Term(0, 1, (1,)), Term(1, 0, (0,))], settings)
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
    present = rows._replace(valid=has_rs | has_sv)
    sets, negatives = [Candidates(location, present, settings.apart)], []
    if use_batch:
        negatives.append(0)
    if use_bank and bank is not None:
        negatives.append(1)
        sets.append(bank)
    terms = []
    for anchor, has in ((sv, has_sv), (localized, has_rs)):
        if anchor is not None:
            terms.append(Term(len(sets), 0, tuple(negatives)))
            sets.append(Candidates(anchor, rows._replace(valid=has)))
    return 0.5 * sum((loss for loss, _ in info_nce(sets, terms, settings)), jnp.zeros(()))


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
