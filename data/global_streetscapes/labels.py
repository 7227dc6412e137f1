"""Labels of Global Streetscapes: their tables, classes in an order of our own, tasks."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gair_jax.builders import prepared
from gair_jax.builders.columns import read, unique
from gair_jax.config import InputError

TABLES = {'perception': 'perception.csv', 'predicted': 'contextual.csv'}
PERCEPTION = ('Beautiful', 'Boring', 'Depressing', 'Lively', 'Safe', 'Wealthy')
MOST = 10.0
CLASSES = {
    'platform': (
        'walking surface',
        'driving surface',
        'cycling surface',
        'railway',
        'fields',
        'tunnel',
    ),
    'view_direction': ('front/back', 'side'),
}
UNKNOWN = -1
_OPTIONAL = ('source', 'orig_id')


def content(labels: str) -> tuple[prepared.Labels, dict[str, dict[str, Any]]]:
    """Shapes and types of the labels, and the tasks that use them."""
    shared = {'encoder': 'sv', 'on': 'photo'}
    if labels == 'perception':
        names = [name.lower() for name in PERCEPTION]
        task = {**shared, 'label': 'perception', 'kind': 'regression', 'classes': names}
        return {'perception': ((len(names),), np.float32)}, {'perception': task}
    tasks = {
        name: {**shared, 'label': name, 'kind': 'class', 'classes': list(classes)}
        for name, classes in CLASSES.items()
    }
    return {name: ((), np.int32) for name in CLASSES}, tasks


def _by_uuid(
    path: pathlib.Path, texts: Iterable[str] = (), numbers: Sequence[str] = ()
) -> pd.DataFrame:
    found = read(path, ['uuid', *texts], numbers=numbers, optional=_OPTIONAL)
    return unique(path, found, 'uuid')


def perception(path: pathlib.Path) -> pd.DataFrame:
    """Rows of perception.csv with `perception`, six values from 0 to 10."""
    found = _by_uuid(path, numbers=PERCEPTION)
    for name in PERCEPTION:
        wrong = ~found[name].between(0, MOST)  # also where it is nan
        if wrong.any():
            uuid, value = found.loc[wrong, ['uuid', name]].iloc[0]
            raise InputError(
                f'{path}: column {name}: expected a number from 0 to 10, found {value} at {uuid}.'
            )
    values = found[list(PERCEPTION)].to_numpy(np.float32)
    return found.drop(columns=list(PERCEPTION)).assign(perception=list(values), split='')


def codes(path: pathlib.Path, cells: pd.Series, attribute: str) -> pd.Series:
    """Class of each cell of an attribute, -1 for an empty one; InputError for an unknown label."""
    classes = CLASSES[attribute]
    names = cells.str.strip().str.lower().str.replace(r'\s*/\s*', '/', regex=True)
    unknown = ~names.isin([*classes, ''])
    if unknown.any():
        raise InputError(
            f'{path}: column {attribute}: expected one of {", ".join(classes)}, found '
            f'{cells[unknown].iloc[0]!r}.'
        )
    order = {name: number for number, name in enumerate(classes)}
    return names.map({**order, '': UNKNOWN}).astype(np.int32)


def predicted(path: pathlib.Path) -> pd.DataFrame:
    """Rows of contextual.csv with the class of each attribute."""
    found = _by_uuid(path, CLASSES)
    for name in CLASSES:
        found[name] = codes(path, found[name], name)
    return found.assign(split='')


def by_hand(folder: pathlib.Path, attribute: str) -> dict[str, pathlib.Path]:
    """The table of an attribute for each official split."""
    return {split: folder / split / f'{attribute}.csv' for split in ('train', 'test')}


def _read_by_hand(folder: pathlib.Path, attribute: str) -> pd.DataFrame:
    """Rows of both tables of an attribute, with `split`."""
    parts = []
    for split, path in by_hand(folder, attribute).items():
        part = _by_uuid(path, [attribute])
        part[attribute] = codes(path, part[attribute], attribute)
        parts.append(part.assign(split=split))
    both = set(parts[0]['uuid']) & set(parts[1]['uuid'])
    if both:
        raise InputError(f'{folder}: {attribute}: {min(both)} stands in train and in test.')
    return pd.concat(parts, ignore_index=True)


def manual(folder: pathlib.Path) -> tuple[pd.DataFrame, list[str]]:
    """Photos labelled by hand, with their official split, and a sentence where it was changed.

    A photo in train for one attribute and in test for another stays in test, without the label that
    is for training, so that the official test photos of no attribute grow.
    """
    labelled = {name: _read_by_hand(folder, name) for name in CLASSES}
    every = pd.concat(labelled.values(), ignore_index=True)
    keys = [name for name in ('uuid', *_OPTIONAL) if every.get(name) is not None]
    every[keys] = every[keys].fillna('')
    tests = set(every.loc[every['split'] == 'test', 'uuid'])
    found = every.drop_duplicates('uuid')[keys].reset_index(drop=True)
    found['split'] = np.where(found['uuid'].isin(tests), 'test', 'train')
    aside = 0
    for name, part in labelled.items():
        lost = (part['split'] == 'train') & part['uuid'].isin(tests)
        aside += int(lost.sum())
        found[name] = found['uuid'].map(part[~lost].set_index('uuid')[name])
        found[name] = found[name].fillna(UNKNOWN).astype(np.int32)
    text = f'{aside} labels for training are left out, as their photos are test photos of another.'
    return found, [text] if aside else []
