"""Scores of predicted numbers."""

import numpy as np


def r2(predicted: np.ndarray, target: np.ndarray) -> float:
    """The coefficient of determination, averaged over the outputs; at most 1.

    0 is as good as answering the mean of `target`. Outputs whose target does not vary have no R2
    and are left out; nan where none varies.

    Args:
        predicted: [n, k].
        target: [n, k].
    """
    target = np.asarray(target, np.float64)
    spread = np.sum((target - target.mean(axis=0)) ** 2, axis=0)
    missed = np.sum((target - predicted) ** 2, axis=0)
    varies = spread > 0
    return float(np.mean(1.0 - missed[varies] / spread[varies])) if varies.any() else float('nan')
