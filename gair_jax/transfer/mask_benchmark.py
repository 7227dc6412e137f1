"""Masks in a benchmark: decoders on frozen and on trained encoders, scored tile by tile."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.geo.blocks import spatial_blocks
from gair_jax.input.store import Store
from gair_jax.scores.segmentation import trivial
from gair_jax.transfer import few_labels
from gair_jax.transfer.features import Drawn, draw
from gair_jax.transfer.few_labels import Labels
from gair_jax.transfer.fine_tuning import Fitter
from gair_jax.transfer.fusion import Judged
from gair_jax.transfer.scoring import Exam, Marks, mark, versus
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.tasks import SPLITS, Task

DECODED = ('frozen', 'full')
PROTOCOLS = ('linear', 'nonlinear', *DECODED)


class Tiles(NamedTuple):
    """The drawn tiles of each split, and what those of test hang together by, from 0."""

    drawn: dict[str, Drawn]
    groups: np.ndarray


def read(settings: TransferConfig, store: Store) -> Tiles:
    """One record of each of the drawn tiles of every split; InputError where there is none."""
    drawn = {}
    for split in SPLITS:
        most = getattr(settings, f'{split}_rows') or store.splits[split]
        found = draw(store, split, most, seed=settings.seed)
        with_tile = [i for i, photo in enumerate(found.photos) if photo.acquisitions]
        if not with_tile:
            raise InputError(f'split {split}: no row holds a tile.')
        drawn[split] = found.take(with_tile).one_a_tile(most)
    test = drawn['test']
    groups = spatial_blocks(test.lonlat, settings.block_km) if settings.block_km else test.tile
    return Tiles(drawn, np.unique(groups, return_inverse=True)[1])


def judge(
    settings: TransferConfig, task: Task, protocol: str, labels: Labels, tiles: Tiles,
    fitter: Fitter,
) -> Judged:  # fmt: skip
    """The entry of a task under a protocol, as `benchmark.evaluate` gives it.

    Few labels are so many tiles, whatever is in them. Its floor is the commonest class of the
    training tiles; scores also tell of the two constant answers of a mask of two classes. No place
    is nearest to a tile: `nearest` is nan.
    """
    said = _protocol(fitter.store, task, tiles.drawn['test'])
    rows = len(tiles.drawn['train'].indices)
    subsets = labels.subsets(np.zeros(rows, np.int64), settings.seeds, settings.seed)
    trained, random = fitter.tile_masks(task, said, tiles.drawn, subsets, protocol)
    count = len(tiles.groups)
    exam = Exam(
        'mask', task.classes, np.zeros((count, 1)), tiles.groups, int(tiles.groups.max()) + 1,
        settings.metric or 'mIoU', settings.seed,
    )  # fmt: skip
    pixels = fitter.train_pixels(task, said, tiles.drawn, subsets)
    marks = {'trained': mark(exam, trained), 'random_init': mark(exam, random)}
    floors = dict(_floors(exam, trained[0], pixels))
    unknown = [float('nan'), float('nan')]
    entry = {
        'task': task.name,
        'kind': 'mask',
        'features': 'rs',
        'labels': labels.name,
        'protocol': protocol,
        'train_rows': int(subsets.sum(axis=1).mean()),
        **versus(exam, marks['trained'], marks['random_init'], settings.fit.seeds),
        'floor': floors['majority'].value(exam.metric),
        'floor_interval': floors['majority'].interval(exam.metric),
        'nearest': float('nan'),
        'nearest_interval': unknown,
        'scores': {name: one.described for name, one in {**marks, **floors}.items()},
    }
    return Judged(entry, marks['trained'])


def _protocol(store: Store, task: Task, drawn: Drawn) -> Mapping[str, Any]:
    """What the data set says of training and testing, and otherwise all dates that a task needs."""
    said = store.metadata['tasks'][task.name].get('protocol', {})
    dates = min(len(photo.acquisitions) for photo in drawn.photos) if task.dates == 'all' else 1
    return {'dates': dates, **said}


def _floors(exam: Exam, matrices: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[str, Marks]]:
    """Answers that look at nothing, over the pixels of confusion matrices int [n, k, k].

    `pixels` int [s, k] are those of each draw of the training tiles.
    """
    answers: dict[str, list[np.ndarray]] = {}
    for own, matrix in itertools.product(pixels, matrices):
        for name, always in trivial(matrix, own).items():
            answers.setdefault(name, []).append(always)
    for name, found in answers.items():
        yield name, mark(exam, np.stack(found).reshape(len(pixels), *matrices.shape))


def asked(settings: TransferConfig, tasks: Sequence[Task]) -> list[tuple[Task, str, Labels]]:
    """Each mask task with each protocol that fits it and each number of labels."""
    own = [task for task in tasks if task.kind == 'mask']
    fitting = [name for name in settings.protocols if name in protocols(settings)]
    return list(itertools.product(own, fitting, few_labels.asked(settings)))


def protocols(settings: TransferConfig) -> tuple[str, ...]:
    """Those that fit masks; patches are probed where `rs` is among the features."""
    return PROTOCOLS if 'rs' in settings.features else DECODED
