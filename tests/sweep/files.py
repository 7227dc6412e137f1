"""Sweep files, config files and workdirs that the tests of sweeps write."""

import json
import pathlib
import runpy

from gair_jax.sweep import plan as plans
from gair_jax.train import checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'pretrain' / 'quickstart.py')
RATES = "product(grid({'optimizer.rate': [1e-3, 4e-3]}), seeds(3))"


def sweep_file(folder, runs, *, config=CONFIG, fixed="{'steps': 6}", more=''):
    """Writes a sweep file and returns its path; `runs`, `fixed` and `more` are source."""
    path = pathlib.Path(folder) / 'rates.py'
    path.write_text(
        'from gair_jax.sweep.space import *\n\n\ndef get_sweep():\n'
        f'    return Sweep(config={str(config)!r}, runs={runs}, fixed={fixed}, {more})\n'
    )
    return str(path)


def plan(folder, runs=RATES, overrides=(), **options):
    return plans.load(sweep_file(folder, runs, **options), overrides)


def finish(out, run, records, *, step=None):
    """Lays down what a run leaves: its config, metrics, and a checkpoint of its last step."""
    folder = out / run.name
    last = run.steps if step is None else step
    (folder / 'checkpoints' / str(last)).mkdir(parents=True)
    (folder / 'checkpoints' / str(last) / checkpoint.MARK).touch()
    log(out, run, records)


def log(out, run, records):
    """Lays down what a run leaves before its first checkpoint."""
    folder = out / run.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(checkpoint.to_json(run.config)))
    (folder / 'metrics.jsonl').write_text(''.join(json.dumps(x) + '\n' for x in records))


def launch(*arguments):
    """`main` of launch/sweep.py, as the command line calls it."""
    return runpy.run_path(str(ROOT / 'launch' / 'sweep.py'))['main'](list(arguments))
