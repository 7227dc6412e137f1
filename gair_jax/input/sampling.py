"""Which record stands at which position of a run, and the random numbers drawn for it.

A position counts examples from the run's start: step x batch + row. Everything here is a pure
function of (seed, position), so any host, thread or resumed process gets the same.
"""

import functools
from collections.abc import Sequence

import grain
import numpy as np
from jaxtyping import Int

BALANCES = ('none', 'group')
# Separate streams of numbers: one for training, one for what must not change from epoch to epoch.
TRAIN, FIXED, BALANCE = range(3)
_ROUNDS = 4  # of the cipher that permutes indices, as grain's own shuffle has


def generator(seed: int, stream: int, position: int) -> np.random.Generator:
    """Random numbers of their own for one position (or one record) of one stream."""
    return np.random.Generator(np.random.Philox(key=[seed + (stream << 32), position]))


def shuffled(seed: int, position: int, examples: int) -> int:
    """The record at a position when every epoch is a new permutation of all records.

    The permutation is computed for one index at a time (a cipher on 0 .. examples - 1), so that it
    costs no memory, whatever the number of records.
    """
    epoch, index = divmod(position, examples)
    if examples == 1:
        return 0
    return int(
        grain.experimental.index_shuffle(index, examples - 1, _epoch_seed(seed, epoch), _ROUNDS)
    )


def balanced(seed: int, position: int, groups: Sequence[Int[np.ndarray, ' n']]) -> int:
    """The record at a position when a group is drawn first, each alike, and then one of its members.

    Args:
      seed: of the run.
      position: in the run.
      groups: the indices of each group's records, none empty.
    """
    rng = generator(seed, BALANCE, position)
    group = groups[rng.integers(len(groups))]
    return int(group[rng.integers(len(group))])


@functools.lru_cache(maxsize=64)
def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
