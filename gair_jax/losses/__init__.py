"""Losses: arrays in, values out."""

from gair_jax.losses.distill import distillation
from gair_jax.losses.gair import gair_loss
from gair_jax.losses.info_nce import incl, retrieval_accuracy, secl
from gair_jax.losses.mae import mae_loss
from gair_jax.losses.negatives import false_negatives

__all__ = [
    'distillation',
    'false_negatives',
    'gair_loss',
    'incl',
    'mae_loss',
    'retrieval_accuracy',
    'secl',
]
