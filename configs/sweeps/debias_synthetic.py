"""Remote sensing and place alone on a sample of the synthetic world (paper section 5.2).

100 more steps with three seeds from a checkpoint; once on an even sample and once, to compare, on
the one that the checkpoint was trained on (docs/studies.md):

python launch/sweep.py --sweep=configs/sweeps/debias_synthetic.py --out=runs/even \
  --config.init.all=runs/cities --config.data.sample=samples/even.json
"""

from gair_jax.sweep.space import Sweep, seeds


def get_sweep() -> Sweep:
    """Less than a minute a run on two idle cores."""
    return Sweep(
        config='configs/pretrain/quickstart.py',
        fixed={
            'model.sv.enabled': False,
            'steps': 100, 'eval.every': 100, 'checkpoint.every': 100, 'checkpoint.keep': 1,
        },
        runs=seeds(3),
    )  # fmt: skip
