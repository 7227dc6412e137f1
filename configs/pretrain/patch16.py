"""RS patches of 16 pixels (paper Table 6).

gair train --config=configs/pretrain/patch16.py --workdir=runs/patch16
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR with coarser patches."""
    config = gair_base.get_config(preset)
    config.model.rs.patch = 16
    return config
