"""The raw files of a data set that a folder lacks: `gair data check NAME --root DIR`.

A path with `*` in its name stands for at least one file of that form.
"""

import pathlib
from collections.abc import Callable, Iterator

from gair_jax.builders import columns, mask_tiles
from gair_jax.builders.ai4smallfarms import builder as farms
from gair_jax.builders.crop_type_south_sudan import builder as crops
from gair_jax.builders.eurosat_ms import builder as chips
from gair_jax.builders.eurosat_rgb import builder as eurosat
from gair_jax.builders.global_streetscapes import builder as streetscapes
from gair_jax.builders.global_streetscapes import labels
from gair_jax.builders.hls_burn_scars import builder as burn_scars
from gair_jax.config import InputError

Missing = Iterator[pathlib.Path]

# Files of TorchSpatial's archive, wherever in it they lie.
_OF_PLACES: dict[str, tuple[str, ...]] = {
    'birdsnap': ('birdsnap_with_loc_2019.json',),
    'birdsnap_ebird': ('birdsnap_with_loc_2019.json',),
    'nabirds': ('nabirds_with_loc_2019.json',),
    **{
        f'inat{year}': tuple(
            f'{name}.json'
            for name in (
                f'train{year}',
                f'train{year}_locations',
                f'val{year}',
                f'val{year}_locations',
                f'categories{year}',
            )
        )
        for year in (2017, 2018)
    },
    **{
        f'mosaiks_{name}': (f'Y_{name.partition("_")[0]}.csv',)
        for name in ('population', 'elevation', 'forest_cover', 'nightlights')
    },
    'yfcc': ('train_test_split.csv', 'class_names.csv'),
    'fmow': tuple(
        f'{name}.json' for name in ('train', 'train_location', 'val', 'val_location', 'category')
    ),
}


def missing(name: str, root: pathlib.Path) -> list[pathlib.Path]:
    """Paths under `root` of the raw files of a data set that are not there.

    Raises:
      InputError: the root is no folder, no form of such files is known, or a table that names
        others cannot be used.
    """
    if name not in _OF_PLACES and name not in _FORMS:
        known = ', '.join([*_FORMS, *_OF_PLACES])
        raise InputError(f'--root: expected a data set of published files ({known}), found {name}.')
    if not root.is_dir():
        raise InputError(f'{root}: expected a folder of raw files, found none.')
    if name in _FORMS:
        return list(_FORMS[name](root))
    return [root / file for file in _OF_PLACES[name] if next(root.rglob(file), None) is None]


def _absent(*paths: pathlib.Path) -> Missing:
    return (path for path in paths if not path.exists())


def _pairs(images: pathlib.Path, masks: pathlib.Path, suffixes: tuple[str, str]) -> Missing:
    """What images or masks lack of their pairs, or both forms where there is no pair."""
    kinds = list(zip((images, masks), suffixes, strict=True))
    found = [set(mask_tiles.names(f, suffix)) if f.is_dir() else set() for f, suffix in kinds]
    for name in sorted(found[0] | found[1]) or ['*']:
        for own, (folder, suffix) in zip(found, kinds, strict=True):
            if name not in own:
                yield folder / f'{name}{suffix}'


def _burn_scars(root: pathlib.Path) -> Missing:
    for name in ('training', 'validation'):
        yield from _pairs(root / name, root / name, (burn_scars.IMAGE, burn_scars.MASK))


def _farms(root: pathlib.Path) -> Missing:
    base = root / farms.FOLDER
    for names in farms.FOLDERS.values():
        folder = next((base / name for name in names if (base / name).is_dir()), base / names[0])
        yield from _pairs(folder / 'images', folder / 'masks', ('.tif', '.tif'))


def _crops(root: pathlib.Path) -> Missing:
    base = root / crops.FOLDER
    if not (base / crops.LIST).exists():
        yield base / crops.LIST
        return
    yield from _absent(*(path for item in crops.items(base) for path in crops.files(base, item)))


def _streetscapes(root: pathlib.Path) -> Missing:
    names = (*streetscapes.COMMON, *labels.TABLES.values())
    yield from _absent(*(streetscapes.table(root, name) for name in names))
    for attribute in labels.CLASSES:
        yield from _absent(*labels.by_hand(root / streetscapes.MANUAL, attribute).values())


def _indicators(root: pathlib.Path) -> Missing:
    yield from _absent(root / 'allparameters.csv', root / 'images.csv')
    if (root / 'images.csv').exists():
        paths = columns.read(root / 'images.csv', ['path'])['path']
        yield from _absent(*(root / path for path in paths if path))


def _eurosat_rgb(root: pathlib.Path) -> Missing:
    yield from _absent(root / eurosat.INDEX)
    if (root / eurosat.INDEX).exists():
        zips = {row['zip'] for row in eurosat.read_index(root / eurosat.INDEX)}
        yield from _absent(*(root / name for name in sorted(zips)))


def _eurosat_ms(root: pathlib.Path) -> Missing:
    for label in eurosat.CLASSES:
        if next((root / label).glob(f'*{chips.SUFFIX}'), None) is None:
            yield root / label / f'*{chips.SUFFIX}'


_FORMS: dict[str, Callable[[pathlib.Path], Missing]] = {
    'hls_burn_scars': _burn_scars,
    'ai4smallfarms': _farms,
    'crop_type_south_sudan': _crops,
    'global_streetscapes': _streetscapes,
    'indicators': _indicators,
    'eurosat_rgb': _eurosat_rgb,
    'eurosat_ms': _eurosat_ms,
}
