"""A table of labelled places, checked, and its splits."""

import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float

from gair_jax.config import InputError
from gair_jax.geo.blocks import degree_blocks
from gair_jax.transfer import place_images
from gair_jax.transfer.place_settings import PlacesConfig

PARTS = ('train', 'val', 'test')
_READERS: dict[str, Callable[..., pd.DataFrame]] = {
    '.csv': pd.read_csv,
    '.parquet': pd.read_parquet,
}


class Places(NamedTuple):
    """Labelled places.

    lonlat: degrees.
    targets: class int [n], or float [n, 1].
    classes: names; () of numbers.
    split: of each row as the table has it; '' where it has none.
    images: features of the image there; of width 0 where there are none.
    """

    lonlat: Float[np.ndarray, 'n 2']
    targets: np.ndarray
    classes: tuple[str, ...]
    split: np.ndarray
    images: Float[np.ndarray, 'n d']


class Parts(NamedTuple):
    """Rows that are fitted, that choose and that are scored, bool [n], and what hangs together."""

    train: Bool[np.ndarray, ' n']
    val: Bool[np.ndarray, ' n']
    test: Bool[np.ndarray, ' n']
    groups: np.ndarray


def read(settings: PlacesConfig) -> Places:
    """The rows of the table that have a label.

    Raises:
      InputError: the table, a column or a value cannot be used.
    """
    path = pathlib.Path(settings.table)
    frame = read_frame(path)
    for name in ('lon', 'lat', settings.target):
        if name not in frame:
            raise InputError(
                f'{path}: column {name!r} is missing; found {", ".join(map(str, frame.columns))}.'
            )
    rows = len(frame)
    frame = frame.reset_index(drop=True)[frame[settings.target].notna().to_numpy()]
    if settings.rows and len(frame) > settings.rows:
        frame = frame.sample(settings.rows, random_state=settings.seed)
    kept = frame.index.to_numpy()
    frame = frame.reset_index(drop=True)
    lonlat = _lonlat(path, frame)
    targets, classes = _targets(path, frame[settings.target], settings.kind)
    split = frame['split'].astype(str).to_numpy() if 'split' in frame else np.full(len(frame), '')
    if settings.head != 'linear' and classes:
        raise InputError(f'head: {settings.head} answers a number, found classes in {path}.')
    images = np.empty((len(frame), 0), np.float32)
    if settings.images:
        images = place_images.read(pathlib.Path(settings.images), rows, kept)
    return Places(lonlat, targets, classes, split, images)


def read_frame(path: pathlib.Path) -> pd.DataFrame:
    """A table of .csv or .parquet, refused in a sentence."""
    if path.suffix.lower() not in _READERS:
        raise InputError(f'{path}: expected a table named *.csv or *.parquet.')
    try:
        return _READERS[path.suffix.lower()](path)
    except FileNotFoundError:
        raise InputError(f'{path}: no such table.') from None
    except (OSError, ValueError, pd.errors.ParserError, pa.ArrowException) as error:
        raise InputError(f'{path}: cannot be read as a table: {error}.') from error


def _lonlat(path: pathlib.Path, frame: pd.DataFrame) -> np.ndarray:
    try:
        lonlat = frame[['lon', 'lat']].to_numpy(np.float64)
    except (ValueError, TypeError):
        raise InputError(f'{path}: expected numbers in lon and lat, found text.') from None
    if not len(lonlat):
        raise InputError(f'{path}: no row has a label.')
    check_degrees(str(path), lonlat, np.ones(len(lonlat), bool))
    return lonlat


def check_degrees(where: str, lonlat: np.ndarray, known: np.ndarray) -> None:
    """Refuses places that cannot be, or look like radians.

    Args:
      where: how the sentence calls the rows.
      lonlat: degrees [n, 2].
      known: bool [n], rows that are looked at.

    Raises:
      InputError: says which row.
    """
    limits = np.array([180.0, 90.0])
    wrong = known & ~(np.abs(lonlat) <= limits).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        lon, lat = lonlat[row]
        swapped = np.isfinite(lonlat[row]).all() and abs(lat) <= 180 and abs(lon) <= 90
        hint = ' (are lon and lat swapped?)' if swapped else ''
        raise InputError(
            f'{where}: row {row + 1}: expected degrees, longitude -180..180 and latitude -90..90, '
            f'found {lon:g}, {lat:g}{hint}.'
        )
    if known.sum() > 9 and (np.abs(lonlat[known]) <= limits * np.pi / 180).all():
        raise InputError(
            f'{where}: expected degrees; all places lie within pi and pi / 2, which looks like '
            'radians.'
        )


def _targets(
    path: pathlib.Path, column: pd.Series, kind: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if kind == 'regression' or (not kind and numbers):
        if not numbers:
            raise InputError(f'{path}: {column.name}: expected numbers for regression, found text.')
        values = column.to_numpy(np.float64)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise InputError(f'{path}: {column.name}, row {row + 1}: found {values[row]}.')
        if np.ptp(values) == 0:
            raise InputError(f'{path}: {column.name}: expected values that vary, found one.')
        return values[:, None], ()
    names, codes = np.unique(column.astype(str).to_numpy(), return_inverse=True)
    if len(names) < 2:
        raise InputError(f'{path}: {column.name}: expected two classes or more, found {names[0]}.')
    return codes.astype(np.int64), tuple(names.tolist())


def parts(settings: PlacesConfig, places: Places, split: str) -> Parts:
    """The rows of each part, and what intervals are drawn over: rows, or blocks.

    Raises:
      InputError: a part has no row, or the table has no such split.
    """
    count = len(places.lonlat)
    rng = np.random.default_rng(settings.seed)
    blocks = degree_blocks(places.lonlat, settings.block_degrees)
    if split == 'table':
        found = {name: places.split == name for name in PARTS}
        if not found['val'].any():
            # As many as else, of what is fitted.
            chosen = rng.random(count) < settings.val_share
            found['val'] = found['train'] & chosen
            found['train'] = found['train'] & ~chosen
        groups = blocks
    else:
        groups = np.arange(count) if split == 'random' else blocks
        found = dict(zip(PARTS, _drawn(groups, settings, rng), strict=True))
    if empty := [name for name in PARTS if not found[name].any()]:
        raise InputError(
            f'{settings.table}: split {split}: expected rows in train, val and test, found none in '
            f'{empty[0]}.'
        )
    groups = np.unique(groups, return_inverse=True)[1]
    return Parts(found['train'], found['val'], found['test'], groups)


def _drawn(
    groups: np.ndarray, settings: PlacesConfig, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Whole groups in a drawn order: test first, then val, and train the rest."""
    order = rng.permutation(groups.max() + 1)
    sizes = np.bincount(groups)[order]
    middle = np.cumsum(sizes) - sizes / 2
    test = middle < settings.test_share * len(groups)
    fitted = len(groups) - sizes[test].sum()
    val = ~test & (middle - sizes[test].sum() < settings.val_share * fitted)
    of_group = np.empty(len(order), np.int8)
    of_group[order] = np.where(test, 2, np.where(val, 1, 0))
    for part in range(3):
        yield of_group[groups] == part


def copies(places: Places, found: Parts) -> int:
    """How many test rows lie at the very place of a training row: their label may be known."""
    fitted = {place.tobytes() for place in places.lonlat[found.train]}
    return sum(place.tobytes() in fitted for place in places.lonlat[found.test])
