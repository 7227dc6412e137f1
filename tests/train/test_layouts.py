"""The same numbers on any number of devices, however the state, the loss and the batch are cut."""

import functools
import pathlib

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.train import loss_form, sharding
from tests.train import layouts
from tests.train.tiny import tiny_config

pytestmark = pytest.mark.slow

# What differs between objectives; every layout is compared with one device that has the same.
OBJECTIVES = {
    'positions': {},
    'embeddings': {'bank.content': 'embeddings', 'bank.size': 16},
    'batch': {
        'loss.secl_denominator': 'batch_and_bank',
        'loss.mask_same_tile': True,
        'loss.mask_radius_m': 2500.0,
    },
    'groups': {'loss.secl_denominator': 'batch_and_bank', 'loss.groups': 4},
    'sgd': {'optimizer.name': 'sgd', 'optimizer.rate': 1e-3},
    'mae': {'loss.objective': 'mae', 'bank.size': 0},
}


def config_of(objective, **changed):
    config = tiny_config(pathlib.Path('nowhere'), 'none', 'none')
    config.batch, config.mesh.whole_below = layouts.BATCH, 0
    for path, value in {**OBJECTIVES[objective], **changed}.items():
        *sections, name = path.split('.')
        setattr(functools.reduce(getattr, sections, config), name, value)
    return config


@functools.cache
def alone(objective):
    """One device, the plain form, the batch in one piece."""
    return layouts.take(config_of(objective, **{'loss.form': 'plain'}), jax.devices()[:1])


@pytest.mark.parametrize(
    ('objective', 'devices', 'fsdp', 'form', 'accumulation'),
    [
        ('batch', 8, 8, 'ring', 1),
        *(
            pytest.param(*layout, marks=pytest.mark.slow)
            for layout in (
                ('batch', 8, 2, 'chunked', 2),
                ('batch', 1, 1, 'chunked', 4),
                ('batch', 2, 1, 'plain', 1),
                ('batch', 4, 4, 'ring', 2),
                ('positions', 8, 4, 'plain', 2),
                ('embeddings', 8, 1, 'ring', 1),
                ('embeddings', 4, 2, 'chunked', 4),
                ('groups', 4, 1, 'chunked', 1),
                ('groups', 8, 2, 'ring', 1),
                ('sgd', 8, 4, 'chunked', 2),
                ('mae', 4, 2, 'plain', 2),
            )
        ),
    ],
)
def test_layouts_agree(objective, devices, fsdp, form, accumulation):
    config = config_of(
        objective, **{'mesh.fsdp': fsdp, 'loss.form': form, 'accumulation': accumulation}
    )
    found, expected = layouts.take(config, jax.devices()[:devices]), alone(objective)
    layouts.assert_agree(found, expected)
    if objective == 'sgd':
        apart = jax.tree.map(lambda a, b: np.abs(a - b).max(), found.after, expected.after)
        assert max(jax.tree.leaves(apart)) <= 1e-6


@pytest.mark.slow
def test_the_objectives_compared_are_different_ones():
    """Else agreement would say little."""
    losses = [alone(name).losses[-1] for name in ('positions', 'embeddings', 'batch', 'groups')]
    assert np.min(np.abs(np.subtract.outer(losses, losses) + np.eye(4))) > 1e-4


def test_states_are_split_over_fsdp_and_born_so():
    config = config_of('embeddings', **{'mesh.fsdp': 4})
    mesh = sharding.make_mesh(jax.devices(), 4)
    shapes = {
        'params': {'layers': {'kernel': np.zeros((12, 8, 4))}, 'odd': np.zeros((3, 5))},
        'bank': {'embeddings': np.zeros((16, 8)), 'lonlat': np.zeros((16, 2))},
        'step': np.zeros(()),
    }
    places = sharding.of_state(mesh, config.mesh, shapes)
    split = jax.tree.map(lambda x, place: place.shard_shape(x.shape), shapes, places)
    # Never along the stack of layers; not at all where nothing divides; a bank by its rows.
    assert split['params'] == {'layers': {'kernel': (12, 2, 4)}, 'odd': (3, 5)}
    assert split['bank'] == {'embeddings': (2, 8), 'lonlat': (16, 2)}
    config.mesh.whole_below = 12 * 8 * 4 + 1
    places = sharding.of_state(mesh, config.mesh, shapes)
    assert places['params']['layers']['kernel'].is_fully_replicated


def test_what_cannot_be_cut_evenly_is_refused():
    with pytest.raises(InputError, match='mesh.fsdp: expected a divisor of the 8 devices, found 3'):
        sharding.make_mesh(jax.devices(), 3)
    mesh = sharding.make_mesh(jax.devices())
    with pytest.raises(InputError, match='multiple of the 8 devices that share it, found 12'):
        sharding.check_batch(mesh, config_of('batch', batch=12))
    with pytest.raises(InputError, match='accumulation: expected a divisor of the 2 rows'):
        sharding.check_batch(mesh, config_of('batch', accumulation=4))
    with pytest.raises(InputError, match='loss.groups: expected a divisor of the batch 16'):
        layouts.take(config_of('batch', **{'loss.groups': 3}), jax.devices()[:1])
    with pytest.raises(InputError, match='loss.form: expected one of auto, plain, chunked, ring'):
        layouts.take(config_of('batch', **{'loss.form': 'tiled'}), jax.devices()[:1])


def test_the_form_is_chosen_by_what_the_others_would_hold():
    config = config_of('batch', **{'bank.size': 4096})
    config.model.embed_dim = 768
    chosen = {}
    for batch, devices in ((1024, 1), (32768, 1), (32768, 64), (2**21, 64)):
        config.batch = batch
        chosen[batch, devices] = loss_form.choose(config, devices)
    # 2^21 + 4096 embeddings of 3 kB are 6.5 GB, more than a device should gather.
    assert list(chosen.values()) == ['plain', 'chunked', 'plain', 'ring']
    assert '(loss.form)' in loss_form.remark(config, 64)
    config.loss.form = 'plain'
    assert loss_form.remark(config, 64) == ''
