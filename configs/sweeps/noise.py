"""Noise study (paper section 5.4): von Mises-Fisher noise of several strengths on positions.

Two more epochs from the 100-epoch checkpoint:

python launch/sweep.py --sweep=configs/sweeps/noise.py --out=runs/noise --config.init.all=runs/base
"""

from gair_jax.sweep.space import Sweep, grid


def get_sweep() -> Sweep:
    """Kappa 0 is no noise; 300, 100 and 1 move a place ever farther."""
    return Sweep(
        config='configs/pretrain/noise.py',
        runs=grid({'input.noise.kappa': [0.0, 300.0, 100.0, 1.0]}),
    )
