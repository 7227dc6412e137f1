"""Which record stands at which position of a run, and the random numbers drawn for it.

A position counts examples from the run's start: step x batch + row. Everything here is a pure
function of (seed, position), so any host, thread or resumed process gets the same.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

BALANCES = ('none', 'group')
# Separate streams of numbers: draws of training, draws that every reading repeats, group-balanced
# choice, and the order of an epoch.
TRAIN, FIXED, BALANCE, ORDER = range(4)


def generator(seed: int, stream: int, position: int) -> np.random.Generator:
    """Random numbers of their own for one position (or one record) of one stream."""
    return np.random.Generator(np.random.Philox(key=[seed + (stream << 32), position]))


def shuffled(seed: int, position: int, examples: int) -> int:
    """The record at a position when every epoch is a new permutation of all records.

    The permutation is held in memory, 8 MB for a million records.
    """
    epoch, index = divmod(position, examples)
    return int(_permutation(seed, epoch, examples)[index])


def balanced(seed: int, position: int, groups: Sequence[Int[np.ndarray, ' _']]) -> int:
    """The record at a position when a group is drawn first, each alike, then one of its members.

    Args:
      seed: of the run.
      position: in the run.
      groups: the indices of each group's records, none empty.
    """
    rng = generator(seed, BALANCE, position)
    group = groups[int(rng.integers(len(groups)))]
    return int(group[rng.integers(len(group))])


# Two epochs, because reading ahead crosses from one to the next.
@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return generator(seed, ORDER, epoch).permutation(examples)
