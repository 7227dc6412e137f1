"""Location encoders on the labels of a MOSAIKS task, without its image features (LocBench).

gair places --config=configs/places/mosaiks.py --config.table=elevation.csv \
  --config.target=elevation --out=runs/elevation

About 45 000 places of the whole Earth, on a random split. No single scale is best: val says how
many are averaged. Nightlights, whose few bright places weigh most, do better at
--config.fit.rates="(1e-3,)". The scales are those that helped rff on these splits.
"""

from gair_jax.configs.places import table
from gair_jax.transfer.place_settings import PlacesConfig


def get_config() -> PlacesConfig:
    """Ten passes at each of four scales, less than a minute an encoder on two cores."""
    config = table.get_config()
    config.splits = ('random',)  # blocks: mosaiks_blocks.py
    config.fit.rates, config.fit.epochs = (3e-3,), 10
    config.scales = 'world'
    config.coarseness, config.averaged = (0.7, 1.0, 1.6, 2.6), 4
    # The neighbours beside the encoders know val too: few rows are enough to choose by.
    config.val_share = 0.03
    config.sizes.degrees, config.sizes.anchors = 28, 1000
    return config
