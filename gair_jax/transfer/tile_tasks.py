"""Tasks of the remote sensing encoder: classes and values of windows, and masks.

A mask is probed at the resolution of the patches: from a patch's token the share of each class in
it is predicted, and R2 over the patches is scored. Where a task spans all dates of a tile, the
tokens of one patch at every date stand side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gair_jax.scores.segmentation import class_shares
from gair_jax.transfer import colour, windows
from gair_jax.transfer.features import Drawn, in_batches
from gair_jax.transfer.probes import Rows, Splits
from gair_jax.transfer.tasks import SPLITS, Source, Task, having, label_splits

# Rows of patches a split: more only costs time, as patches of a tile resemble each other.
MOST_CELLS = 8000


def window_tasks(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Rows of the tasks of the RS encoder, for each parameter set."""
    found: dict[str, list[Splits]] = {}
    if own := [task for task in tasks if task.kind == 'mask']:
        found |= _mask_splits(source, own)
    if own := [task for task in tasks if task.kind != 'mask']:
        drawn = having(source, lambda photo: bool(photo.acquisitions))
        features = {s: _encode_windows(source, drawn[s], s, 0, 'pooled') for s in SPLITS}
        found |= {task.name: label_splits(task, drawn, features) for task in own}
    return found


def _reader(
    source: Source, drawn: Drawn, split: str, date: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Network inputs of the windows at positions of `drawn`."""
    found = windows.find(source.pipeline(split, 'sv'), drawn)

    def read(at: np.ndarray) -> np.ndarray:
        return np.stack([
            windows.image(source.store, source.config, found[i], drawn.photos[i].acquisitions[date])
            for i in at
        ])  # fmt: skip

    return read


def _encode_windows(source: Source, drawn: Drawn, split: str, date: int, name: str) -> np.ndarray:
    read = _reader(source, drawn, split, date)
    return source.encoders.windows(len(drawn.photos), read, [name])[name]


def colour_features(
    source: Source, name: str, tasks: Sequence[Task]
) -> tuple[Task, dict[str, Drawn], dict[str, np.ndarray]]:
    """The arguments of `label_splits` with colour statistics for an encoder."""
    drawn = having(source, lambda photo: bool(photo.acquisitions))
    bands = colour.true_colour(source.config.input.rs.sensor)
    features = {}
    for split in SPLITS:
        read = _reader(source, drawn[split], split, 0)
        count = len(drawn[split].photos)

        def look(at: np.ndarray, read: Any = read) -> dict[str, np.ndarray]:
            return {'x': colour.statistics(read(at)[..., bands])}

        features[split] = in_batches(count, look)['x'][None]
    return next(task for task in tasks if task.name == name), drawn, features


def _mask_splits(source: Source, tasks: Sequence[Task]) -> dict[str, list[Splits]]:
    """Tokens against class shares, a row a patch, for each task and parameter set."""
    found: dict[str, dict[str, list[Rows]]] = {task.name: {} for task in tasks}
    with_tile = having(source, lambda photo: bool(photo.acquisitions))
    for split in SPLITS:
        drawn = with_tile[split].one_a_tile(source.sizes.tiles(split))
        dates = min(len(photo.acquisitions) for photo in drawn.photos)
        if all(task.dates == 'first' for task in tasks):
            dates = 1
        cells = [_encode_windows(source, drawn, split, date, 'cells') for date in range(dates)]
        for task in tasks:
            used = cells if task.dates == 'all' else cells[:1]
            found[task.name][split] = _cell_rows(source, task, split, drawn, used)
    return {
        name: [Splits(*rows) for rows in zip(*made.values(), strict=True)]
        for name, made in found.items()
    }


def _cell_rows(
    source: Source, task: Task, split: str, drawn: Drawn, cells: Sequence[np.ndarray]
) -> list[Rows]:
    """Rows for each parameter set; `cells` [sets, n, h, w, d] of each date, side by side."""
    features = np.concatenate(cells, axis=-1)
    sets, n, h, w, _ = features.shape
    found = windows.find(source.pipeline(split, 'sv'), drawn)
    rasters = [windows.mask(source.store, task.label, at, at.tile_row) for at in found]
    classes = len(task.classes)
    shares = np.stack([class_shares(raster, (h, w), classes) for raster in rasters])
    shares = shares.reshape(n * h * w, classes)
    known = np.flatnonzero(np.isfinite(shares).all(axis=1))
    if len(known) > MOST_CELLS:
        known = np.sort(np.random.default_rng(0).permutation(known)[:MOST_CELLS])
    groups = np.repeat(drawn.tile, h * w)[known]
    targets = shares[known].astype(np.float64)
    flat = features.reshape(sets, n * h * w, -1)
    return [Rows(x[known], targets, groups) for x in flat]
