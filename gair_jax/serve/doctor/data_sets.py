"""Examines a prepared data set: whether it is whole, agrees with its notes, and can be read.

`gair data check` reads every record. Here that is done for small sets alone, by the function that
is handed in; of others the first and last record of each split are read, as what was cut short,
copied in part or written over shows there.
"""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from gair_jax.config import DataConfig, InputError
from gair_jax.input.store import Records, Store
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable

MOST_RECORDS = 20_000  # read whole: some seconds to a minute
KINDS = ('_photos', '_acquisitions')


class Variant(NamedTuple):
    """One build: `data_dir`/`name`/`variant`_photos."""

    data_dir: pathlib.Path
    name: str
    variant: str


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a data folder, a data set in it, or one variant."""
    variants = _variants(path.absolute())
    if not variants:
        return [
            unusable(path, 'expected a prepared data set, found none; gair data build makes one')
        ]
    return [finding for variant in variants for finding in _examine(path, variant, expected)]


def _variants(path: pathlib.Path) -> list[Variant]:
    """What a folder of any level means: the variants in it, or the one that it is a part of."""
    for at in (path, path.parent):
        for kind in KINDS:
            if at.name.endswith(kind):
                name = at.parent
                return [Variant(name.parent, name.name, at.name.removesuffix(kind))]
    names = [path] if any(path.glob('*_photos')) or any(path.glob('*_acquisitions')) else []
    names = names or sorted(child for child in path.iterdir() if child.is_dir())
    found = set()
    for name in names:
        for kind in (*KINDS, '.staging'):
            for folder in name.glob(f'*{kind}'):
                found.add(Variant(name.parent, name.name, folder.name.removesuffix(kind)))
    return sorted(found)


def _examine(path: pathlib.Path, at: Variant, expected: Expected) -> list[Finding]:
    where = f'data set {at.name}, variant {at.variant}'
    folder = at.data_dir / at.name
    if (folder / f'{at.variant}.staging').exists():
        return [
            unusable(path, f'{where}: found a build that did not end; the same command goes on')
        ]
    try:
        store = Store(DataConfig(dir=str(at.data_dir), name=at.name, variant=at.variant))
        counts = {**store.splits, 'tiles': len(store.tiles)}
        found = [*_notes(path, where, store, counts)]
        found += _records(path, where, store, at, counts, expected)
    except InputError as error:
        return [unusable(path, f'{where}: {str(error).rstrip(".")}')]
    except Exception as error:  # what TFDS and ArrayRecord raise for files that are cut or absent
        first = str(error).strip().split('\n')[0][:160] or type(error).__name__
        return [unusable(path, f'{where}: expected whole files, found {first}')]
    listed = ', '.join(f'{name} {count}' for name, count in counts.items())
    return or_fine(path, found, f'{where}: {listed}')


def _notes(
    path: pathlib.Path, where: str, store: Store, counts: dict[str, int]
) -> Iterator[Finding]:
    noted = store.metadata.get('counts', counts)
    if noted != counts:
        yield suspicious(
            path, f'{where}: expected the counts of its build, {noted}, found {counts}'
        )
    if not any(store.splits.values()):
        yield unusable(path, f'{where}: expected records, found none')


def _records(
    path: pathlib.Path,
    where: str,
    store: Store,
    at: Variant,
    counts: dict[str, int],
    expected: Expected,
) -> list[Finding]:
    """What is found in the records: in all of a small set, else in those at the ends."""
    if expected.check_data_set and sum(counts.values()) <= MOST_RECORDS:
        checked = expected.check_data_set(at.data_dir, at.name, at.variant)
        return [suspicious(path, f'{where}: {text.rstrip(".")}') for text in checked.findings]
    sources: list[Records] = [store.tiles, *(store.photos(split) for split in store.splits)]
    for source in sources:
        for index in {0, len(source) - 1} if len(source) else ():
            source[index]  # raises InputError where it cannot be read
    return []
