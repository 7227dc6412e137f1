"""Pre-training of a location encoder as SatCLIP does it (Klemmer et al. 2025), on EuroSAT chips.

  gair data build eurosat_rgb --source path/to/eurosat-rgb-geo
  gair train --config=configs/pretrain/satclip.py --workdir=runs/satclip

Tile and place alone, spherical harmonics with a SIREN, the batch as negatives and no bank, a learnt
temperature. It departs from SatCLIP in what is read (chips of Europe, three bands, a small ViT in
the place of a frozen one) and in the loss: of its two directions, SECL has the tile's question
alone.
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import eurosat


def get_config(preset: str = 'paper') -> Config:
    """20 degrees of harmonics and two hidden layers of 512 sines, 192 wide."""
    config = eurosat.get_config(preset)
    location = config.model.location
    location.encoder, location.sizes.degrees = 'satclip', 20
    location.sizes.hidden = (512, 512)
    config.loss.secl_denominator, config.bank.size = 'batch_only', 0
    config.loss.learn_temperature = True
    return config
