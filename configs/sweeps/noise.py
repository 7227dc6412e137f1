"""Noise study (paper section 5.4): von Mises-Fisher noise of several strengths on positions.

Two more epochs from the 100-epoch checkpoint, three seeds each, then `gair study noise`:

python launch/sweep.py --sweep=configs/sweeps/noise.py --out=runs/noise --config.init.all=runs/base
gair study noise runs/noise --config=configs/transfer/study.py --out=runs/noise_study
"""

from gair_jax.sweep.space import Space, Sweep, grid, product, seeds


def runs() -> Space:
    """Kappa 0 is no noise; 300, 100 and 1 move a place ever farther, with xy or without."""
    noisy = {'input.noise.kappa': [300.0, 100.0, 1.0], 'input.noise.target': ['location', 'both']}
    return product(grid({'input.noise.kappa': [0.0]}) + grid(noisy), seeds(3))


def get_sweep() -> Sweep:
    """At the paper's size: a template, not run here."""
    return Sweep(config='configs/pretrain/noise.py', runs=runs())
