"""Masks with the numbers that the paper gives itself (section 5), beside those of `pangaea.py`.

The paper says that it follows PANGAEA-Bench, and gives a batch, a length and a rate that differ.

gair transfer --config=configs/transfer/gair.py --checkpoint=runs/base --out=runs/burn_scars_gair
"""

from gair_jax.configs.transfer import pangaea
from gair_jax.transfer.settings import FitConfig, TransferConfig


def get_config() -> TransferConfig:
    """Batches of 256, 50 epochs, rate 1e-3, and bands scaled as in GAIR's pre-training."""
    config = pangaea.get_config()
    config.fit = FitConfig(scaling='gair')
    return config
