"""What several tests of batches need."""

import numpy as np

from gair_jax.input.pipeline import Pipeline


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def many(config, batches, **kwargs):
    """All rows of several batches of the train split."""
    pipeline = Pipeline(config, 'train', **kwargs)
    parts = [pipeline.batch(step) for step in range(batches)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def still(config):
    """Nothing but windows and dates is drawn."""
    config.input.rs.flip = config.input.rs.jitter = 0.0
    config.input.sv.flip = config.input.sv.jitter = 0.0
    return config
