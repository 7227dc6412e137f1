"""Observations of the user's own table: lon, lat, class, split and, where it is known, user."""

import pathlib

import numpy as np
import pandas as pd

from gair_jax.config import InputError
from gair_jax.transfer import photo_scores
from gair_jax.transfer.place_rows import PARTS, read_frame
from gair_jax.transfer.species_rows import NOTHING, Observations, Species, gathered, observations

COLUMNS = ('lon', 'lat', 'class', 'split')


def read(table: str, predictions: str, class_names: str) -> Species:
    """The data set of a table.

    Whole numbers in `class` are columns of the predictions. Text is one of the names, in the order
    of the file `class_names`, or sorted where there is none.

    Raises:
      InputError: the table, a column or a value cannot be used.
    """
    path = pathlib.Path(table)
    frame = read_frame(path)
    if missing := [name for name in COLUMNS if name not in frame]:
        raise InputError(
            f'{path}: column {missing[0]!r} is missing; found {", ".join(map(str, frame.columns))}.'
        )
    odd = frame.loc[~frame['split'].isin(PARTS), 'split']
    if len(odd):
        raise InputError(f'{path}: split: expected {", ".join(PARTS)}, found {odd.iloc[0]!r}.')
    labels, classes = _classes(path, frame['class'], predictions, class_names)
    users = _users(frame)
    train, val, test = (
        _rows(path, frame, labels, users, (frame['split'] == split).to_numpy(), split)
        for split in PARTS
    )
    return gathered(str(path), train, val, test, classes, None)


def _rows(
    path: pathlib.Path, frame: pd.DataFrame, labels: np.ndarray, users: np.ndarray,
    own: np.ndarray, split: str,
) -> Observations:  # fmt: skip
    if not own.any():
        return NOTHING
    try:
        lonlat = frame.loc[own, ['lon', 'lat']].to_numpy(np.float64)
    except (ValueError, TypeError):
        raise InputError(f'{path}: expected numbers in lon and lat, found text.') from None
    return observations(f'{path}, {split}', lonlat, labels[own], users[own])


def _users(frame: pd.DataFrame) -> np.ndarray:
    """Numbers of users, which may be text; -1 where none is named."""
    if 'user' not in frame:
        return np.full(len(frame), -1, np.int64)
    return pd.factorize(frame['user'])[0].astype(np.int64)


def _classes(
    path: pathlib.Path, column: pd.Series, predictions: str, class_names: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    if column.isna().any():
        row = int(np.argmax(column.isna()))
        raise InputError(f'{path}: class, row {row + 1}: expected a class, found none.')
    if pd.api.types.is_integer_dtype(column):
        numbers = column.to_numpy(np.int64)
        if class_names:
            return numbers, _names(pathlib.Path(class_names))
        count = (
            photo_scores.width(pathlib.Path(predictions)) if predictions else int(numbers.max()) + 1
        )
        return numbers, tuple(map(str, range(count)))
    if pd.api.types.is_numeric_dtype(column):
        raise InputError(f'{path}: class: expected text or whole numbers, found {column.dtype}.')
    text = column.astype(str)
    names = _names(pathlib.Path(class_names)) if class_names else tuple(sorted(text.unique()))
    order = {name: number for number, name in enumerate(names)}
    if lost := [name for name in text.unique() if name not in order]:
        raise InputError(f'{class_names}: expected every class of {path}, found no {lost[0]!r}.')
    return text.map(order).to_numpy(np.int64), names


def _names(path: pathlib.Path) -> tuple[str, ...]:
    try:
        found = path.read_text(encoding='utf-8').splitlines()
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f'{path}: no such file of class names.') from None
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: expected a name a line as text, found {error}.') from error
    if len(set(found)) < len(found) or not all(found):
        twice = next(name for name in found if not name or found.count(name) > 1)
        raise InputError(f'{path}: expected each name once, found {twice!r} again or empty.')
    return tuple(found)
