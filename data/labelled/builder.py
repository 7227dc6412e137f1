"""Anyone's own labels: classes, numbers or masks of photos and tiles.

Source: a table (.csv or .parquet) with a column photo or tile (GeoTIFF) or both, and a column for
each target; or a tree of folders `<root>/<split>/<class>/*` or `<root>/<class>/*` of photos or
GeoTIFFs. Without a split of its own it is drawn from a hash of the seed and the file's name, or the
row's group where there is one, 80/10/10, or from blocks of ground, 60/20/20.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from gair_jax.builders import build_options, build_report, labelled_chunks, labelled_rows, prepared
from gair_jax.builders.labelled import blocks, sources
from gair_jax.builders.photos.chunks import draw_split
from gair_jax.config import InputError

KINDS = ('class', 'regression', 'mask')
FRACTIONS = (0.8, 0.1, 0.1)


class Labelled(prepared.PreparedBuilder):
    """Photos and tiles with labels of anyone's own."""


def _codes(cells: pd.Series, classes: Sequence[str], name: str) -> pd.Series:
    unknown = ~cells.isin([*classes, ''])
    if unknown.any():
        raise InputError(
            f'target {name}: expected one of {", ".join(classes)}, found '
            f'{cells[unknown].iloc[0]!r} in row {int(np.argmax(unknown)) + 1}.'
        )
    order = {label: number for number, label in enumerate(classes)}
    return cells.map({**order, '': -1}).astype(np.int32)


def _numbers(cells: pd.Series, name: str) -> pd.Series:
    values = pd.to_numeric(cells.where(cells != '', 'nan'), errors='coerce').astype(np.float32)
    wrong = (values.isna() & (cells != '')) | np.isinf(values)
    if wrong.any():
        raise InputError(
            f'target {name}: expected finite numbers or empty cells, found '
            f'{cells[wrong].iloc[0]!r} in row {int(np.argmax(wrong)) + 1}.'
        )
    return values


def _task(rows: pd.DataFrame, name: str, kind: str, classes: Sequence[str]) -> dict[str, Any]:
    """The task of a target, whose column of `rows` becomes numbers."""
    encoder = 'sv' if (rows['photo'] != '').any() and kind != 'mask' else 'rs'
    task = {'encoder': encoder, 'label': name, 'on': 'photo', 'kind': kind}
    column = labelled_chunks.LABEL + name
    if kind == 'mask':
        series = rows['tile'].str.contains(';').any()
        return {
            **task, 'on': 'tile', 'classes': list(classes), 'dates': 'all' if series else 'first',
        }  # fmt: skip
    if kind == 'regression':
        rows[column] = _numbers(rows[column], name)
        return {**task, 'classes': [name]}
    names = list(classes) or sorted(set(rows[column]) - {''})
    rows[column] = _codes(rows[column], names, name)
    return {**task, 'classes': names}


def _check(kind: str, targets: Sequence[str], classes: Sequence[str]) -> None:
    if kind not in KINDS:
        raise InputError(f'kind: expected {", ".join(KINDS)}, found {kind!r}.')
    if kind == 'mask' and (len(targets) != 1 or not classes):
        raise InputError('kind mask: expected one target, and its classes in order (--classes).')


def _drawn(rows: pd.DataFrame, seed: int) -> pd.Series:
    """A split of each row, by its group or file."""
    files = rows['tile'].where(rows['tile'] != '', rows['photo'])
    keys = rows['group'].where(rows['group'] != '', files)
    return keys.map(lambda key: draw_split(key, FRACTIONS, seed))


def build(
    source: str | os.PathLike,
    *,
    root: str | os.PathLike = '',
    targets: Sequence[str] = (),
    kind: str = 'class',
    classes: Sequence[str] = (),
    sensor: str = 'sentinel2_10',
    block_km: float = 0.0,
    seed: int = 0,
    **options: Unpack[build_options.RowOptions],
) -> build_report.BuildReport:
    """Prepares the data set `labelled`.

    Args:
      source: a table, or a folder whose folders are classes.
      root: folder of the files that a table names; '' for the table's own.
      targets: columns of the labels; of a tree the one target is `class`.
      kind: 'class', 'regression', or 'mask': the column names single-band GeoTIFFs on the pixels of
        the tile, of values from 0 in the order of `classes`, 255 unknown.
      classes: in order; () for all labels found, sorted.
      sensor: contract whose bands are taken from tiles.
      block_km: side of blocks of ground that are whole in one split; 0: no blocks.
      seed: of the split.
      **options: `build_options.RowOptions`.

    Raises:
      InputError: source, column or label cannot be used, more rows fail than may, or nothing can be
        written.
    """
    source = pathlib.Path(source)
    tree = source.is_dir()
    root = source if tree else pathlib.Path(root or source.parent)
    targets = ('class',) if tree else tuple(targets)
    _check(kind, targets, classes)
    if tree and kind != 'class':
        raise InputError(f'{source}: a tree of folders holds classes; found kind {kind!r}.')
    rows = sources.tree(source) if tree else sources.table(source, root, targets, kind == 'mask')
    tasks = {name: _task(rows, name, kind, classes) for name in targets}
    drawn = (
        blocks.draw(rows, root, sensor, km=block_km, seed=seed) if block_km else _drawn(rows, seed)
    )
    rows['split'] = rows['split'].where(rows['split'] != '', drawn)
    mask = targets[0] if kind == 'mask' else ''
    dtype = np.float32 if kind == 'regression' else np.int32
    specs: prepared.Labels = {} if mask else {name: ((), dtype) for name in targets}
    placed = bool(rows['lon'].notna().any() or (rows['tile'] != '').any())
    job = labelled_chunks.Job(
        pathlib.Path(), root, specs, placed=placed, sensor=sensor, mask=mask, classes=len(classes)
    )
    return labelled_rows.prepare(
        Labelled,
        rows,
        job,
        tasks,
        source=source,
        targets=targets if kind == 'regression' else (),
        **options,
    )
