"""Two learning rates with three seeds each on the quickstart's model: six short runs.

gair data build synthetic_world --variant tiny
python launch/sweep.py --sweep=configs/sweeps/learning_rate.py --out=runs/learning_rate --workers 2
"""

from gair_jax.sweep.space import Sweep, grid, product, seeds


def get_sweep() -> Sweep:
    """Sixty steps a run: enough to tell rates apart, not to train."""
    return Sweep(
        config='configs/pretrain/quickstart.py',
        fixed={'steps': 60, 'eval.every': 20, 'checkpoint.every': 20},
        runs=product(grid({'optimizer.rate': [1e-3, 4e-3]}), seeds(3)),
    )
