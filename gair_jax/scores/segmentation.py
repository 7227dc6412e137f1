"""Scores of masks: confusion matrices image by image, and class shares of a patch grid.

A confusion matrix has predictions on rows and the truth on columns, over the valid pixels. One is
kept for each image: a split's is their sum, and the bootstrap draws images, never pixels. What
follows from a matrix is in `classification.class_scores`.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Integer

from gair_jax.config import InputError
from gair_jax.scores.classification import confusion, constant
from gair_jax.scores.intervals import bootstrap

IGNORED = 255


def class_shares(mask: np.ndarray, grid: tuple[int, int], classes: int) -> np.ndarray:
    """How much of every patch each class covers.

    Args:
        mask: integer [H, W], classes 0..classes-1, `IGNORED` where nothing is known.
        grid: patches down and across, (h, w), each at most the mask's side; where it does not
            divide the side, a pixel belongs to the patch that holds its upper left corner.
        classes: number of classes.

    Returns:
        float32 [h, w, classes] in 0..1, summing to 1 over the known pixels; nan in a patch
        without any.
    """
    height, width = mask.shape
    rows = np.arange(height) * grid[0] // height
    columns = np.arange(width) * grid[1] // width
    patch = rows[:, None] * grid[1] + columns[None, :]
    known = mask != IGNORED
    flat = patch[known] * classes + mask[known].astype(np.int64)
    counts = np.bincount(flat, minlength=grid[0] * grid[1] * classes).astype(np.float64)
    counts = counts.reshape(*grid, classes)
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, where=total > 0, out=np.full_like(counts, np.nan)).astype(
        np.float32
    )


def predicted_classes(logits: Float[np.ndarray, '*pixels k']) -> Integer[np.ndarray, '*pixels']:
    """The likeliest class; of one logit 1 where its sigmoid is above one half, else 0."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    return np.argmax(logits, axis=-1)


def confusions(
    predicted: Integer[np.ndarray, 'n h w'],
    target: Integer[np.ndarray, 'n h w'],
    classes: int,
    *,
    ignore: int = IGNORED,
) -> Integer[np.ndarray, 'n k k']:
    """The confusion matrix of every image over its pixels whose target is not `ignore`.

    Raises:
      InputError: another value than `ignore` and 0..classes-1.
    """
    made = np.zeros((len(target), classes, classes), np.int64)
    for row, (answer, truth) in enumerate(zip(predicted, target, strict=True)):
        valid = truth != ignore
        made[row] = confusion(answer[valid], truth[valid], classes)
    return made


def split_confusions(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], classes: int, *, ignore: int = IGNORED
) -> Integer[np.ndarray, 'n k k']:
    """`confusions` of a whole split, of which one chunk (predicted, target) is held at a time."""
    found = [confusions(p, t, classes, ignore=ignore) for p, t in chunks]
    if not found:
        raise InputError('split: expected at least one chunk of masks, found none.')
    return np.concatenate(found)


def interval(
    matrices: Integer[np.ndarray, 'n k k'],
    groups: Integer[np.ndarray, ' n'],
    score: Callable[[np.ndarray], float],
    *,
    resamples: int = 400,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of a score of the summed matrix, whole groups of images being drawn."""

    def of(rows: np.ndarray) -> float:
        return float(score(matrices[rows].sum(axis=0)))

    return bootstrap(of, groups, resamples=resamples, seed=seed)


def trivial(
    matrix: Integer[np.ndarray, 'k k'], train_pixels: Integer[np.ndarray, ' k']
) -> dict[str, Integer[np.ndarray, 'k k']]:
    """Confusion matrices, on the same pixels, of the predictors that look at nothing.

    `majority` always answers the class with most training pixels; for two classes there are also
    `all_background` (class 0) and `all_foreground` (class 1).
    """
    answers = {'majority': int(np.argmax(train_pixels))}
    if len(matrix) == 2:
        answers |= {'all_background': 0, 'all_foreground': 1}
    return {name: constant(matrix, answer) for name, answer in answers.items()}
