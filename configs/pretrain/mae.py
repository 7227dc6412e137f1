"""Ablation: masked autoencoding, the photo as one special masked patch of the tile (paper 5.5).

gair train --config=configs/pretrain/mae.py --workdir=runs/mae
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import base


def get_config(preset: str = 'paper') -> Config:
    """GAIR-MAE with the rate of the MAE paper (1.5e-4 at batch 256)."""
    config = base.get_config(preset)
    config.loss.objective = 'mae'
    config.bank.size = 0
    opt = config.optimizer
    opt.rate, opt.b2, opt.weight_decay = 1.5e-4, 0.95, 0.05
    return config
