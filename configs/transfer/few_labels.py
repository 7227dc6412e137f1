"""Linear probes of 1, 5, 10 and 100 % of the training rows, three draws each.

gair transfer --config=configs/transfer/few_labels.py --checkpoint=runs/quickstart --out=runs/few
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """The same rows of val and test for every share."""
    config = linear.get_config()
    config.shares = (0.01, 0.05, 0.1, 1.0)
    return config
