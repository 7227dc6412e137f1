"""Ablation w/o NILI (paper section 5.5): the mean of the tokens stands for the tile.

gair train --config=configs/pretrain/without_nili.py --workdir=runs/without_nili
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR without localisation."""
    config = gair_base.get_config(preset)
    config.model.nili.kind = 'mean'
    return config
