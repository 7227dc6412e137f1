"""BirdSnap, in the files of TorchSpatial (LocBench).

gair species --config=configs/species/birdsnap.py --config.folder=birdsnap --out=runs/birdsnap

2262 photos of 500 birds are tested; --config.meta=orig_meta takes the few real places,
ebird_meta those that were drawn from eBird.
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    return SpeciesConfig(layout='birdsnap')
