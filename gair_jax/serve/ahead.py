"""Work that threads do ahead of the one who asks for it."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar('Item')
Made = TypeVar('Made')


def ahead(
    pool: Executor, make: Callable[[Item], Made], items: Iterable[Item], most: int
) -> Iterator[Made]:
    """`make` of every item, in order; up to `most` of those that follow are at work meanwhile."""
    jobs: collections.deque[Future[Made]] = collections.deque()
    for item in items:
        jobs.append(pool.submit(make, item))
        if len(jobs) > most:
            yield jobs.popleft().result()
    while jobs:
        yield jobs.popleft().result()
