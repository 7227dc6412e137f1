"""Ablation w/o NILI and w/o Loc (paper section 5.5).

gair train --config=configs/pretrain/without_both.py --workdir=runs/without_both
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """Plain contrast of tiles and photos."""
    config = gair_base.get_config(preset)
    config.model.nili.kind = 'mean'
    config.model.location.enabled = False
    config.loss.secl_weight = 0.0
    config.bank.size = 0
    return config
