"""Labelled tasks of a prepared data set: what its metadata says of them, and rows for probes.

class, regression   a label of the photo or its place, from the encoder's embedding
mask                a raster over the tile (gair_jax.transfer.tile_tasks)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.records import Photo
from gair_jax.input.store import Store
from gair_jax.models.gair import Model, Params
from gair_jax.transfer.features import Drawn, Encoders, draw, without
from gair_jax.transfer.probes import Rows, Splits

SPLITS = ('train', 'val', 'test')
# Kept apart from the key of the trained parameters, which start from the config's seed.
RANDOM_SEED = 90_001


class Task(NamedTuple):
    """What a data set says of a task; `dates` is 'first' or 'all'."""

    name: str
    encoder: str
    label: str
    on: str
    kind: str
    classes: tuple[str, ...]
    dates: str


class Sizes(NamedTuple):
    """How much of each split is read, at most: photos and places, and tiles for masks."""

    train: int = 1500
    val: int = 400
    test: int = 1000
    train_tiles: int = 200
    val_tiles: int = 60
    test_tiles: int = 200

    def photos(self, split: str) -> int:
        """Photos of a split."""
        return {'train': self.train, 'val': self.val, 'test': self.test}[split]

    def tiles(self, split: str) -> int:
        """Tiles of a split."""
        counts = {'train': self.train_tiles, 'val': self.val_tiles, 'test': self.test_tiles}
        return counts[split]


class Source(NamedTuple):
    """What rows are made from."""

    config: Config
    store: Store
    encoders: Encoders
    drawn: dict[str, Drawn]
    sizes: Sizes

    def pipeline(self, split: str, without_side: str) -> Pipeline:
        """Examples of a split as evaluation sees them, one encoder's input left out."""
        return Pipeline(without(self.config, without_side), split, train=False)


def read_tasks(metadata: dict[str, Any]) -> list[Task]:
    """The tasks of a data set's metadata; InputError names one of unknown kind or encoder."""
    found = []
    for name, entry in metadata.get('tasks', {}).items():
        task = Task(
            name, entry['encoder'], entry['label'], entry['on'], entry['kind'],
            tuple(entry.get('classes', ())), entry.get('dates', 'first'),
        )  # fmt: skip
        if task.encoder not in ('rs', 'sv', 'location'):
            raise InputError(
                f'task {name}: expected encoder rs, sv or location, found {task[1]!r}.'
            )
        if task.kind not in ('class', 'regression', 'mask'):
            raise InputError(
                f'task {name}: expected kind class, regression or mask, found {task.kind!r}.'
            )
        found.append(task)
    return found


def prepare(
    model: Model, params: Params, store: Store, *, seed: int, sizes: Sizes, random_inits: int = 1
) -> Source:
    """Draws the examples of every split, and compiles the encoders.

    Args:
        model: the model.
        params: trained parameters.
        store: the data set.
        seed: of the draws.
        sizes: how much is read.
        random_inits: number of random initialisations to compare with.

    Raises:
        InputError: the data set lacks one of the splits train, val and test.
    """
    if missing := [split for split in SPLITS if split not in store.splits]:
        raise InputError(f'linear probes: the data set has no split {missing[0]!r}.')
    keys = [jax.random.key(RANDOM_SEED + i) for i in range(random_inits)]
    return Source(
        model.config,
        store,
        Encoders(model, [params, *(model.init(key) for key in keys)]),
        {split: draw(store, split, sizes.photos(split), seed=seed) for split in SPLITS},
        sizes,
    )


def having(source: Source, usable: Callable[[Photo], bool]) -> dict[str, Drawn]:
    """The drawn photos of each split that `usable` accepts."""
    return {
        split: drawn.take([i for i, photo in enumerate(drawn.photos) if usable(photo)])
        for split, drawn in source.drawn.items()
    }


def label_splits(
    task: Task, drawn: dict[str, Drawn], features: dict[str, np.ndarray]
) -> list[Splits]:
    """Rows of one task, for each parameter set; examples without the label are left out."""
    made = {}
    for split in SPLITS:
        kept = drawn[split]
        targets, known = _targets(task, kept)
        if not known.any():
            raise InputError(f'task {task.name}: no example of split {split} has its label.')
        made[split] = [Rows(x[known], targets[known], kept.tile[known]) for x in features[split]]
    return [Splits(*rows) for rows in zip(*made.values(), strict=True)]


def _targets(task: Task, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Classes int64 [n] or values float64 [n, k], and which rows count: bool [n]."""
    counts = np.ones(len(drawn.photos), bool)
    if task.on == 'tile':  # said once, however many photos of the tile carry it
        counts[:] = False
        counts[np.unique(drawn.tile, return_index=True)[1]] = True
    values = np.stack([photo.labels[task.label] for photo in drawn.photos])
    values = values.reshape(len(values), -1)
    if task.kind == 'class':
        classes = values[:, 0].astype(np.int64)
        return classes, counts & (classes >= 0)
    return values.astype(np.float64), counts & np.isfinite(values).all(axis=1)
