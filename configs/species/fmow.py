"""Functional Map of the World, in the files of TorchSpatial (LocBench).

gair species --config=configs/species/fmow.py --config.folder=fmow --out=runs/fmow

62 kinds of buildings and land use; tested on val.
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    return SpeciesConfig(layout='fmow')
