"""Linear and two-layer probes of each encoder alone (paper section 5, both protocols).

gair transfer --config=configs/transfer/nonlinear.py --checkpoint=runs/quickstart --out=runs/both
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """Batch 256, 50 epochs, rate 1e-3, as the paper says; AdamW, which it does not."""
    config = linear.get_config()
    config.protocols = ('linear', 'nonlinear')
    return config
