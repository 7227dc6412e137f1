"""Location encoders on the labels of a MOSAIKS task, without its image features (LocBench).

gair places --config=configs/places/mosaiks.py --config.table=elevation.csv \
  --config.target=elevation --out=runs/elevation

About 45 000 places of the whole Earth, 60 km apart where they are densest: scales finer than a
third of a degree would tell single training places apart, and nothing else.
"""

from gair_jax.configs.places import table
from gair_jax.transfer.place_settings import PlacesConfig


def get_config() -> PlacesConfig:
    """One rate and 15 passes: under a minute an encoder on 2 CPU cores."""
    config = table.get_config()
    config.fit.rates, config.fit.epochs = (3e-3,), 15
    config.sizes.hidden = (512, 512)
    return config
