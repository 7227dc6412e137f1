"""What a validation comes to, from the metrics of its batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Tally:
    """Adds up metrics of batches (`train.interface.Aux`)."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weight = 0.0
        self._confusion: Any = 0

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Adds a batch."""
        weight = float(metrics.get('weight', 1.0))
        self._weight += weight
        self._confusion = self._confusion + np.asarray(metrics.get('confusion', 0.0), np.float64)
        for name in metrics.keys() - {'weight', 'confusion'}:
            self._sums[name] = self._sums.get(name, 0.0) + weight * float(metrics[name])

    def means(self) -> dict[str, float]:
        """The mean of each metric over what counts; of masks also miou and iou_CLASS.

        A class that is neither there nor predicted has IoU 0, as in the scores of a benchmark.
        """
        found = {name: value / max(self._weight, 1e-9) for name, value in self._sums.items()}
        if not np.ndim(self._confusion):
            return found
        both = np.diag(self._confusion)
        either = self._confusion.sum(axis=0) + self._confusion.sum(axis=1) - both
        ious = both / np.maximum(either, 1)
        each = {f'iou_{i}': float(iou) for i, iou in enumerate(ious)}
        return {**found, **each, 'miou': float(ious.mean())}
