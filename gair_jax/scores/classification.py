"""Scores of predicted classes."""

import numpy as np


def accuracy(predicted: np.ndarray, target: np.ndarray) -> float:
    """The share of rows whose class (int [n]) is right, 0..1."""
    return float(np.mean(predicted == target))


def majority_accuracy(train_target: np.ndarray, target: np.ndarray) -> float:
    """Accuracy of always answering the commonest training class: what a probe must beat."""
    classes, counts = np.unique(train_target, return_counts=True)
    return accuracy(np.full_like(target, classes[np.argmax(counts)]), target)
