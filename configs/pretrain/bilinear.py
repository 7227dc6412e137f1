"""Ablation: bilinear interpolation of the tokens in NILI's place (paper section 5.5).

The release pads with zeros, so that values fade in the outer half cell; this pads with the border
value. --config.model.nili.padding=zeros gives the release's form.

  gair train --config=configs/pretrain/bilinear.py --workdir=runs/bilinear
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR with bilinear localisation."""
    config = gair_base.get_config(preset)
    config.model.nili.kind = 'bilinear'
    return config
