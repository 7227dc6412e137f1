"""NABirds, in the files of TorchSpatial (LocBench).

gair species --config=configs/species/nabirds.py --config.folder=nabirds --out=runs/nabirds

555 birds, places drawn from eBird.
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    return SpeciesConfig(layout='nabirds')
