"""Workdirs of runs that were never trained: their newest step, and a better one in `best`."""

import copy
import json

import jax
import numpy as np

from gair_jax import sensors
from gair_jax.models import gair
from gair_jax.train import checkpoint


def write(folder, config, *, step=6, shift=0.0, **settings):
    """A workdir `folder`; settings are seed, kappa, target, sample. Returns its path."""
    made = copy.deepcopy(config)
    made.seed = settings.get('seed', 0)
    made.input.noise.kappa = settings.get('kappa', 0.0)
    made.input.noise.target = settings.get('target', 'location')
    made.data.sample = settings.get('sample', '')
    model = gair.build(made)
    params = model.init(jax.random.key(made.seed))
    contracts = {s: sensors.contract(getattr(made.input, s).sensor) for s in ('rs', 'sv')}
    for name, moved in (('checkpoints', shift), ('best', 100.0)):
        own = jax.tree.map(lambda x, moved=moved: np.asarray(x + np.float32(moved)), params)
        where = folder / name / str(step)
        checkpoint.write(where, made, own, contracts, carried={}, origin={})
    (folder / 'config.json').write_text(json.dumps(checkpoint.to_json(made)))
    return str(folder)
