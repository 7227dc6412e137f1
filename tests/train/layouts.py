"""Three steps of a tiny model in any layout, and what must then agree (DESIGN section 5)."""

import functools
from typing import NamedTuple

import jax
import numpy as np
import optax

from gair_jax.train import objective, optimizer, sharding
from gair_jax.train.step import init_state, train_step

BATCH = 16
STEPS = 3


class Taken(NamedTuple):
    """Losses of all steps, gradients of the first, parameters before and after, and the bank."""

    losses: list
    gradients: dict
    before: dict
    after: dict
    bank: object


def batches(config):
    """Random input in which tiles and photos are missing, and photos share tiles and places."""
    rng = np.random.default_rng(0)
    rs, sv = config.input.rs.size, config.input.sv.size
    for _ in range(STEPS):
        yield {
            'rs': rng.normal(size=(BATCH, rs, rs, 10)).astype(np.float32),
            'sv': rng.normal(size=(BATCH, sv, sv, 3)).astype(np.float32),
            'xy': rng.uniform(-1, 1, (BATCH, 2)).astype(np.float32),
            'lonlat': (rng.integers(0, 12, (BATCH, 2)) / 100).astype(np.float32),
            'tile': rng.integers(-1, 5, BATCH).astype(np.int32),
            'has_rs': rng.random(BATCH) < 0.8,
            'has_sv': rng.random(BATCH) < 0.8,
            'index': np.arange(BATCH, dtype=np.int32),
        }


def recorded(inner):
    """`inner`, with the last gradients kept in its state."""

    def init(params):
        return inner.init(params), jax.tree.map(lambda p: 0 * p, params)

    def update(gradients, state, params):
        updates, new = inner.update(gradients, state[0], params)
        return updates, (new, gradients)

    return optax.GradientTransformation(init, update)


def take(config, devices):
    """Steps over `devices`, laid out as the config says."""
    mesh = sharding.make_mesh(devices, config.mesh.fsdp)
    goal, transform = objective.create(config), recorded(optimizer.create(config, 10))
    make = functools.partial(init_state, objective=goal, optimizer=transform)
    places = sharding.of_state(mesh, config.mesh, jax.eval_shape(make, jax.random.key(0)))
    step = jax.jit(
        functools.partial(
            train_step, objective=goal, optimizer=transform, seed=0, parts=config.accumulation
        ),
        out_shardings=(places, sharding.replicated(mesh)),
    )
    losses, gradients = [], None
    with jax.set_mesh(mesh):
        state = jax.jit(make, out_shardings=places)(jax.random.key(config.seed))
        before = whole(state.params)
        for batch in batches(config):
            state, metrics = step(state, sharding.put_batch(mesh, local_part(batch)))
            losses.append(float(metrics['loss']))
            gradients = gradients or whole(state.opt_state[1])
        assert step._cache_size() == 1
    return Taken(losses, gradients, before, whole(state.params), whole(state.bank))


def local_part(batch):
    """The rows that this process reads."""
    rows = BATCH // jax.process_count()
    first = rows * jax.process_index()
    return {name: x[first : first + rows] for name, x in batch.items()}


def whole(tree):
    """Arrays of all devices and processes as NumPy's."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    from jax.experimental.multihost_utils import process_allgather

    return process_allgather(tree, tiled=True)


def assert_agree(found, expected):
    """Within the bounds for another layout."""
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-6)
    assert_gradients_agree(found.gradients, expected.gradients)
    jax.tree.map(np.testing.assert_array_equal, found.before, expected.before)
    jax.tree.map(np.testing.assert_allclose, found.bank.lonlat, expected.bank.lonlat)
    apart = norm(jax.tree.map(np.subtract, found.after, expected.after))
    way = norm(jax.tree.map(np.subtract, expected.after, expected.before))
    assert way > 0 and apart <= 2e-3 * way, apart / way


def assert_gradients_agree(found, expected):
    total = norm(expected)
    pairs = zip(jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(found), strict=True)
    for (path, wanted), got in pairs:
        if norm(wanted) > 1e-6 * total:
            assert norm(got - wanted) <= 1e-5 * norm(wanted), jax.tree_util.keystr(path)


def norm(tree):
    return float(
        np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in jax.tree.leaves(tree)))
    )
