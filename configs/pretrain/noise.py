"""Noise study (paper section 5.4): positions drawn around the true ones, von Mises-Fisher.

--config.input.noise.kappa=300 (100, 1; 0 is none); --config.input.noise.target=both moves xy too.
Two more epochs from the 100-epoch checkpoint: --config.init.all=...

  gair train --config=configs/pretrain/noise.py --workdir=runs/noise
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR with noisy positions."""
    config = gair_base.get_config(preset)
    config.input.noise.kappa = 300.0
    config.epochs = 2.0
    return config
