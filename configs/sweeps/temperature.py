"""Softmax temperature x weight of the place loss (lambda of paper section 3.4), at paper size.

python launch/sweep.py --sweep=configs/sweeps/temperature.py --out=runs/temperature --gpus 0,1,2,3
"""

from gair_jax.sweep.space import Sweep, grid


def get_sweep() -> Sweep:
    """Sixteen runs, scored by the photos whose own point is first among a validation batch."""
    return Sweep(
        config='configs/pretrain/gair_base.py',
        fixed={'epochs': 10.0},
        # The loss itself changes with both settings, so it cannot compare the runs.
        metric='val_retrieval_at_1',
        lower_is_better=False,
        runs=grid(
            {
                'loss.temperature': [0.03, 0.05, 0.07, 0.1],
                'loss.secl_weight': [0.0, 0.25, 0.5, 1.0],
            }
        ),
    )
