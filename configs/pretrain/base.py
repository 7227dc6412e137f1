"""The paper's model and training (its section 4), on the prepared data set of your own photos.

Every experiment of this folder is a few lines over this file. A preset is chosen after a colon:

  gair train --config=configs/pretrain/base.py:paper --workdir=runs/base

`paper` is the default; `release` and `history` are the others (gair_jax/config.py).
"""

from gair_jax.config import Config, InputError
from gair_jax.presets import PRESETS


def get_config(preset: str = 'paper') -> Config:
    """The named preset, reading `prepared/photos` as `gair data build photos` writes it."""
    if preset not in PRESETS:
        raise InputError(f'--config: expected a preset of {sorted(PRESETS)}, found {preset!r}.')
    config = PRESETS[preset]()
    config.data.name, config.data.variant = 'photos', 'default'
    return config
