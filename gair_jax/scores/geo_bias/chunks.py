"""The centres of a score in chunks, one after the other or in several processes."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from gair_jax.config import InputError

Progress = Callable[[int, int], object]
Work = Callable[[np.ndarray], Any]
MOST_PAIRS = 4_000_000  # of a centre and a sample that a chunk holds at a time, about 300 MB
MOST_CENTRES = 256


def chunk_size(samples: int) -> int:
    """Centres of a chunk, each of which could have all samples near it."""
    return max(1, min(MOST_CENTRES, MOST_PAIRS // samples))


def over_chunks(
    work: Work,
    centres: Integer[np.ndarray, ' c'],
    size: int,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Any]:
    """What `work` makes of each chunk of the centres, in their order.

    Args:
      work: a picklable object that is called with rows of centres.
      centres: rows.
      size: of a chunk.
      workers: processes; 1 stays in this one. New processes import the main module again, so a
        script that asks for them needs its `if __name__ == '__main__'`.
      progress: called after each chunk with the centres done and their number.

    Raises:
      InputError: fewer than 1 worker.
    """
    if workers < 1:
        raise InputError(f'workers: expected at least 1, found {workers}.')
    parts = [centres[start : start + size] for start in range(0, len(centres), size)]
    done, made = 0, []
    for part, result in zip(parts, _results(work, parts, min(workers, len(parts))), strict=True):
        made.append(result)
        done += len(part)
        if progress is not None:
            progress(done, len(centres))
    return made


def _results(work: Work, parts: Sequence[np.ndarray], workers: int) -> Iterator[Any]:
    if workers <= 1:
        yield from map(work, parts)
        return
    # Spawned: a fork of a process in which JAX has threads may hang.
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (work,)) as pool:
        yield from pool.map(_do, parts)


_OWN: list[Work] = []  # a process's, handed over once and not with every chunk


def _begin(work: Work) -> None:
    _OWN[:] = [work]


def _do(part: np.ndarray) -> Any:
    return _OWN[0](part)
