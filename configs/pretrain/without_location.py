"""Ablation w/o Loc (paper section 5.5): no location encoder, so INCL alone.

gair train --config=configs/pretrain/without_location.py --workdir=runs/without_location
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR without places."""
    config = gair_base.get_config(preset)
    config.model.location.enabled = False
    config.loss.secl_weight = 0.0
    config.bank.size = 0
    return config
