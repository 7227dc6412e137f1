"""Every setting acts where its class says: on the lowered step, the start or the first batch."""

import dataclasses
import functools
import pathlib

import jax
import numpy as np
import pytest

from gair_jax import config as configs
from gair_jax.input import sample_files
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.models import attention
from gair_jax.train import objective, optimizer, step
from tests.train.tiny import tiny_config

MAE = {'loss.objective': 'mae', 'bank.size': 0}
SIZED = {f'model.{s}.{f}': 0 for s in ('rs', 'sv') for f in ('dim', 'depth', 'heads', 'mlp_dim')}
PROJECTED = {'model.projections': ('sv',)}
TOKEN = {'model.rs.class_token': True, 'model.rs.position': 'learned'}
SV_TOKEN = {'model.sv.class_token': True}
JITTER = {'input.rs.jitter': 1.0, 'input.sv.jitter': 1.0}
RESIZED = {'input.rs.window': 12, 'input.rs.size': 8}

BFLOAT16 = {'model.dtype': 'bfloat16', 'model.rs.heads': 1, 'model.sv.heads': 1}

LABEL = {'loss.objective': 'label', 'bank.size': 0, 'head.label': 'kind', 'head.outputs': 4}
VALUES = LABEL | {'head.label': 'v', 'head.target': 'regression', 'head.outputs': 3}
MASKS = LABEL | {
    'head.label': 'cover', 'head.target': 'mask', 'head.outputs': 5, 'head.features': ('rs',),
    'head.levels': (0, 1), 'head.channels': 4, 'input.rs.jitter': 0.0,
}  # fmt: skip

XYZ, TILE, HARMONICS = ({'model.location.encoder': name} for name in ('xyz', 'tile', 'satclip'))
GRID = {'model.location.encoder': 'grid', 'model.location.sizes.frequencies': 4}

# field -> (another value, what must be set for the field to matter)
CASES = {
    'data.dir': ('elsewhere', {}),
    'data.name': ('another_toy', {}),
    'data.variant': ('other', {}),
    'data.train_split': ('val', {}),
    'data.eval_split': ('test', {}),
    'data.balance': ('group', {}),
    'data.sample': ('sample.json', {}),  # written by `sample_of`
    'input.date': ('first', {}),
    'input.rs.sensor': ('sentinel2_rgb', {'input.rs.jitter_bands': ('B03',)}),
    'input.rs.window': (12, {}),
    'input.rs.size': (12, {}),
    'input.rs.placement': ('centre', {}),
    'input.rs.kernel': ('cubic', RESIZED),
    'input.rs.flip': (1.0, {}),
    'input.rs.jitter_brightness': (0.5, JITTER),
    'input.rs.jitter_contrast': (0.5, JITTER),
    'input.rs.jitter_bands': (('B08',), JITTER),
    'input.sv.size': (24, {}),
    'input.sv.sensor': ('street_view_imagenet', {}),
    'input.sv.kernel': ('cubic', {'input.sv.size': 24}),
    'input.sv.flip': (1.0, {}),
    'input.sv.jitter_brightness': (0.5, JITTER),
    'input.sv.jitter_contrast': (0.5, JITTER),
    'input.sv.jitter_saturation': (0.5, JITTER),
    'input.sv.jitter_hue': (0.5, JITTER),
    'input.noise.kappa': (100.0, {}),
    'input.noise.target': ('both', {'input.noise.kappa': 100.0}),
    'model.embed_dim': (16, {'model.projections': ('sv', 'rs')}),
    'model.rs.size': ('S', SIZED | PROJECTED | {'model.rs.size': 'Ti', 'model.sv.size': 'Ti'}),
    'model.sv.size': ('S', SIZED | PROJECTED | {'model.rs.size': 'Ti', 'model.sv.size': 'Ti'}),
    'model.rs.dim': (16, {}),
    'model.sv.dim': (16, PROJECTED),
    'model.rs.heads': (4, {}),
    'model.sv.heads': (4, {}),
    'model.rs.patch': (2, {}),
    'model.sv.patch': (4, {}),
    'model.rs.position': ('sincos', {}),
    'model.sv.position': ('alibi', {}),
    'model.rs.class_token': (True, {'model.rs.position': 'learned'}),
    'model.rs.pooling': ('class', TOKEN | {'loss.distillation': 0.2}),
    'model.sv.pooling': ('class', SV_TOKEN),
    'model.location.sigma': ((1.0, 2.0), {}),
    'model.location.hidden': ((8, 8), {}),
    'model.location.encoder': ('xyz', {}),
    'model.location.sizes.hidden': ((8,), XYZ),
    'model.location.sizes.activation': ('relu', XYZ),
    'model.location.sizes.frequencies': (5, GRID),
    'model.location.sizes.min_radius': (0.5, GRID),
    'model.location.sizes.max_radius': (5.0, GRID),
    'model.location.sizes.degrees': (3, HARMONICS),
    'model.location.sizes.form': ('normalised', HARMONICS),
    'model.location.sizes.anchors': (9, {'model.location.encoder': 'rbf'}),
    'model.location.sizes.kernel': (0.5, {'model.location.encoder': 'rff'}),
    'model.location.sizes.cell': (30.0, TILE),
    'model.location.sizes.extent': ((0.0, 90.0, 0.0, 90.0), TILE),
    'model.nili.kind': ('bilinear', {}),
    'model.nili.hidden': ((), {}),
    'model.nili.schedule': ('convolve', {}),
    'model.nili.padding': ('zeros', {'model.nili.kind': 'bilinear'}),
    'model.nili.coordinates': ('history', {}),
    'model.nili.layers': (1, {'model.nili.kind': 'attention', 'model.nili.heads': 2}),
    'model.nili.heads': (4, {'model.nili.kind': 'attention', 'model.nili.heads': 2}),
    'model.mae.mask_ratio': (0.5, MAE),
    'model.mae.norm_pixels': (False, MAE),
    'model.mae.photo': (False, MAE),
    'model.mae.photo_side': (8, MAE),
    'model.mae.decoder_dim': (16, MAE),
    'model.mae.decoder_depth': (2, MAE),
    'model.mae.decoder_heads': (4, MAE),
    'model.projections': (('sv',), {}),
    'model.dtype': ('bfloat16', {}),
    'model.remat': ('full', {}),
    'model.attention': ('plain', BFLOAT16),
    'input.rs.scaling': ('z_score', MASKS),
    'input.rs.dates': (2, MASKS),
    'head.label': ('turn', LABEL),
    'head.target': ('regression', LABEL | {'head.label': 'v', 'head.outputs': 3}),
    'head.outputs': (5, LABEL),
    'head.mean': ((1.0, 1.0, 1.0), VALUES),
    'head.std': ((2.0, 2.0, 2.0), VALUES),
    'head.features': (('rs',), LABEL),
    'head.kind': ('nonlinear', LABEL),
    'head.decoder': ('nonlinear', MASKS),
    'head.merging': ('ltae', MASKS | {'input.rs.dates': 2}),
    'head.levels': ((1,), MASKS),
    'head.channels': (8, MASKS),
    'head.loss': ('dice', MASKS),
    'head.selection': ('iou_1', MASKS),
    'head.frozen': (True, LABEL),
    'head.encoder_rate': (0.5, LABEL),
    'loss.objective': ('mae', {'bank.size': 0, 'loss.secl_denominator': 'batch_only'}),
    'loss.secl_denominator': ('batch_only', {}),
    'loss.mask_radius_m': (50.0, {}),
    'bank.content': ('embeddings', {}),
    'bank.start': ('null_island', {}),
    'optimizer.name': ('sgd', {}),
    'optimizer.rate_batch': (256, {}),
    'optimizer.schedule': ('constant', {}),
    'optimizer.warmup': (0.5, {}),
    'batch': (8, {}),
    'epochs': (50.0, {'steps': 0}),
    'loss.form': ('chunked', {}),
    'loss.groups': (2, {}),
    'loss.products': ('bfloat16', {}),
    'accumulation': (2, {}),
    'init.rs': ('somewhere', {}),
    'init.sv': ('somewhere', {}),
    'init.location': ('somewhere', {}),
    'init.all': ('somewhere', {}),
}


def fields_of(kind, prefix=''):
    for field in dataclasses.fields(kind):
        if section := configs.section_of(field):
            yield from fields_of(section, f'{prefix}{field.name}.')
        else:
            yield prefix + field.name, field


FIELDS = dict(fields_of(configs.Config))


def assign(config, values):
    for path, value in values.items():
        *sections, name = path.split('.')
        setattr(functools.reduce(getattr, sections, config), name, value)


def read(config, path):
    return functools.reduce(getattr, path.split('.'), config)


def another(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value * 0.5 + 0.05


def first_batch(config):
    return Pipeline(config, config.data.train_split).batch(0)


@functools.cache
def baseline(part, toy, context):
    """Lowered text for a context that many fields share."""
    config = tiny_config(*toy)
    assign(config, dict(context))
    return LOWER[part](config)


def _parts(config):
    goal = objective.create(config)
    transform = optimizer.create(config, optimizer.total_steps(config, 12))
    make = functools.partial(step.init_state, objective=goal, optimizer=transform)
    return goal, transform, make, jax.random.key(config.seed)


def lowered_step(config):
    """The text of the training step, never compiled."""
    goal, transform, make, key = _parts(config)
    take = functools.partial(
        step.train_step, objective=goal, optimizer=transform, seed=config.seed,
        parts=config.accumulation,
    )  # fmt: skip
    batch = first_batch(config)
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in batch.items()}
    return jax.jit(take).lower(jax.eval_shape(make, key), shapes).as_text()


def lowered_start(config):
    """The text of what draws the first state, never compiled."""
    _, _, make, _ = _parts(config)
    return jax.jit(lambda: make(jax.random.key(config.seed))).lower().as_text()


LOWER = {'step': lowered_step, 'start': lowered_start}


def same_batch(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def sample_of(data):
    """A sample of the data set's first record, beside it."""
    file = pathlib.Path(data.dir).parent / 'sample.json'
    key = sample_files.key_of(data, Store(data), data.train_split)
    sample_files.write({**key, 'rows': [0]}, file)
    return str(file)


def before_and_after(path, toy):
    value, context = CASES.get(path, (None, {}))
    old = tiny_config(*toy)
    assign(old, context)
    new = tiny_config(*toy)
    assign(new, context)
    assign(new, {path: another(read(old, path)) if value is None else value})
    if path == 'data.sample':
        new.data.sample = sample_of(new.data)
    if path == 'data.dir':
        new.data.dir = str(toy[0].parent / 'elsewhere')
    assert read(old, path) != read(new, path)
    return old, new


def same_program(part, path, toy, new):
    context = tuple(CASES.get(path, (None, {}))[1].items())
    return baseline(part, toy, context) == LOWER[part](new)


@pytest.mark.parametrize('path', [p for p, f in FIELDS.items() if f.metadata['affects'] == 'input'])
def test_input_settings_change_the_first_batch(path, toy_set):
    old, new = before_and_after(path, toy_set)
    assert not same_batch(first_batch(old), first_batch(new))


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """What is traced is as for a GPU, but for cuDNN, which runs on no CPU."""
    real = jax.nn.dot_product_attention
    stand_in = functools.partial(_by_xla, real)
    monkeypatch.setattr(jax.nn, 'dot_product_attention', stand_in)
    monkeypatch.setattr(attention, '_obstacle_here', lambda case: '')


def _by_xla(attend, *given, implementation, **more):
    return attend(*given, implementation='xla', **more)


@pytest.mark.slow
@pytest.mark.parametrize(
    'path',
    [p for p, f in FIELDS.items() if f.metadata['affects'] not in ('input', 'run')],
)
def test_all_but_settings_of_input_and_running_change_the_step_or_the_start(
    path, toy_set, as_on_a_gpu
):
    _, new = before_and_after(path, toy_set)
    assert not all(same_program(part, path, toy_set, new) for part in LOWER)


@pytest.mark.slow
@pytest.mark.parametrize('path', [p for p, f in FIELDS.items() if f.metadata['affects'] == 'run'])
def test_run_settings_leave_the_step_and_the_batch_alone(path, toy_set):
    old, new = before_and_after(path, toy_set)
    assert same_batch(first_batch(old), first_batch(new))
    assert all(same_program(part, path, toy_set, new) for part in LOWER)


def test_every_setting_says_what_it_is():
    for path, field in FIELDS.items():
        assert field.metadata['help'], path
        assert field.metadata['affects'] in configs.AFFECTS, path
    assert set(CASES) <= set(FIELDS)
