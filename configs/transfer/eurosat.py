"""Land cover of real EuroSAT chips: linear probe, full fine-tuning, and training from scratch.

gair data build eurosat_rgb --source path/to/eurosat-rgb-geo
gair transfer --config=configs/transfer/eurosat.py --checkpoint=runs/eurosat --out=runs/land_cover

The random initialisation that each protocol is compared with is, fully trained, the same network
from scratch.
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """All chips of the spatial splits; one rate for encoder and head, flips and jitter."""
    config = linear.get_config()
    config.data.name, config.data.variant = 'eurosat_rgb', 'default'
    config.features, config.protocols = ('rs',), ('linear', 'full')
    config.train_rows = config.val_rows = config.test_rows = 0
    fit = config.fit
    fit.batch, fit.epochs, fit.encoder_rate, fit.augment = 64, 25.0, 1.0, True
    return config
