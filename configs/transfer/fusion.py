"""Street view, tile and place of the same point, alone and joined (paper section 5.1).

gair transfer --config=configs/transfer/fusion.py --checkpoint=runs/quickstart --out=runs/fusion
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """Every pair, and all three; each alone too, as what is gained is counted against it.

    Masks are left out: they are read from the tile alone.
    """
    config = linear.get_config()
    config.kinds = ('class', 'regression')
    config.features = (
        'sv', 'rs', 'location', 'sv+rs', 'sv+location', 'rs+location', 'sv+rs+location',
    )  # fmt: skip
    return config
