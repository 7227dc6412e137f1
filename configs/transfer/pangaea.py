"""Masks by the protocol of PANGAEA-Bench (Marsocci et al. 2024), which the paper says it follows.

gair transfer --config=configs/transfer/pangaea.py --checkpoint=runs/base --out=runs/burn_scars

Another data set: --config.data.name=ai4smallfarms and its variant.
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """Batches of 8, 80 epochs, rate 1e-4 with two drops, everything decayed, z-scored bands."""
    config = linear.get_config()
    config.data.name, config.data.variant = 'hls_burn_scars', 'default'
    config.protocols, config.seeds = ('frozen', 'full'), 1
    config.train_rows = config.val_rows = config.test_rows = 0
    fit = config.fit
    fit.batch, fit.epochs, fit.validate_every = 8, 80.0, 5.0
    fit.rate, fit.encoder_rate, fit.weight_decay, fit.decay_all = 1e-4, 1.0, 0.05, True
    fit.warmup, fit.schedule = 0.0, 'steps'
    fit.scaling = 'z_score'
    return config
