"""Location encoders on the labels of a MOSAIKS task, without its image features (LocBench).

gair places --config=configs/places/mosaiks.py --config.table=elevation.csv \
  --config.target=elevation --out=runs/elevation

About 45 000 places of the whole Earth. On a random split fine scales help, on blocks they only tell
training places apart: val chooses.
"""

from gair_jax.configs.places import table
from gair_jax.transfer.place_settings import PlacesConfig


def get_config() -> PlacesConfig:
    """One rate and 15 passes at each of three scales."""
    config = table.get_config()
    config.fit.rates, config.fit.epochs = (3e-3,), 15
    config.coarseness = (1.0, 4.0, 16.0)
    config.sizes.hidden, config.sizes.frequencies = (512, 512), 32
    return config
