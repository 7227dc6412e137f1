"""Losses: arrays in, values out."""

from gair_jax.losses.distill import distillation
from gair_jax.losses.gair import gair_loss
from gair_jax.losses.info_nce import Settings, bank_of, incl, secl
from gair_jax.losses.log_sum_exp import Form
from gair_jax.losses.mae import mae_loss, patch_errors
from gair_jax.losses.negatives import Rows, Rule, batch_rows, past_rows
from gair_jax.losses.pairs import Candidates

__all__ = [
    'Candidates',
    'Form',
    'Rows',
    'Rule',
    'Settings',
    'bank_of',
    'batch_rows',
    'distillation',
    'gair_loss',
    'incl',
    'mae_loss',
    'past_rows',
    'patch_errors',
    'secl',
]
