"""Photos of your own city, or of your own table, with native 10 m tiles.

gair data build streetscapes --config=configs/data/my_city.py --config.places.table=photos.csv \
  --out=builds/my_city
gair data build streetscapes --config=configs/data/my_city.py:clean \
  --config.places.table=global-streetscapes --config.places.box="(9.1,48.7,9.3,48.9)" \
  --out=builds/stuttgart

The table has columns id, source (mapillary, kartaview or folder), lon, lat, and if known time,
heading, city, sequence. `clean` leaves out what the Global Streetscapes tables call poor, dark or
in a tunnel, and all but one photo of a sequence every 10 m.
"""

from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError


def get_config(photos: str = 'all') -> StreetscapesConfig:
    """All photos or the clean ones; one scene of a month, 24 dates at most."""
    if photos not in ('all', 'clean'):
        raise InputError(f'my_city.py: expected all or clean, found {photos!r}.')
    config = StreetscapesConfig()
    config.scenes.most_dates = 24
    if photos == 'clean':
        places = config.places
        places.quality = places.day = places.outdoors = True
        places.least_width, places.thin_m = 640, 10.0
    return config
