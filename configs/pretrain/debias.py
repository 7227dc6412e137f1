"""Remote sensing and place alone, from a checkpoint (paper section 5.2): 10 more epochs.

Name the start: --config.init.all=... takes every parameter that the smaller model has; and the
places, as many urban as rural: --config.data.sample=..., which `gair data sample` writes, or the
set that configs/data/debias.py builds: --config.data.name=streetscapes and
--config.data.variant=debias.

  gair train --config=configs/pretrain/debias.py --workdir=runs/debias
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """RS + place pre-training."""
    config = gair_base.get_config(preset)
    config.model.sv.enabled = False
    config.epochs = 10.0
    return config
