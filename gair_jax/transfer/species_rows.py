"""Observations of classes, whichever layout they come from: checked, and split.

A training row needs a place and, where users are known at all, a user (TorchSpatial). A test row
needs neither: without a place the photo alone answers it.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gair_jax.config import InputError
from gair_jax.geo.blocks import degree_blocks
from gair_jax.transfer.place_rows import check_degrees


class Observations(NamedTuple):
    """Rows of one split, in the order of their predictions.

    lonlat: degrees; nan where the place is not known.
    label: class.
    user: -1 where it is not known.
    whole: nothing is missing that training asks for.
    """

    lonlat: Float[np.ndarray, 'n 2']
    label: Int[np.ndarray, ' n']
    user: Int[np.ndarray, ' n']
    whole: Bool[np.ndarray, ' n']

    @property
    def placed(self) -> Bool[np.ndarray, ' n']:
        """Whether a row's place is known."""
        return np.isfinite(self.lonlat).all(axis=1)

    def at(self, rows: np.ndarray) -> 'Observations':
        """Some of the rows."""
        return Observations(*(values[rows] for values in self))


class Species(NamedTuple):
    """A data set.

    train: whole rows only; users are numbered 0..users-1, or all -1.
    val, test: all rows; `val` has none where the data set has no such split.
    classes: names, in the order of the columns of predictions.
    users: how many are known.
    left_out: training rows that lacked a place or user.
    predictions: of the layout for the test rows; None where it has none of its own.
    """

    train: Observations
    val: Observations
    test: Observations
    classes: tuple[str, ...]
    users: int
    left_out: int
    predictions: pathlib.Path | None


NOTHING = Observations(
    np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool)
)


def observations(
    where: str,
    lonlat: Float[np.ndarray, 'n 2'],
    label: Int[np.ndarray, ' n'],
    user: Int[np.ndarray, ' n'],
    dated: Bool[np.ndarray, ' n'] | None = None,
) -> Observations:
    """Rows of a split, checked; `where` is how a sentence names them.

    `dated` is false where a layout asks for a date that is missing. A row of which one coordinate
    is missing has no place.

    Raises:
      InputError: a place cannot be.
    """
    placed = ~np.isnan(lonlat).any(axis=1)
    check_degrees(where, lonlat, placed)
    known = np.where(placed[:, None], lonlat, np.nan)
    whole = placed & ((user >= 0) | (user < 0).all())
    return Observations(known, label, user, whole if dated is None else whole & dated)


def gathered(
    where: str,
    train: Observations,
    val: Observations,
    test: Observations,
    classes: tuple[str, ...],
    predictions: pathlib.Path | None,
) -> Species:
    """The data set of its splits, checked.

    Raises:
      InputError: a split is empty, a class is none of `classes`, or training has a single one.
    """
    for name, rows in (('train', train), ('test', test)):
        if not len(rows.label):
            raise InputError(f'{where}: expected rows in the split {name}, found none.')
    for name, rows in (('train', train), ('val', val), ('test', test)):
        _check_labels(f'{where}: {name}', rows.label, len(classes))
    kept = train.at(np.flatnonzero(train.whole))
    if not len(kept.label):
        raise InputError(
            f'{where}: expected training rows with a place and user, found none of '
            f'{len(train.label)}.'
        )
    if len(np.unique(kept.label)) < 2:
        raise InputError(
            f'{where}: expected two classes or more to train on, found only '
            f'{classes[kept.label[0]]!r}.'
        )
    users = np.unique(kept.user[kept.user >= 0], return_inverse=True)
    if len(users[0]):
        kept = kept._replace(user=users[1].astype(np.int64))
    left_out = len(train.label) - len(kept.label)
    return Species(kept, val, test, classes, len(users[0]), left_out, predictions)


def _check_labels(where: str, label: np.ndarray, classes: int) -> None:
    wrong = (label < 0) | (label >= classes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f'{where}, row {at + 1}: expected a class 0..{classes - 1}, found {label[at]}.'
        )


def with_val(species: Species, share: float, seed: int) -> Species:
    """The data set with a val drawn from train where it has none.

    Raises:
      InputError: too few rows to draw from, or a val without any place.
    """
    if len(species.val.label):
        if not species.val.placed.any():
            raise InputError('split val: expected rows with a place to choose by, found none.')
        return species
    drawn = np.random.default_rng(seed).random(len(species.train.label)) < share
    if drawn.all() or not drawn.any():
        raise InputError(
            f'val_share: expected rows in train and val, found {len(drawn)} training rows, of '
            f'which {share} chooses {int(drawn.sum())}.'
        )
    train, val = species.train.at(np.flatnonzero(~drawn)), species.train.at(np.flatnonzero(drawn))
    return species._replace(train=train, val=val)


def blocks(rows: Observations, side: float) -> Int[np.ndarray, ' n']:
    """What intervals are drawn over: cells of `side` degrees, or rows where it is 0.

    A row without a place is a group of its own.
    """
    groups = np.arange(len(rows.label))
    if not side:
        return groups
    placed = rows.placed
    groups[placed] = len(groups) + degree_blocks(rows.lonlat[placed], side)
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)
