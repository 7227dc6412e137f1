"""Parity of the protocol of transfer: losses, scores, windows, inputs, rates and splits."""

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.builders.hls_burn_scars.builder import split_order
from gair_jax.input import benchmark_inputs as inputs
from gair_jax.input.resize import resize
from gair_jax.losses import segmentation as losses
from gair_jax.scores.classification import class_scores
from gair_jax.scores.segmentation import confusions, predicted_classes
from gair_jax.train import schedules
from gair_jax.transfer import sliding
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case


@kind('segmentation_loss')
def segmentation_loss(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, loss=('cross_entropy', 'weighted_cross_entropy', 'dice'), eps=losses.EPS)
    target = jnp.asarray(case.inputs['target'])

    def loss(logits: jax.Array) -> jax.Array:
        last, ignore = jnp.moveaxis(logits, 1, -1), kwargs['ignore_index']
        if kwargs['loss'] == 'weighted_cross_entropy':
            weights = 1 / jnp.asarray(kwargs['distribution'], jnp.float32)
            return losses.weighted_cross_entropy(last, target, weights, ignore=ignore)
        return getattr(losses, kwargs['loss'])(last, target, ignore=ignore)

    value, grad = jax.value_and_grad(loss)(jnp.asarray(case.inputs['logits']))
    return {'loss': np.asarray(value), 'grad': np.asarray(grad)}


def figures(matrix: np.ndarray, kwargs: dict) -> Arrays:
    """In percent, under the right names; the case's rules swap precision and recall."""
    require(kwargs, percent=True, confusion_rows='prediction')
    found = class_scores(matrix)
    named = {name: getattr(found, name) for name in ('iou', 'f1', 'precision', 'recall')}
    named |= {'miou': found.mean_iou, 'mf1': found.macro_f1, 'macc': found.accuracy}
    return {name: np.asarray(100 * value) for name, value in named.items()}


@kind('segmentation_metrics')
def segmentation_metrics(case: Case, data: Data) -> Arrays:
    del data
    return figures(case.inputs['confusion'], case.kwargs)


@kind('segmentation_eval')
def segmentation_eval(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, threshold=0.5)
    answer = predicted_classes(np.moveaxis(case.inputs['logits'], 1, -1))
    target, ignore = case.inputs['target'], kwargs['ignore_index']
    matrix = confusions(answer, target, kwargs['num_classes'], ignore=ignore).sum(axis=0)
    return {'confusion': matrix, **figures(matrix, kwargs)}


@kind('sliding_window')
def sliding_window(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, model='conv3x3_zero_padding', overlap='mean')
    window = kwargs['input_size']
    for length in kwargs['image']:
        np.testing.assert_array_equal(sliding.starts(length, window), case.inputs['starts'])

    def forward(params: dict, windows: jax.Array) -> jax.Array:
        kernel = jnp.transpose(params['weight'], (2, 3, 1, 0))
        layout = ('NHWC', 'HWIO', 'NHWC')
        made = jax.lax.conv_general_dilated(
            windows, kernel, (1, 1), 'SAME', dimension_numbers=layout
        )
        return made + params['bias'][None, None, None]

    predict = sliding.sliding(forward, window, at_most=kwargs['max_batch'])
    params = {name: jnp.asarray(case.params[name]) for name in ('weight', 'bias')}
    logits = predict(params, np.moveaxis(case.inputs['img'][:, :, 0], 1, -1))
    return {'logits': np.moveaxis(logits, -1, 1)}


@kind('prepare_input')
def prepare_input(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, resize=(None, {'kernel': 'bilinear', 'antialias': True}))
    values = np.moveaxis(case.inputs['raw'], 0, -1)  # [dates, rows, columns, bands], or of one date
    if kwargs['resize']:
        shape = (kwargs['encoder_size'],) * 2
        dates = values.reshape(-1, *values.shape[-3:])
        resized = np.stack([resize(date, shape, 'linear_antialias') for date in dates])
        values = resized.reshape(*values.shape[:-3], *resized.shape[1:])
    names = ('dataset_bands', 'mean', 'std')
    bands, mean, std = (tuple(kwargs[name]) for name in names)
    stored = inputs.Stored(bands=bands, mean=mean, std=std)
    return {'x': np.moveaxis(inputs.prepare(values, stored, kwargs['encoder_bands']), -1, 0)}


@kind('multistep_schedule')
def multistep_schedule(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    steps, at = kwargs['total_iters'], tuple(kwargs['milestones'])
    rate = schedules.multistep(kwargs['lr'], steps, at=at, factor=kwargs['gamma'])
    return {'lr': np.array([rate(step) for step in range(steps)])}


@kind('burn_scars_split')
def burn_scars_split(case: Case, data: Data) -> Arrays:
    del data
    require(case.kwargs, test_size=0.1, random_state=23)
    val, train = split_order(case.kwargs['n_files'])
    return {'train': train, 'val': val}
