"""YFCC100M-GEO100, in the files of TorchSpatial (LocBench).

gair species --config=configs/species/yfcc.py --config.folder=yfcc --out=runs/yfcc

100 kinds of scenes; its classes are not balanced in training, as in TorchSpatial.
"""

from gair_jax.transfer.species_settings import SpeciesConfig


def get_config() -> SpeciesConfig:
    """Every encoder and every counted prior."""
    config = SpeciesConfig(layout='yfcc')
    config.fit.per_class = 0
    return config
