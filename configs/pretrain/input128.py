"""RS input of 128 pixels (paper Table 6).

gair train --config=configs/pretrain/input128.py --workdir=runs/input128
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """GAIR with larger windows."""
    config = gair_base.get_config(preset)
    config.input.rs.window = config.input.rs.size = 128
    return config
