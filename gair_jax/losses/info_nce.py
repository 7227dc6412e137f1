"""Contrastive losses: InfoNCE, and INCL and SECL made of it (paper section 3.4, equations 2 to 4).

For anchors q_i with their positives k_i, and D the cosine,

  InfoNCE = -mean_i log( exp(D(q_i, k_i)/t) / (exp(D(q_i, k_i)/t) + sum_n exp(D(q_i, n)/t)) )

  INCL = (InfoNCE(tile -> photo) + InfoNCE(photo -> tile)) / 2
  SECL = (InfoNCE(photo -> place) + InfoNCE(tile -> place)) / 2

Rows without data are no anchors and no negatives; a mean over no rows is 0, as are its gradients.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError

Temperature = float | Float[Array, '']

DENOMINATORS = ('positive_and_bank', 'batch_and_bank', 'batch_only')
# Finite, so that a masked logit has a gradient of exactly 0 where minus infinity could give nan.
_MASKED = -1e30


def normalize(x: Float[Array, '*batch d']) -> Float[Array, '*batch d']:
    """Unit rows, x / max(|x|, 1e-12), in float32 or better; the gradient at zero is finite."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, 1e-24))


def cosines(a: Float[Array, 'b d'], b: Float[Array, 'm d']) -> Float[Array, 'b m']:
    """Cosine of every pair of rows, in full precision whatever the device's default."""
    return jnp.matmul(normalize(a), normalize(b).T, precision='highest')


def masked_mean(x: Float[Array, '*shape'], valid: Bool[Array, '*shape']) -> Float[Array, '']:
    """The mean over valid entries; 0 where there are none."""
    return jnp.sum(jnp.where(valid, x, 0)) / jnp.maximum(jnp.sum(valid), 1)


def info_nce(
    query: Float[Array, 'b d'],
    key: Float[Array, 'b d'],
    temperature: Temperature,
    *,
    valid: Bool[Array, ' b'],
    batch_negatives: Bool[Array, 'b b'] | None,
    bank: Float[Array, 'k d'] | None = None,
    bank_negatives: Bool[Array, 'b k'] | None = None,
) -> Float[Array, '']:
    """InfoNCE of each query against its own key, averaged over valid rows.

    Args:
      query: anchors; no embedding need be normalised.
      key: row i is the positive of query i.
      temperature: softmax temperature, > 0.
      valid: rows that are averaged.
      batch_negatives: which keys of the batch are negatives of which query; the diagonal is the
        positive and is never read. None: no key of the batch is a negative.
      bank: further candidates, all negatives; None: there is no bank.
      bank_negatives: which of them are negatives of which query; None: all.

    The gradient flows into all embeddings; stop that of a bank outside.
    """
    positive = jnp.sum(normalize(query) * normalize(key), axis=-1, keepdims=True)
    candidates = [positive / temperature]
    if batch_negatives is not None:
        others = batch_negatives & ~jnp.eye(len(query), dtype=bool)
        candidates.append(_negatives(query, key, temperature, others))
    if bank is not None:
        candidates.append(_negatives(query, bank, temperature, bank_negatives))
    logits = jnp.concatenate(candidates, axis=1)
    return masked_mean(jax.nn.logsumexp(logits, axis=1) - logits[:, 0], valid)


def incl(
    localized: Float[Array, 'b d'],
    sv: Float[Array, 'b d'],
    temperature: Temperature,
    *,
    valid: Bool[Array, ' b'] | None = None,
    exclude: Bool[Array, 'b b'] | None = None,
) -> Float[Array, '']:
    """Implicit neural contrastive loss: tile at the photo's position against photo, both ways.

    Args:
      localized: what NILI read from each tile at its photo's position.
      sv: the photos' embeddings.
      temperature: softmax temperature, > 0.
      valid: rows that have both; the others are neither anchors nor negatives. None: all.
      exclude: pairs (anchor, candidate) that are no negatives, as `negatives.false_negatives` gives
        them; symmetric. None: none.
    """
    rows = _all_true(len(sv)) if valid is None else valid
    negatives = _batch_negatives(rows, exclude)
    there = info_nce(localized, sv, temperature, valid=rows, batch_negatives=negatives)
    back = info_nce(sv, localized, temperature, valid=rows, batch_negatives=negatives)
    return (there + back) / 2


def secl(
    localized: Float[Array, 'b d'] | None,
    sv: Float[Array, 'b d'] | None,
    location: Float[Array, 'b d'],
    bank: Float[Array, 'k d'] | None,
    temperature: Temperature,
    *,
    denominator: str,
    has_rs: Bool[Array, ' b'] | None = None,
    has_sv: Bool[Array, ' b'] | None = None,
    exclude_batch: Bool[Array, 'b b'] | None = None,
    exclude_bank: Bool[Array, 'b k'] | None = None,
) -> Float[Array, '']:
    """Spatially explicit contrastive loss: photo and tile, each against place.

    Args:
      localized: what NILI read from the tiles; None where the model has no tile encoder. Each side
        is averaged over the rows that have it, and halved: an absent one counts 0, the other keeps
        its weight.
      sv: the photos' embeddings; None where the model has no photo encoder.
      location: embeddings of the rows' own places, the positives.
      bank: embeddings of other places; None where there is no bank.
      temperature: softmax temperature, > 0.
      denominator: 'positive_and_bank' (the authors' first code), 'batch_and_bank' or 'batch_only'.
      has_rs: rows that have a tile; None: all.
      has_sv: rows that have a photo; None: all. The place of a row with neither is no negative.
      exclude_batch: pairs (anchor, place of the batch) that are no negatives. None: none.
      exclude_bank: the same for the bank.

    Raises:
      InputError: an unknown denominator, or one that needs the bank that is not there.
    """
    use_batch, use_bank = _denominator(denominator, bank is not None)
    every = _all_true(len(location))
    rs_rows = every if has_rs is None else has_rs
    sv_rows = every if has_sv is None else has_sv
    negatives = None
    if use_batch:
        negatives = _batch_negatives(rs_rows | sv_rows, exclude_batch)
    bank_negatives = None if exclude_bank is None else ~exclude_bank
    total = jnp.zeros((), jnp.float32)
    for anchor, rows in ((sv, sv_rows), (localized, rs_rows)):
        if anchor is not None:
            total += 0.5 * info_nce(
                anchor,
                location,
                temperature,
                valid=rows,
                batch_negatives=negatives,
                bank=bank if use_bank else None,
                bank_negatives=bank_negatives,
            )
    return total


def retrieval_accuracy(
    query: Float[Array, 'b d'], key: Float[Array, 'b d'], valid: Bool[Array, ' b']
) -> Float[Array, '']:
    """Share of valid queries whose own key is the nearest among the valid keys; 0 without any."""
    scores = jnp.where(valid[None, :], cosines(query, key), _MASKED)
    hit = jnp.argmax(scores, axis=1) == jnp.arange(len(query))
    return masked_mean(hit.astype(jnp.float32), valid)


def _negatives(
    query: Float[Array, 'b d'],
    key: Float[Array, 'm d'],
    temperature: Temperature,
    allowed: Bool[Array, 'b m'] | None,
) -> Float[Array, 'b m']:
    logits = cosines(query, key) / temperature
    return logits if allowed is None else jnp.where(allowed, logits, _MASKED)


def _batch_negatives(
    columns: Bool[Array, ' b'], exclude: Bool[Array, 'b b'] | None
) -> Bool[Array, 'b b']:
    shape = (len(columns), len(columns))
    allowed = jnp.broadcast_to(columns[None, :], shape)
    return allowed if exclude is None else allowed & ~exclude


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


def _all_true(n: int) -> Bool[Array, ' b']:
    return jnp.ones(n, bool)
