"""Every location encoder, trained and scored on a table of labelled places.

gair places --config=configs/places/table.py --config.table=places.csv --config.target=label \
  --out=runs/places
"""

from gair_jax.transfer.place_settings import PlacesConfig


def get_config() -> PlacesConfig:
    """A random split and one by blocks of 5 degrees, side by side."""
    return PlacesConfig()
