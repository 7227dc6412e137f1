"""Masks that a decoder predicts for whole tiles, window by window, as confusion matrices."""

import functools

import jax
import numpy as np

from gair_jax.config import Config
from gair_jax.input.pipeline import Pipeline
from gair_jax.models.gair import Params
from gair_jax.scores.segmentation import confusions, predicted_classes
from gair_jax.train import label_objective
from gair_jax.transfer import sliding

_AT_MOST = 8  # windows of a call


def tile_confusions(
    config: Config, params: Params, *, split: str, rows: np.ndarray, classes: int
) -> np.ndarray:
    """The confusion matrix of each tile, int64 [n, k, k], predictions on rows.

    Logits of overlapping windows are averaged before a pixel's class is chosen.

    Args:
        config: of the fit; its window is that of training.
        params: fitted.
        split: of the data set.
        rows: indices of records, one a tile.
        classes: of the mask, two where there is one logit.
    """
    model, head = label_objective.create(config)
    data = Pipeline(config, split, train=False, rows=rows)
    window = config.input.rs.window

    @jax.jit
    def logits_of(params: Params, rs: jax.Array) -> jax.Array:
        features = label_objective.encode(model, params, {'rs': rs}, teacher={}, key=None)
        return label_objective.answers(head, params, features)[0]

    found = []
    for index in rows.tolist():
        shape = data.tile_shape(index)
        mask = np.full(shape, label_objective.IGNORED, np.uint8)
        read = functools.partial(_read, data, index, mask, window)
        logits = sliding.average(lambda rs: logits_of(params, rs), read, shape, window, _AT_MOST)
        found.append(confusions(predicted_classes(logits)[None], mask[None], classes)[0])
    return np.stack(found)


def _read(
    data: Pipeline, index: int, mask: np.ndarray, window: int, row: int, col: int
) -> np.ndarray:
    """The network input of a window, whose part of the mask is noted on the way."""
    shown = data.window_at(index, row, col)
    mask[row : row + window, col : col + window] = shown['label']
    return shown['rs']


def train_pixels(config: Config, *, split: str, rows: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class in the windows of validation of some records, int64 [k]."""
    data = Pipeline(config, split, train=False, rows=rows)
    counts = np.zeros(classes, np.int64)
    for step in range(data.steps_per_epoch):
        batch = data.batch(step)
        label = batch['label'][batch['valid']]
        counts += np.bincount(label[label < classes].ravel(), minlength=classes)
    return counts
