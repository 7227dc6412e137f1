"""Ablation: bicubic interpolation of the tokens in NILI's place (paper section 5.5).

Padding as in bilinear.py.

  gair train --config=configs/pretrain/bicubic.py --workdir=runs/bicubic
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR with bicubic localisation."""
    config = gair_base.get_config(preset)
    config.model.nili.kind = 'bicubic'
    return config
