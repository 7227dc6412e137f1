"""The paper's pre-training set (section 4.1.1), as far as it is described: 688 cities, 1 M photos.

gair data build streetscapes --config=configs/data/streetscapes1m.py \
  --config.places.table=global-streetscapes --out=builds/streetscapes1m

About 1 453 photos of each city, drawn evenly, no photo filtered; of each city's tile the least
cloudy scene of every month of 2017 to 2024 with less than 20 % cloud. What the paper leaves open is
ours: the order is by a hash, and what short cities lack is spread over the others.
"""

from gair_jax.builders.streetscapes.settings import StreetscapesConfig


def get_config() -> StreetscapesConfig:
    """The release's tiles, each shared by all photos of a city."""
    config = StreetscapesConfig()
    config.places.per_city = 1453
    config.tiles.layout = 'release'
    return config
