"""GAIR's objective: incl_weight x INCL + secl_weight x SECL (paper equation 4).

What a model lacks drops out: without a location encoder SECL is absent, without a photo or a tile
encoder INCL is, and SECL keeps the half that is left at its weight.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gair_jax.config import InputError, LossConfig
from gair_jax.losses.info_nce import Candidates, Settings, incl, secl
from gair_jax.losses.log_sum_exp import PRODUCTS
from gair_jax.losses.negatives import Rows, batch_rows


def gair_loss(
    outputs: Mapping[str, Array],
    bank: Candidates | None,
    *,
    loss: LossConfig,
    settings: Settings,
    rows: Rows | None = None,
    has_rs: Bool[Array, ' b'] | None = None,
    has_sv: Bool[Array, ' b'] | None = None,
) -> tuple[Float[Array, ''], dict[str, Array]]:
    """The loss and its parts.

    Args:
      outputs: `loss_localized`, `loss_sv`, `loss_location`, each [B, D], as far as the model has
        the encoder; other entries are not read.
      bank: embeddings of past places; None: there is no bank.
      loss: weights and SECL's denominator.
      settings: temperature, which candidates are spared, and how sums are computed.
      rows: of the batch; None: nothing is known of them.
      has_rs: rows that have a tile; None: all.
      has_sv: rows that have a photo; None: all.

    Returns:
      The total, and metrics `incl`, `secl`, and `retrieval_at_1` (the share of photos that are
      nearer to their own tile than to every negative), as far as they are defined.

    Raises:
      InputError: a setting out of range, or a model in which nothing can be aligned.
    """
    check(loss)
    localized, sv = outputs.get('loss_localized'), outputs.get('loss_sv')
    location = outputs.get('loss_location')
    total, metrics = jnp.zeros((), jnp.float32), {}
    if localized is not None and sv is not None:
        rows = batch_rows(len(sv)) if rows is None else rows
        both = rows._replace(valid=_both(has_rs, has_sv, rows.valid))
        metrics['incl'], metrics['retrieval_at_1'] = incl(localized, sv, settings, both)
        total += loss.incl_weight * metrics['incl']
    if location is not None and not (localized is None and sv is None):
        metrics['secl'] = secl(
            localized,
            sv,
            location,
            bank,
            settings,
            denominator=loss.secl_denominator,
            rows=rows,
            has_rs=has_rs,
            has_sv=has_sv,
        )
        total += loss.secl_weight * metrics['secl']
    if not metrics:
        raise InputError('model: expected at least two of rs, sv and location enabled to align.')
    return total, metrics


def check(loss: LossConfig) -> None:
    """Raises InputError, naming the field, where a setting is out of range."""
    if not loss.temperature > 0:
        raise InputError(f'loss.temperature: expected > 0, found {loss.temperature}.')
    for field in ('incl_weight', 'secl_weight', 'distillation', 'mask_radius_m'):
        if not getattr(loss, field) >= 0:
            raise InputError(f'loss.{field}: expected >= 0, found {getattr(loss, field)}.')
    if loss.products not in PRODUCTS:
        raise InputError(
            f'loss.products: expected {" or ".join(PRODUCTS)}, found {loss.products!r}.'
        )


def _both(
    has_rs: Bool[Array, ' b'] | None, has_sv: Bool[Array, ' b'] | None, every: Bool[Array, ' b']
) -> Bool[Array, ' b']:
    for has in (has_rs, has_sv):
        every = every if has is None else every & has
    return every
