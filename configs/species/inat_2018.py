"""iNaturalist 2018, in the files of TorchSpatial (LocBench).

gair species --config=configs/species/inat_2018.py --config.folder=inat_2018 --out=runs/inat_2018

8142 species; tested on val.
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    return SpeciesConfig(layout='inat_2018')
