import numpy as np

from gair_jax.scores import classification


def test_accuracy():
    assert classification.accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 0])) == 0.75


def test_majority_is_that_of_the_training_rows():
    train, test = np.array([2, 2, 5]), np.array([5, 5, 2, 5])
    assert classification.majority_accuracy(train, test) == 0.25
