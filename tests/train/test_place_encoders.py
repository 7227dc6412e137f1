"""Every location encoder trains inside GAIR, from records to the bank, on any number of devices."""

import functools
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gair_jax
from gair_jax.bench import training
from gair_jax.config import InputError, PlaceSizes
from gair_jax.geo.place_encodings import NAMES, ON_DEVICE, encoding
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.train import checkpoint, forecast, loop, objective, optimizer, sharding
from gair_jax.train.step import init_state, train_step
from tests.train import layouts
from tests.train.tiny import tiny_config

SIZES = PlaceSizes(hidden=(8,), degrees=4, frequencies=4, anchors=6, cell=30.0)
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name != 'satclip']


def config_of(toy, name):
    """Photo and place, as small as can be."""
    config = tiny_config(*toy)
    config.model.rs.enabled, config.model.sv.depth = False, 1
    config.model.location.encoder, config.model.location.sizes = name, SIZES
    return config


def steps_of(config, count=2):
    """The state before and after some steps, and the metrics of the last."""
    goal, transform = objective.create(config), optimizer.create(config, 6)
    step = jax.jit(functools.partial(train_step, objective=goal, optimizer=transform, seed=0))
    make = functools.partial(init_state, objective=goal, optimizer=transform)
    before = state = jax.jit(make)(jax.random.key(0))
    batches = Pipeline(config, config.data.train_split)
    for number in range(count):
        state, metrics = step(state, batches.batch(number))
    return before, state, metrics


@pytest.mark.parametrize('name', ['satclip', *SLOW])
def test_every_encoder_trains(name, toy_set):
    before, after, metrics = steps_of(config_of(toy_set, name))
    assert float(metrics['finite']) and int(after.bank.valid.sum()) == 6
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()),
        before.params['location'],
        after.params['location'],
    )
    learnt = moved.get('network', moved.get('branches'))
    assert min(jax.tree.leaves(learnt)) > 0
    assert all(value == 0 for key, value in moved.items() if key not in ('network', 'branches'))


def test_batches_hold_places_before_they_were_rounded(toy_set):
    """Encoded from the float64 of the records; rounded to float32 first they would be others."""
    config = config_of(toy_set, 'grid')
    config.model.location.sizes = PlaceSizes(frequencies=4, min_radius=1e-7)
    batch = Pipeline(config, 'val', train=False).batch(0)
    records = Store(config.data).photos('val')
    places = np.stack([records[int(i)].lonlat for i in batch['index']])
    made = encoding('grid', config.model.location.sizes, 'model.location')
    np.testing.assert_array_equal(batch['place'], made(places))
    assert np.abs(batch['place'] - made(batch['lonlat'])).max() > 0.5
    assert 'place' not in Pipeline(config_of(toy_set, 'geoclip'), 'val', train=False).batch(0)


def test_noise_moves_the_encoded_place_too(toy_set):
    config = config_of(toy_set, 'xyz')
    config.input.noise.kappa = 300.0
    batch = Pipeline(config, 'train').batch(0)
    made = encoding('xyz', config.model.location.sizes, 'model.location')
    np.testing.assert_allclose(batch['place'], made(batch['lonlat']), atol=1e-6)
    still = Pipeline(config_of(toy_set, 'xyz'), 'train').batch(0)
    assert np.abs(batch['place'] - still['place']).max() > 1e-3


def made_batches(config):
    """Those of the layout tests, with places encoded."""
    _, made = gair.location_encoder(config)
    for batch in layouts.made_before(config):
        yield batch | {'place': made(batch['lonlat'])}


@pytest.mark.slow
@pytest.mark.parametrize('devices', [2, 8])
def test_layouts_agree_with_encoded_places_in_the_bank(devices, monkeypatch):
    """The bank is split by rows where it divides, and each device encodes its part."""
    config = config_of((pathlib.Path('nowhere'), 'none', 'none'), 'satclip')
    config.batch, config.mesh.whole_below, config.bank.size = layouts.BATCH, 0, 24
    monkeypatch.setattr(layouts, 'made_before', layouts.batches, raising=False)
    monkeypatch.setattr(layouts, 'batches', made_batches)
    alone = layouts.take(config, jax.devices()[:1])
    found = layouts.take(config, jax.devices()[:devices])
    layouts.assert_agree(found, alone)
    np.testing.assert_array_equal(found.bank.embeddings, alone.bank.embeddings)
    assert np.abs(alone.bank.embeddings).max() > 0


@pytest.mark.slow
def test_a_run_resumes_bit_for_bit_and_its_checkpoint_embeds_places(toy_set, tmp_path):
    """A bank of encoded places comes back with the state."""
    config = config_of(toy_set, 'satclip')
    config.steps, config.eval.every = 4, 0
    quiet = {'devices': jax.devices()[:1], 'say': lambda text: None}
    loop.train(config, tmp_path, **quiet)
    last = tmp_path / 'checkpoints' / '4'
    whole = checkpoint.load(last)[1]
    shutil.rmtree(last)  # as if it had died after step 2
    loop.train(config, tmp_path, **quiet)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.load(last)[1], whole)

    model = gair_jax.load(last)
    places = np.array([[8.5417, 47.3769], [-122.25, -60.5], [180.0, 90.0]])
    made = encoding('satclip', SIZES, 'model.location')
    expected = gair.build(config).encode_location(whole, jnp.asarray(made(places)))
    np.testing.assert_allclose(model.encode_location(places), expected, atol=1e-6)


def test_the_forecast_counts_encoded_places(toy_set):
    """Batch rows and the bank grow by the width of an encoding, four bytes a number."""
    found = {}
    for degrees in (4, 8):
        config = config_of(toy_set, 'satclip')
        config.model.location.sizes = PlaceSizes(hidden=(8,), degrees=degrees)
        mesh = sharding.make_mesh(jax.devices()[:1])
        found[degrees] = forecast.forecast(config, mesh, forecast.state_shapes(config))
    more = 8**2 - 4**2
    assert found[8].batch - found[4].batch == 2 * config.batch * 4 * more
    # Held, and read again where it goes through the network.
    assert found[8].bank - found[4].bank == 2 * config.bank.size * 4 * more


def test_a_bank_of_null_island_needs_places_on_the_device(toy_set):
    config = config_of(toy_set, 'xyz')
    config.bank.start = 'null_island'
    goal = objective.create(config)
    with pytest.raises(InputError, match="bank.start: expected 'empty', .*found 'null_island'"):
        jax.eval_shape(goal.init_bank, jax.random.key(0))
    config.bank.content = 'embeddings'
    jax.eval_shape(objective.create(config).init_bank, jax.random.key(0))
    assert set(ON_DEVICE) == {'geoclip', 'rff', 'rbf'}


def test_what_is_benchmarked_has_the_fields_of_the_pipeline(toy_set):
    config = config_of(toy_set, 'nerf')
    read, drawn = Pipeline(config, 'train').batch(0), training.drawn(config, seed=0)
    assert {k: (x.shape, x.dtype) for k, x in drawn.items()} == {
        k: (x.shape, x.dtype) for k, x in read.items()
    }
    made = encoding('nerf', config.model.location.sizes, 'model.location')
    np.testing.assert_array_equal(drawn['place'], made(drawn['lonlat']))
