"""`gair data list`: every data set under its task of the paper, and what is there of it."""

import os
import textwrap
from collections.abc import Iterator

from gair_jax.builders import variants
from gair_jax.builders.known import BUILT, COUNTING, TASKS, Dataset, list_datasets

BESIDE = 'beside the nine tasks'


def text(data_dir: str | os.PathLike) -> str:
    """What `gair data list` prints; `data_dir` holds prepared data sets."""
    known = list_datasets()
    lines = []
    for task in (*TASKS, ''):
        lines += ['', task or BESIDE]
        for dataset in known:
            names = dict(dataset.tasks) or {'': ''}
            if task in names:
                lines += _lines(dataset, names[task], variants.finished(data_dir, dataset.name))
    counted = COUNTING.format(counted=sum(dataset.counted for dataset in known))
    return '\n'.join([*lines[1:], '', textwrap.fill(counted, 100)])


def _lines(dataset: Dataset, task: str, finished: list[str]) -> Iterator[str]:
    yield f'  {dataset.name}: {dataset.text}'
    if dataset.command:
        own = f', task {task}' if task else ''
        state = '' if dataset.state == BUILT else f'; {dataset.state}'
        yield f'    builder {dataset.name}{own}{state}'
        yield f'    {dataset.command}'
    else:
        yield f'    not built: {dataset.state}'
    yield f'    origin: {dataset.origin}'
    if finished:
        yield f'    prepared here: {", ".join(finished)}'
