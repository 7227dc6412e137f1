"""RS + place on real EuroSAT RGB chips with a small ViT: minutes on 2 cores.

  gair data build eurosat_rgb --source path/to/eurosat-rgb-geo
  gair train --config=configs/pretrain/eurosat.py --workdir=runs/eurosat
  gair first-look --checkpoint=runs/eurosat

A chip's position is its centre, so the mean of the tokens stands for it, as in w/o NILI.
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import gair_base


def get_config(preset: str = 'paper') -> Config:
    """Three bands, 56-pixel windows of 64-pixel chips, an encoder 192 wide and 6 layers deep."""
    config = gair_base.get_config(preset)
    config.data.name, config.data.variant = 'eurosat_rgb', 'default'
    config.input.rs.sensor = 'sentinel2_rgb'
    config.input.rs.window = config.input.rs.size = 56
    config.batch, config.epochs = 250, 10.0
    model = config.model
    model.embed_dim, model.sv.enabled, model.nili.kind = 192, False, 'mean'
    model.rs.size, model.rs.depth, model.rs.heads = 'Ti', 6, 3
    model.location.hidden = (512,)
    config.loss.secl_denominator, config.bank.size = 'batch_and_bank', 1000
    config.optimizer.rate = 1e-3
    config.checkpoint.every = config.eval.every = 50
    return config
