"""Location priors of species on your own table, with or without predictions of photos.

gair species --config=configs/species/table.py --config.table=birds.csv \
  --config.predictions=photos.npy --out=runs/birds
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    return SpeciesConfig()
