"""Learning a label with the one trainer: losses, what is left alone, and what is kept."""

import dataclasses
import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.sensors import contract
from gair_jax.train import checkpoint, label_objective, loop, objective, optimizer, step
from gair_jax.train.tally import Tally
from tests.train.tiny import tiny_config

ALONE = {'devices': jax.devices()[:1], 'say': lambda text: None}


def config_of(toy_set, **head):
    """Classes of photos, or what `head` says."""
    config = tiny_config(*toy_set)
    config.loss.objective, config.bank.size = 'label', 0
    config.head.label, config.head.outputs = 'kind', 4
    for name, value in head.items():
        setattr(config.head, name, value)
    return config


def masks_of(toy_set, **head):
    sizes = {'outputs': 5, 'levels': (0, 1), 'channels': 4}
    config = config_of(toy_set, label='cover', target='mask', features=('rs',), **sizes)
    config.input.rs.jitter = 0.0
    config.input.rs.placement = 'anywhere'
    for name, value in head.items():
        setattr(config.head, name, value)
    return config


def taken(config, steps=2):
    """States before and after some steps, and the metrics of the last."""
    goal, transform = objective.create(config), optimizer.create(config, 10)
    state = step.init_state(jax.random.key(0), goal, transform)
    take = jax.jit(functools.partial(step.train_step, objective=goal, optimizer=transform, seed=0))
    data, after, metrics = Pipeline(config, 'train'), state, {}
    for i in range(steps):
        after, metrics = take(after, data.batch(i))
    return state, after, metrics


def prepared(config):
    """What a run makes before it compiles."""
    goal, transform = objective.create(config), optimizer.create(config, 10)
    data = Pipeline(config, 'train')
    return goal, transform, [data.batch(step) for step in range(data.steps_per_epoch)]


def moved(before, after):
    """Names of the sub-trees that changed."""
    changed = set()
    for name in before:
        leaves = zip(jax.tree.leaves(before[name]), jax.tree.leaves(after[name]), strict=True)
        if any(not np.array_equal(a, b) for a, b in leaves):
            changed.add(name)
    return changed


def test_what_is_trained_is_what_the_features_come_from(toy_set):
    before, after, _ = taken(config_of(toy_set, features=('sv', 'location')))
    assert moved(before.params, after.params) >= {'sv', 'location', 'head'}
    config = config_of(toy_set, features=('rs',))
    config.optimizer.weight_decay = 0.0
    before, after, _ = taken(config)
    assert moved(before.params, after.params) == {'rs', 'nili', 'head'}


def test_frozen_encoders_do_not_move_by_a_bit(toy_set):
    before, after, _ = taken(config_of(toy_set, features=('sv', 'rs'), frozen=True))
    assert moved(before.params, after.params) == {'head'}


@pytest.mark.slow
def test_the_rate_of_the_encoders_scales_their_first_step_alone(toy_set):
    # The first step of SGD is rate x gradient.
    steps = {}
    for rate in (1.0, 0.25):
        config = config_of(toy_set, encoder_rate=rate)
        config.optimizer.name = 'sgd'
        before, after, _ = taken(config, 1)
        difference = jax.tree.map(np.subtract, after.params, before.params)
        steps[rate] = {name: difference[name] for name in ('sv', 'head')}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(b, a / 4, rtol=1e-3, atol=1e-7),
        steps[1.0]['sv'], steps[0.25]['sv'],
    )  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, steps[1.0]['head'], steps[0.25]['head'])


def test_class_loss_leaves_unknown_rows_out():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 3)).astype(np.float32)
    label = np.array([0, -1, 2, 1, -1], np.int32)
    loss, metrics = label_objective._classes(None, jnp.asarray(logits), jnp.asarray(label))
    known = label >= 0
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_p[known, label[known]].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert metrics['weight'] == 3
    right = (logits.argmax(axis=1) == label)[known].mean()
    np.testing.assert_allclose(metrics['accuracy'], right, rtol=1e-6)


def test_value_loss_is_the_squared_error_of_known_numbers():
    found, label = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    label[1, 2] = label[3, 0] = np.nan
    loss, metrics = label_objective._values(None, jnp.asarray(found), jnp.asarray(label))
    np.testing.assert_allclose(loss, np.nanmean((found - label) ** 2), rtol=1e-6)
    assert metrics['weight'] == 10


@pytest.mark.parametrize(
    'label', [np.arange(3, dtype=np.int32), np.ones((3, 2), np.float32), np.ones((3, 2, 2), 'u1')]
)
def test_filling_rows_of_a_batch_count_for_nothing(label):
    found = label_objective.without(jnp.asarray(label), jnp.array([True, False, True]))
    unknown = {'i': -1, 'f': np.nan, 'u': 255}[label.dtype.kind]
    np.testing.assert_array_equal(found[1], np.full(label.shape[1:], unknown, label.dtype))
    np.testing.assert_array_equal(found[::2], label[::2])
    assert found.dtype == label.dtype


@pytest.mark.slow
@pytest.mark.parametrize('loss', ['cross_entropy', 'dice'])
def test_masks_are_learnt_and_running_statistics_kept(toy_set, loss):
    before, after, metrics = taken(masks_of(toy_set, loss=loss), 3)
    changed = moved(before.params, after.params)
    assert changed >= {'rs', 'head', 'statistics'} and np.isfinite(metrics['loss'])
    means = [
        leaf for path, leaf in jax.tree_util.tree_leaves_with_path(after.params['statistics'])
        if path[-1].key == 'var'
    ]  # fmt: skip
    assert all((leaf > 0).all() for leaf in means)


def test_several_dates_are_the_latest_the_newest_first(toy_set):
    config = masks_of(toy_set)
    config.input.rs.dates = 4  # one more than there are
    batch = Pipeline(config, 'train').batch(0)
    assert batch['rs'].shape == (4, 4, 8, 8, 10)
    has = batch['has_rs']
    # B04 tells the date: the newest first, and the missing fourth is a stored zero.
    nothing = contract('sentinel2_10').normalize(np.zeros((1, 1, 10), np.uint16))
    red = batch['rs'][has][:, :, 0, 0, 2]
    assert (red[:, 0] > red[:, 1]).all() and (red[:, 1] > red[:, 2]).all()
    assert (red[:, 3] == nothing[0, 0, 2]).all()


@pytest.mark.slow
@pytest.mark.parametrize('merging', ['linear', 'ltae'])
def test_several_dates_are_merged(toy_set, merging):
    config = masks_of(toy_set, merging=merging)
    config.input.rs.dates = 4
    before, after, metrics = taken(config, 1)
    assert 'head' in moved(before.params, after.params) and np.isfinite(metrics['loss'])


def test_the_flip_of_a_window_flips_its_mask(toy_set):
    config = masks_of(toy_set)
    plain, flipped = (Pipeline(with_flip(config, flip), 'train').batch(0) for flip in (0.0, 1.0))
    np.testing.assert_array_equal(flipped['label'], plain['label'][:, :, ::-1])
    np.testing.assert_array_equal(flipped['rs'], plain['rs'][:, :, ::-1])


def with_flip(config, flip):
    rs = dataclasses.replace(config.input.rs, flip=flip)
    return dataclasses.replace(config, input=dataclasses.replace(config.input, rs=rs))


@pytest.mark.slow
def test_a_run_resumes_bit_for_bit_and_keeps_the_best(toy_set, tmp_path):
    config = masks_of(toy_set)
    whole = loop.train(config, tmp_path / 'whole', **ALONE)
    # As after a kill: what came later than the first checkpoint is gone.
    for folder in ('checkpoints/4', 'checkpoints/6', 'best'):
        shutil.rmtree(tmp_path / 'whole' / folder)
    resumed = loop.train(config, tmp_path / 'whole', **ALONE)
    jax.tree.map(np.testing.assert_array_equal, whole.state.params, resumed.state.params)
    _, best, _ = checkpoint.load(tmp_path / 'whole')
    assert {'head', 'statistics', 'rs'} <= set(best)
    record = checkpoint.stored_record(checkpoint.folder_of(tmp_path / 'whole'))
    assert -1 <= record['lowest'] <= 0  # a negative mIoU


@pytest.mark.slow
def test_given_parameters_and_rows_are_used(toy_set, tmp_path):
    config = config_of(toy_set, frozen=True)
    config.eval.every = 0
    _, other, _ = taken(config_of(toy_set))
    result = loop.train(
        config, tmp_path / 'run', **ALONE, given={'sv': other.params['sv']},
        rows={'train': np.array([4, 7])},
    )  # fmt: skip
    assert moved({'sv': other.params['sv']}, result.state.params) == set()
    seen = {int(i) for i in Pipeline(config, 'train', rows=[4, 7]).batch(0)['index']}
    assert seen == {4, 7}


def test_a_record_read_again_shows_another_window(toy_set):
    config = masks_of(toy_set)
    data = Pipeline(config, 'train', train=False, rows=[0, 0, 1, 0])
    shown = data.batch(0)['label'][[0, 1, 3]]
    assert len({mask.tobytes() for mask in shown}) == 3
    again = Pipeline(config, 'train', train=False, rows=[1, 0]).batch(0)['label']
    np.testing.assert_array_equal(again[1], shown[0])


def test_a_tally_weighs_batches_and_sums_confusions():
    tally = Tally()
    tally.add({'loss': 1.0, 'weight': 3.0, 'confusion': np.array([[2.0, 0], [1, 0]])})
    tally.add({'loss': 5.0, 'weight': 1.0, 'confusion': np.array([[0.0, 0], [0, 1]])})
    # Class 0: 2 of 3; class 1: 1 of 2.
    assert tally.means() == pytest.approx(
        {'loss': 2.0, 'iou_0': 2 / 3, 'iou_1': 1 / 2, 'miou': 7 / 12}
    )


@pytest.mark.parametrize(
    ('head', 'said'),
    [
        ({'label': ''}, 'head.label: expected the name of a label, found none'),
        ({'label': 'colour'}, r'head.label: expected one of the labels .*kind.*, found'),
        ({'outputs': 3}, 'label kind: expected a class 0 to 2, or -1 for unknown, found 3'),
        ({'outputs': 1}, 'head.outputs: expected 2 classes or more, found 1'),
        ({'outputs': 0}, 'head.outputs: expected at least 1, found 0'),
        ({'target': 'depth'}, 'head.target: expected one of class, regression, mask'),
        ({'kind': 'deep'}, 'head.kind: expected one of linear, nonlinear'),
        ({'features': ()}, 'head.features: expected each side once'),
        ({'features': ('sv', 'sv')}, 'head.features: expected each side once'),
        ({'features': ('text',)}, 'head.features: expected one of rs, sv, location'),
        ({'target': 'regression', 'label': 'v', 'outputs': 2}, 'expected 2 numbers, found 3'),
        ({'encoder_rate': -1.0}, 'head.encoder_rate: expected 0 or more'),
    ],
)
def test_heads_that_cannot_be(toy_set, head, said):
    with pytest.raises(InputError, match=said):
        prepared(config_of(toy_set, **head))


@pytest.mark.parametrize(('field', 'value'), [('placement', 'anywhere'), ('dates', 2)])
def test_windows_and_dates_of_masks_are_refused_elsewhere(toy_set, field, value):
    config = tiny_config(*toy_set)
    config.input.rs.jitter = 0.0
    setattr(config.input.rs, field, value)
    with pytest.raises(InputError, match=f'input.rs.{field}: .* masks'):
        Pipeline(config, 'train')


@pytest.mark.parametrize(
    ('head', 'said'),
    [
        ({'features': ('sv',)}, r"head.features: a mask expects \('rs',\)"),
        ({'levels': (0, 2)}, 'head.levels: expected ascending layers 0 to 1'),
        ({'levels': (1, 0)}, 'head.levels: expected ascending layers 0 to 1'),
        ({'decoder': 'fcn'}, 'head.decoder: expected one of upernet, linear, nonlinear, found'),
        ({'loss': 'hinge'}, 'head.loss: expected one of cross_entropy, dice'),
        ({'outputs': 1}, 'head.outputs: expected 2 classes or more, found 1'),
        ({'channels': 0}, 'head.channels: expected at least 1'),
        ({'selection': 'iou_9'}, 'head.selection: expected one of miou, iou_1, loss'),
        ({'label': 'roof'}, 'head.label: expected one of the labels .* cover, found'),
    ],
)
def test_decoders_that_cannot_be(toy_set, head, said):
    with pytest.raises(InputError, match=said):
        prepared(masks_of(toy_set, **head))
