"""Street view and remote sensing tasks of the synthetic world by every protocol, beside random.

gair data build synthetic_world --variant small
gair transfer --config=configs/transfer/synthetic.py --checkpoint=runs/quickstart --out=runs/table
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """At most 2 000 photos or tiles of train and 1 000 of test; fits short enough for a CPU."""
    config = linear.get_config()
    config.data.variant = 'small'
    config.tasks = (
        'indicators',
        'perception',
        'direction',
        'platform',
        'burn_scars',
        'field_boundaries',
        'crop_type',
    )
    config.features = ('sv', 'rs')
    config.protocols = ('linear', 'nonlinear', 'full')
    config.nonlinear.rates = (1e-3, 3e-3, 1e-2)
    fit = config.fit
    fit.batch, fit.epochs, fit.validate_every, fit.channels = 32, 6.0, 2.0, 32
    return config
