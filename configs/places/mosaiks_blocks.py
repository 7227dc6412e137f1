"""The same labels as mosaiks.py on blocks of ground: what carries over, at coarser scales.

gair places --config=configs/places/mosaiks_blocks.py --config.table=elevation.csv \
  --config.target=elevation --out=runs/elevation_blocks
"""

from gair_jax.configs.places import mosaiks
from gair_jax.transfer.place_settings import PlacesConfig


def get_config() -> PlacesConfig:
    """More val than on a random split, since whole blocks of it must stand for others."""
    config = mosaiks.get_config()
    config.splits, config.val_share = ('blocks',), 0.15
    config.coarseness, config.averaged = (2.0, 4.0, 8.0, 16.0, 32.0), 5
    return config
