"""Labelled tasks of a prepared data set, as rows for linear probes.

The metadata of a data set lists its tasks: which encoder, which label, and of what kind.

  class, regression   a label of the photo or its place, from the encoder's embedding
  mask                a raster over the tile: the share of each class in every patch, from that
                      patch's token; several dates side by side where the task spans them

Fitted on the train split, penalty chosen on val, scored on test, each encoder beside itself at
random initialisation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.models.gair import Model, Params
from gair_jax.scores.segmentation import class_shares
from gair_jax.transfer import windows
from gair_jax.transfer.features import Drawn, Encoders, draw, without
from gair_jax.transfer.probes import Rows, Splits, compare

SPLITS = ('train', 'val', 'test')
# Rows of patches a split: more only costs time, as patches of a tile resemble each other.
MOST_CELLS = 8000
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


def read_tasks(metadata: dict[str, Any]) -> list[Task]:
    """The tasks of a data set's metadata; InputError names one of unknown kind or encoder."""
    found = []
    for name, entry in metadata.get('tasks', {}).items():
        task = Task(
            name, entry['encoder'], entry['label'], entry['on'], entry['kind'],
            tuple(entry.get('classes', ())), entry.get('dates', 'first'),
        )  # fmt: skip
        if task.encoder not in ('rs', 'sv', 'location'):
            raise InputError(f'task {name}: expected encoder rs, sv or location, found {task[1]!r}.')
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
        store: the data set; must have the splits train, val and test.
        seed: of the draws.
        sizes: how much is read.
        random_inits: number of random initialisations to compare with.
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


def probe_tasks(source: Source, tasks: Sequence[Task], *, seed: int) -> dict[str, dict[str, Any]]:
    """Probes every task; entries as `probes.compare` gives them, with the encoder's name."""
    found: dict[str, dict[str, Any]] = {}
    makers = {'sv': _photo_tasks, 'location': _place_tasks, 'rs': _window_tasks}
    for encoder, make in makers.items():
        own = [task for task in tasks if task.encoder == encoder]
        for name, sets in (make(source, own) if own else {}).items():
            found[name] = {'encoder': encoder, **compare(sets[0], sets[1:], seed=seed)}
    return {task.name: found[task.name] for task in tasks}


def _photo_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Street view embeddings of photos; read once for all tasks."""
    config = without(source.config, 'rs')
    drawn, features = {}, {}
    for split in SPLITS:
        have = [i for i, p in enumerate(source.drawn[split].photos) if p.photo]
        drawn[split] = source.drawn[split].take(have)
        pipeline = Pipeline(config, split, train=False)
        features[split] = source.encoders.photos(pipeline, drawn[split])
    return {task.name: _label_splits(task, drawn, features) for task in tasks}


def _place_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Location embeddings; nothing but lonlat is read."""
    features = {s: source.encoders.places(source.drawn[s].lonlat) for s in SPLITS}
    return {task.name: _label_splits(task, source.drawn, features) for task in tasks}


def _window_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    masks = {t.name: _mask_splits(source, t) for t in tasks if t.kind == 'mask'}
    scenes = [task for task in tasks if task.kind != 'mask']
    if not scenes:
        return masks
    drawn, features = {}, {}
    for split in SPLITS:
        have = [i for i, p in enumerate(source.drawn[split].photos) if p.acquisitions]
        drawn[split] = source.drawn[split].take(have)
        rows = [photo.acquisitions[0] for photo in drawn[split].photos]
        features[split] = _encode_windows(source, drawn[split], rows, split)['pooled']
    return masks | {task.name: _label_splits(task, drawn, features) for task in scenes}


def _encode_windows(
    source: Source, drawn: Drawn, rows: Sequence[int], split: str
) -> dict[str, np.ndarray]:
    pipeline = Pipeline(without(source.config, 'sv'), split, train=False)
    found = windows.find(pipeline, drawn)
    return source.encoders.windows(windows.images(source.store, source.config, found, rows))


def _label_splits(
    task: Task, drawn: dict[str, Drawn], features: dict[str, np.ndarray]
) -> list[Splits]:
    """Rows of one task, for each parameter set; examples without the label are left out."""
    made = {}
    for split in SPLITS:
        kept = drawn[split]
        targets = _targets(task, kept)
        known = np.isfinite(targets).reshape(len(targets), -1).all(axis=1) & _counts(task, kept)
        if task.kind == 'class':
            targets = targets.astype(np.int64)
            known &= targets >= 0
        if not known.any():
            raise InputError(f'task {task.name}: no example of split {split} has its label.')
        made[split] = [Rows(x[known], targets[known], kept.tile[known]) for x in features[split]]
    return [Splits(*rows) for rows in zip(*made.values(), strict=True)]


def _targets(task: Task, drawn: Drawn) -> np.ndarray:
    """Classes [n], or values [n, k] float64."""
    values = np.stack([photo.labels[task.label] for photo in drawn.photos])
    if task.kind == 'class':
        return values.reshape(len(values))
    return values.reshape(len(values), -1).astype(np.float64)


def _counts(task: Task, drawn: Drawn) -> np.ndarray:
    """bool [n]: a label of the whole tile counts once, however many photos carry it."""
    counts = np.ones(len(drawn.photos), bool)
    if task.on == 'tile':
        _, first = np.unique(drawn.tile, return_index=True)
        counts[:] = False
        counts[first] = True
    return counts


def _mask_splits(source: Source, task: Task) -> list[Splits]:
    """Tokens against class shares, a row a patch, for each parameter set."""
    made = {}
    for split in SPLITS:
        pool = source.drawn[split]
        have = [i for i, p in enumerate(pool.photos) if p.acquisitions]
        drawn = pool.take(have).one_a_tile(source.sizes.tiles(split))
        made[split] = _cells(source, task, split, drawn)
    return [Splits(*rows) for rows in zip(*made.values(), strict=True)]


def _cells(source: Source, task: Task, split: str, drawn: Drawn) -> list[Rows]:
    dated = [photo.acquisitions for photo in drawn.photos]
    dates = min(map(len, dated)) if task.dates == 'all' else 1
    features = np.concatenate(
        [
            _encode_windows(source, drawn, [rows[date] for rows in dated], split)['cells']
            for date in range(dates)
        ],
        axis=-1,
    )
    sets, n, h, w, _ = features.shape
    pipeline = Pipeline(without(source.config, 'sv'), split, train=False)
    found = windows.find(pipeline, drawn)
    labels = windows.masks(source.store, task.label, found, [rows[0] for rows in dated])
    shares = np.stack([class_shares(mask, (h, w), len(task.classes)) for mask in labels])
    shares = shares.reshape(n * h * w, -1)
    known = np.flatnonzero(np.isfinite(shares).all(axis=1))
    if len(known) > MOST_CELLS:
        known = np.sort(np.random.default_rng(0).permutation(known)[:MOST_CELLS])
    groups = np.repeat(drawn.tile, h * w)[known]
    targets = shares[known].astype(np.float64)
    flat = features.reshape(sets, n * h * w, -1)
    return [Rows(x[known], targets, groups) for x in flat]
