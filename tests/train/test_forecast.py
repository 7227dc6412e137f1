"""The forecast against what the compiler holds, and what it says where a run does not fit."""

import functools
import os
import pathlib
import re

import jax
import jax.numpy as jnp
import pytest

from gair_jax import presets
from gair_jax.config import InputError
from gair_jax.train import forecast, objective, optimizer, sharding
from gair_jax.train.state import parameter_count
from gair_jax.train.step import init_state, train_step
from tests.train.tiny import tiny_config


def config_of(**changed):
    """Wide enough that activations outweigh the rest; a rolled loop, which compiles fast."""
    config = tiny_config(pathlib.Path('nowhere'), 'none', 'none')
    config.batch = 32
    for encoder in (config.model.rs, config.model.sv):
        encoder.dim, encoder.depth, encoder.mlp_dim = 64, 4, 256
    config.input.rs.size, config.input.sv.size = 32, 64
    config.model.embed_dim = 64
    config.mesh.whole_below = 0
    return forecast._with(config, changed)


def compiled(config, mesh):
    """Bytes of the compiled step on one device."""
    goal, transform = objective.create(config), optimizer.create(config, 10)
    make = functools.partial(init_state, objective=goal, optimizer=transform)
    shapes = jax.eval_shape(make, jax.random.key(0))
    places = sharding.of_state(mesh, config.mesh, shapes)
    given = jax.tree.map(
        lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place), shapes, places
    )
    n, rs, sv = config.batch, config.input.rs.size, config.input.sv.size
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(sharding.AXES))
    dates = (config.input.rs.dates,) if config.input.rs.dates > 1 else ()
    rows = {
        'rs': ((n, *dates, rs, rs, 10), jnp.float32), 'label': ((n, rs, rs), jnp.uint8),
        'sv': ((n, sv, sv, 3), jnp.float32),
        'xy': ((n, 2), jnp.float32), 'lonlat': ((n, 2), jnp.float32), 'tile': ((n,), jnp.int32),
        'has_rs': ((n,), bool), 'has_sv': ((n,), bool),
    }  # fmt: skip
    batch = {k: jax.ShapeDtypeStruct(*shape, sharding=split) for k, shape in rows.items()}
    step = functools.partial(
        train_step, objective=goal, optimizer=transform, seed=0, parts=config.accumulation
    )
    with jax.set_mesh(mesh):
        jitted = jax.jit(step, out_shardings=(places, None), donate_argnums=0)
        memory = jitted.lower(given, batch).compile().memory_analysis()
    return memory.temp_size_in_bytes + memory.argument_size_in_bytes


def masks_of(**changed):
    label = {
        'loss.objective': 'label', 'bank.size': 0, 'head.label': 'cover', 'head.target': 'mask',
        'head.features': ('rs',), 'head.levels': (0, 1, 2, 3), 'head.channels': 64,
        'head.outputs': 5, **changed,
    }  # fmt: skip
    config = config_of(**label)
    config.input.rs.window = config.input.rs.size
    return config


def room(config, mesh):
    return forecast.require_room(config, mesh, forecast.state_shapes(config))


def of(config, devices=1):
    mesh = sharding.make_mesh(jax.devices()[:devices], config.mesh.fsdp)
    return forecast.forecast(config, mesh, forecast.state_shapes(config))


@pytest.mark.slow
def test_it_is_near_what_the_compiler_holds():
    """Within half either way: compilers fuse and keep as they like."""
    config = config_of()
    mesh = sharding.make_mesh(jax.devices()[:1])
    assert 0.6 < of(config).total / compiled(config, mesh) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(('frozen', 'dates'), [(False, 1), (True, 1), (False, 3)])
def test_so_it_is_with_a_decoder_of_masks(frozen, dates):
    config = masks_of(**{'head.frozen': frozen})
    config.input.rs.dates = dates
    mesh = sharding.make_mesh(jax.devices()[:1])
    assert 0.6 < of(config).total / compiled(config, mesh) < 1.5


def test_what_a_decoder_holds_is_counted():
    known, wide = of(masks_of()), of(masks_of(**{'head.channels': 128}))
    assert known.activations < wide.activations < 2 * known.activations
    frozen = of(masks_of(**{'head.frozen': True}))
    assert 0 < frozen.activations < known.activations


def test_state_is_exact_and_falls_with_the_devices_that_share_it():
    shapes = forecast.state_shapes(config_of())
    numbers = parameter_count(shapes.params)
    found = of(config_of())
    # AdamW keeps two moments a parameter and two counters.
    assert (found.parameters, found.gradients) == (4 * numbers, 4 * numbers)
    assert found.optimizer == 8 * numbers + 8
    shared = of(config_of(**{'mesh.fsdp': 4}), 4)
    assert 0.25 * found.optimizer < shared.optimizer < 0.3 * found.optimizer


def test_each_saving_saves():
    whole = of(config_of())
    for change in ({'model.remat': 'dots'}, {'model.remat': 'full'}, {'accumulation': 4}):
        assert of(config_of(**change)).activations < whole.activations
    halved = of(config_of(**{'model.dtype': 'bfloat16'}))
    assert halved.activations < 0.85 * whole.activations


def test_a_run_that_does_not_fit_names_the_setting_that_would():
    config, mesh = presets.paper(), sharding.make_mesh(jax.devices()[:1])
    config.batch, config.model.dtype, config.mesh.memory_gib = 1024, 'bfloat16', 80.0
    with pytest.raises(InputError, match=r'it does not fit; model.remat=full would need \d+\.\d\d'):
        room(config, mesh)
    config.batch = 32768
    with pytest.raises(InputError, match=r'accumulation=\d+ would need'):
        room(config, mesh)
    config.mesh.memory_gib = 1.0
    with pytest.raises(InputError, match='no setting makes it fit'):
        room(config, mesh)
    config.batch, config.mesh.memory_gib = 64, 80.0
    assert room(config, mesh).startswith('Forecast for each device: ')


def test_what_was_advised_does_fit():
    config, mesh = presets.paper(), sharding.make_mesh(jax.devices())
    config.batch, config.mesh.memory_gib = 4096, 24.0
    with pytest.raises(InputError) as refused:
        room(config, mesh)
    advice = re.search(r'it does not fit; (.*) would need', str(refused.value)).group(1)
    values = dict(part.split('=') for part in advice.split(' and '))
    change = {k: int(v) if v.isdigit() else v for k, v in values.items()}
    fitting = forecast._with(config, change)
    sharding.check_batch(mesh, fitting)
    assert 'Forecast' in room(fitting, mesh)


def test_without_a_setting_a_cpu_device_has_its_share_of_the_host():
    mesh = sharding.make_mesh(jax.devices())
    host = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    assert forecast.capacity(presets.paper(), mesh) == host // 8
