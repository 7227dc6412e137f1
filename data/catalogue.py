"""Whether a prepared data set is sound, or its raw files are all there."""

import collections
import dataclasses
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich import console, progress

from gair_jax.builders import mask_tiles, prepared, raw_files, variants
from gair_jax.builders.known import Dataset, list_datasets
from gair_jax.config import DataConfig, InputError
from gair_jax.geo import tiles
from gair_jax.input import records, store

# Findings of one kind after the first few say nothing new.
MAX_EXAMPLES = 5


@dataclasses.dataclass(kw_only=True)
class Check:
    """What `check` found.

    Attributes:
      splits: photos in each split.
      tiles: number of acquisitions.
      with_photo, with_tile: photo records that have an image, and that have a tile.
      crs: acquisitions in each CRS.
      sizes: acquisitions of each (height, width, bands).
      findings: a sentence for everything that is wrong; empty if the data set is sound.
    """

    splits: dict[str, int]
    tiles: int
    with_photo: int = 0
    with_tile: int = 0
    crs: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    sizes: collections.Counter[tuple[int, ...]] = dataclasses.field(
        default_factory=collections.Counter
    )
    findings: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Counts in a line, then a line a finding."""
        splits = ', '.join(f'{split} {count}' for split, count in self.splits.items())
        crs = ', '.join(f'{name} ({count})' for name, count in self.crs.most_common(MAX_EXAMPLES))
        counts = f'{self.with_photo} with a photo, {self.with_tile} with a tile'
        lines = [f'{splits}: {counts}; {self.tiles} tile dates in {crs or "no CRS"}.']
        return '\n'.join([*lines, *self.findings, '' if self.findings else 'Sound.']).rstrip()


class _Tile(NamedTuple):
    """What a photo must agree with."""

    id: str
    tile: int
    bounds: np.ndarray
    crs: str


def counted(total: int, title: str) -> Iterable[int]:
    """0 to total - 1, with a bar where there is a terminal."""
    terminal, hidden = console.Console(stderr=True), not sys.stderr.isatty()
    return progress.track(range(total), title, console=terminal, disable=hidden)


def _read_all(
    source: store.Records[store.Record], findings: list[str], title: str
) -> Iterator[tuple[int, store.Record]]:
    """Every record that can be read; the others become findings."""
    for index in counted(len(source), title):
        try:
            yield index, source[index]
        except InputError as error:
            findings.append(str(error))


def _odd_masks(tile: records.Acquisition, tasks: Iterable[dict[str, Any]]) -> Iterator[str]:
    for task in tasks:
        mask = tile.labels[task['label']]
        odd = mask[(mask >= len(task['classes'])) & (mask != mask_tiles.IGNORED)]
        if odd.size:
            yield (
                f'tile {tile.id}: {task["label"]}: expected a class below {len(task["classes"])} '
                f'or {mask_tiles.IGNORED}, found {odd[0]}.'
            )


def _check_tiles(source: store.Store, check: Check) -> dict[int, _Tile]:
    wanted = tuple(source.metadata['bands'])
    masks = [t for t in source.metadata.get('tasks', {}).values() if t['kind'] == 'mask']
    found = {}
    for row, tile in _read_all(source.tiles, check.findings, 'Tile dates'):
        check.crs[tile.crs or 'no CRS'] += 1
        check.sizes[tile.bands.shape] += 1
        if tile.band_names != wanted:
            check.findings.append(f'tile {tile.id}: bands are {tile.band_names}, not {wanted}.')
        elif tile.bands.dtype.kind == 'f' and not np.isfinite(tile.bands).all():
            check.findings.append(f'tile {tile.id}: some pixels are not finite.')
        check.findings += _odd_masks(tile, masks)
        found[row] = _Tile(tile.id, tile.tile, tile.bounds, tile.crs)
    return found


def _problems(
    photo: records.Photo, dates: dict[int, _Tile], total: int, placed: bool
) -> Iterator[str]:
    """What is wrong with a photo; `placed`: the data set says where its photos and tiles lie."""
    name = f'photo {photo.id}'
    if photo.photo:
        try:
            Image.open(io.BytesIO(photo.photo)).load()
        except (OSError, SyntaxError, ValueError) as error:
            yield f'{name}: its image cannot be decoded: {error}.'
    if not placed and not np.isnan(photo.lonlat).all():
        yield f'{name}: has a place, and the data set says that places are unknown.'
    try:
        if placed:
            tiles.check_lonlat(photo.lonlat, name)
    except InputError as error:
        yield str(error)
        return
    for row in photo.acquisitions:
        if not 0 <= row < total:
            yield f'{name}: refers to tile row {row}, and there are {total}.'
        elif row in dates and dates[row].tile != photo.tile:
            yield f'{name}: refers to tile {dates[row].tile}, and stands in {photo.tile}.'
        elif row in dates and placed:
            try:
                tiles.place_in_tile(photo.lonlat, dates[row].bounds, dates[row].crs, name)
            except InputError as error:
                yield str(error)
                return


def _check_photos(source: store.Store, check: Check, dates: dict[int, _Tile]) -> None:
    findings: list[str] = []
    homes: dict[int, set[str]] = collections.defaultdict(set)
    names: list[tuple[str, str]] = []
    placed = source.metadata.get('georeferenced', True)  # older builds do not say
    for split in source.splits:
        for _, photo in _read_all(source.photos(split), findings, f'Records of {split}'):
            check.with_photo += bool(photo.photo)
            check.with_tile += photo.tile != records.NO_TILE
            findings += _problems(photo, dates, check.tiles, placed)
            homes[photo.tile].add(split)
            names.append((split, photo.id))
    noted = source.metadata.get('splits_sha256')  # older builds do not say
    if noted and noted != prepared.splits_digest(names):
        check.findings.append(f'photos of the splits are not those the build noted: {noted}.')
    homes.pop(records.NO_TILE, None)
    shared = [tile for tile, splits in homes.items() if len(splits) > 1]
    check.findings += _summarise(findings, 'photos')
    if shared:
        check.findings.append(
            f'{len(shared)} tiles have photos in several splits, as tile {shared[0]}.'
        )


def _summarise(findings: list[str], what: str) -> list[str]:
    if len(findings) <= MAX_EXAMPLES:
        return findings
    rest = len(findings) - MAX_EXAMPLES
    return [*findings[:MAX_EXAMPLES], f'... and {rest} more findings on {what}.']


def check(data_dir: str | os.PathLike, name: str, variant: str = 'default') -> Check:
    """Reads every record of a prepared data set and says what is wrong with it.

    Args:
      data_dir: folder that holds prepared data sets.
      name: of the data set.
      variant: of its build.

    Raises:
      InputError: there is no such data set.
    """
    try:
        source = store.Store(DataConfig(dir=os.fspath(data_dir), name=name, variant=variant))
    except InputError as error:
        entry = _known(name)
        if not entry.command:
            raise InputError(f'{name}: cannot be built yet; origin: {entry.origin}.') from error
        raise InputError(f'{error} Origin of the raw data: {entry.origin}.') from error
    found = Check(splits=dict(source.splits), tiles=len(source.tiles))
    dates = _check_tiles(source, found)
    found.findings = _summarise(found.findings, 'tiles')
    _check_photos(source, found, dates)
    counts = variants.built(pathlib.Path(data_dir), name, variant).get('counts', {})
    if counts and counts != {**found.splits, 'tiles': found.tiles}:
        found.findings.append(f'counts differ from those the build noted: {counts}.')
    return found


def missing_files(root: str | os.PathLike, name: str) -> list[str]:
    """A sentence for each raw file of a data set that a folder lacks, with its origin.

    Args:
      root: what `gair data build NAME --source` takes.
      name: of the data set.

    Raises:
      InputError: there is no such data set or folder, or its raw files have no form of their own.
    """
    entry = _known(name)
    absent = raw_files.missing(name, pathlib.Path(root))
    return [f'{path}: missing; origin: {entry.origin}.' for path in absent]


def _known(name: str) -> Dataset:
    for entry in list_datasets():
        if entry.name == name:
            return entry
    raise InputError(f'{name}: unknown; `gair data list` names the data sets.')
