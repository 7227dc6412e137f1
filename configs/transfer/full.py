"""Full fine-tuning of every task beside its linear probe; masks with UPerNet (paper section 5).

gair transfer --config=configs/transfer/full.py --checkpoint=runs/quickstart --out=runs/full
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """The paper's batch, epochs and rate; the encoders at a tenth of that rate."""
    config = linear.get_config()
    config.protocols = ('linear', 'frozen', 'full')
    return config
