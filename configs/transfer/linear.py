"""Linear probes of each encoder alone (paper section 5, linear protocol).

gair transfer --config=configs/transfer/linear.py --checkpoint=runs/quickstart --out=runs/probes
"""

from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """Every task of the synthetic world, masks included."""
    return TransferConfig()
