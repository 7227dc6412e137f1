"""What a study probes of each of its runs: tasks that label a point, by each encoder.

gair study noise runs/noise --config=configs/transfer/study.py --out=runs/noise_study
"""

from gair_jax.configs.transfer import linear
from gair_jax.transfer.settings import TransferConfig


def get_config() -> TransferConfig:
    """All test rows; one random initialisation, since seeds of training are what is compared.

    Masks are left out: a probe of theirs takes longer than a run of the synthetic sweeps.
    """
    config = linear.get_config()
    config.tasks = (
        'indicators',
        'perception',
        'direction',
        'platform',
        'place_regression',
        'place_class',
    )
    config.seeds, config.test_rows = 1, 0
    return config
