"""Urban and rural places without photos, to train on remote sensing and place (section 5.2).

gair data build streetscapes --config=configs/data/debias.py \
  --config.places.raster=ghs_smod.tif --out=builds/debias
gair train --config=configs/pretrain/debias.py --config.data.name=streetscapes \
  --config.data.variant=debias --config.init.all=... --workdir=runs/debias

The raster is GHS-SMOD of the whole Earth (1 km, Mollweide; European Commission). The paper has
200 000 places, "urban-rural balanced", and does not say how they are drawn. Here: half of each, in
2 000 blocks of 100 km, no two within 960 m; of each season of a year (December 2022 to November
2023) the least cloudy scene, so that a place has one to four dates. places.strata names rasters of
codes, such as continents and climates, over whose values rural places are spread evenly. A cut of
the raster gives a set of one country.
"""

from gair_jax.builders.streetscapes.settings import StreetscapesConfig


def get_config() -> StreetscapesConfig:
    """As many places as in the paper, a scene of each season."""
    config = StreetscapesConfig()
    config.places.count, config.places.blocks = 200_000, 2000
    config.scenes.start, config.scenes.end = '2022-12-01', '2023-11-30'
    config.scenes.period = 'season'
    config.variant = 'debias'
    return config
