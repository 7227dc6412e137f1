"""The authors' earlier training code, as their repository's first public commit has it.

gair train --config=configs/pretrain/history.py --workdir=runs/history
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import base


def get_config(preset: str = 'history') -> Config:
    """The history preset with its 300 epochs."""
    config = base.get_config(preset)
    config.epochs, config.optimizer.warmup = 300.0, 10 / 300
    return config
