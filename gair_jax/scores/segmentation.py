"""Masks seen at the resolution of a patch grid: the share of each class in every patch."""

import numpy as np

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
