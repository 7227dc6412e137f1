"""The noise study on the synthetic world: 100 more steps from the quickstart's checkpoint.

python launch/sweep.py --sweep=configs/sweeps/noise_synthetic.py --out=runs/noise \
  --config.init.all=runs/quickstart
gair study noise runs/noise --config=configs/transfer/study.py --out=runs/noise_study
"""

from gair_jax.configs.sweeps import noise
from gair_jax.sweep.space import Sweep


def get_sweep() -> Sweep:
    """21 runs of less than a minute each on two idle cores."""
    return Sweep(
        config='configs/pretrain/quickstart.py',
        fixed={'steps': 100, 'eval.every': 100, 'checkpoint.every': 100, 'checkpoint.keep': 1},
        runs=noise.runs(),
    )
