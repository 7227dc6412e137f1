"""Files of LocBench's classification sets, as TorchSpatial (Wu et al. 2024) lays them out.

| layout | labels and places | predictions (rows in the order of the labels) |
| --- | --- | --- |
| birdsnap, nabirds | {name}_with_loc_2019.json | features_inception/{name}_test_preds_sparse.npz |
| inat_2017, inat_2018 | train2018.json, train2018_locations.json, val2018*, categories2018.json |
  features_inception/inat2018_val_preds_sparse.npz |
| fmow | train.json, train_location.json, val*, category.json | feature_moco/fmow_val_preds.npy |
| yfcc | train_test_split.csv, class_names.csv | features_inception/YFCC_test_preds.npy |

iNat and fMoW are tested on val, the others on test. Photos of birds that are not `valid_image` have
no row in the predictions and are left out of all splits.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gair_jax.config import InputError
from gair_jax.transfer.place_rows import read_frame
from gair_jax.transfer.species_rows import NOTHING, Observations, Species, gathered, observations

_INCEPTION = 'features_inception'


def read(layout: str, folder: pathlib.Path, meta: str) -> Species:
    """The data set of a layout; `meta` names the places of birdsnap and nabirds.

    Raises:
      InputError: a file is missing or does not hold what the layout says.
    """
    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder of the layout {layout}.')
    if layout in ('birdsnap', 'nabirds'):
        return _birds(layout, folder, meta)
    if layout == 'yfcc':
        return _yfcc(folder)
    if layout == 'fmow':
        return _fmow(folder)
    return _inat(folder, layout.removeprefix('inat_'))


def _birds(name: str, folder: pathlib.Path, meta: str) -> Species:
    path = folder / f'{name}_with_loc_2019.json'
    data = _json(path, dict)
    splits = [_bird_rows(path, data, split, meta) for split in ('train', 'valid', 'test')]
    classes = tuple(map(str, _key(path, data, 'classes')))
    photos = folder / _INCEPTION / f'{name}_test_preds_sparse.npz'
    return gathered(str(path), splits[0], splits[1], splits[2], classes, photos)


def _bird_rows(path: pathlib.Path, data: Mapping[str, Any], split: str, meta: str) -> Observations:
    items = [
        item for item in _key(path, data, split) if _key(path, item, 'valid_image', where=split)
    ]
    if not items:
        return NOTHING
    metas = [_key(path, item, meta, where=split) for item in items]
    where = f'{path}, {split}'
    dates = _numbers(where, metas, 'date')
    return observations(
        where,
        np.stack([_numbers(where, metas, 'lon'), _numbers(where, metas, 'lat')], axis=1),
        _whole(where, items, 'class_id', None),
        _whole(where, metas, 'user_id', -1),
        np.isfinite(dates),
    )


def _inat(folder: pathlib.Path, year: str) -> Species:
    path = folder / f'categories{year}.json'
    listed = _json(path, list)
    names = dict(
        zip(
            _whole(str(path), listed, 'id', None).tolist(),
            [str(_key(path, item, 'name')) for item in listed],
            strict=True,
        )
    )
    train, test = (
        _coco(folder / f'{split}{year}.json', folder / f'{split}{year}_locations.json')
        for split in ('train', 'val')
    )
    photos = folder / _INCEPTION / f'inat{year}_val_preds_sparse.npz'
    return gathered(str(folder), train, NOTHING, test, _ordered(path, names), photos)


def _fmow(folder: pathlib.Path) -> Species:
    path = folder / 'category.json'
    ids = [{'name': name, 'id': number} for name, number in _json(path, dict).items()]
    numbers = _whole(str(path), ids, 'id', None).tolist()
    names = {number: str(item['name']) for number, item in zip(numbers, ids, strict=True)}
    train, test = (
        _coco(folder / f'{split}.json', folder / f'{split}_location.json')
        for split in ('train', 'val')
    )
    photos = folder / 'feature_moco' / 'fmow_val_preds.npy'
    return gathered(str(folder), train, NOTHING, test, _ordered(path, names), photos)


def _coco(labels: pathlib.Path, places: pathlib.Path) -> Observations:
    """Rows of a split of iNat or fMoW, in the order of its `images`."""
    data = _json(labels, dict)
    images = _whole(str(labels), _key(labels, data, 'images'), 'id', None)
    annotations = _key(labels, data, 'annotations')
    of_image = dict(
        zip(
            _whole(str(labels), annotations, 'image_id', None).tolist(),
            _whole(str(labels), annotations, 'category_id', None).tolist(),
            strict=True,
        )
    )
    listed = _json(places, list)
    located = dict(zip(_whole(str(places), listed, 'id', None).tolist(), listed, strict=True))
    for path, known, what in ((labels, of_image, 'annotation'), (places, located, 'entry')):
        if lost := [image for image in images.tolist() if image not in known]:
            raise InputError(
                f'{path}: expected an {what} for each image of {labels.name}, found none for '
                f'{lost[0]}.'
            )
    if not len(images):
        return NOTHING
    rows, where = [located[image] for image in images.tolist()], str(places)
    return observations(
        where,
        np.stack([_numbers(where, rows, 'lon'), _numbers(where, rows, 'lat')], axis=1),
        np.array([of_image[image] for image in images.tolist()], np.int64),
        _whole(where, rows, 'user_id', -1),
    )


def _yfcc(folder: pathlib.Path) -> Species:
    path, names_path = folder / 'train_test_split.csv', folder / 'class_names.csv'
    frame, names = read_frame(path), read_frame(names_path)
    columns = ((path, frame, ('split', 'lon', 'lat', 'class')), (names_path, names, ('id', 'name')))
    for file, table, needed in columns:
        if missing := [column for column in needed if column not in table]:
            raise InputError(
                f'{file}: column {missing[0]!r} is missing; found '
                f'{", ".join(map(str, table.columns))}.'
            )
    classes = dict(
        zip(
            _whole(str(names_path), names.to_dict('records'), 'id', None).tolist(),
            names['name'].astype(str).tolist(),
            strict=True,
        )
    )
    train, val, test = (
        _yfcc_rows(path, frame[frame['split'] == split].to_dict('records'), split)
        for split in ('train', 'val', 'test')
    )
    photos = folder / _INCEPTION / 'YFCC_test_preds.npy'
    return gathered(str(path), train, val, test, _ordered(names_path, classes), photos)


def _yfcc_rows(path: pathlib.Path, rows: Sequence[Any], split: str) -> Observations:
    if not rows:
        return NOTHING
    where = f'{path}, {split}'
    return observations(
        where,
        np.stack([_numbers(where, rows, 'lon'), _numbers(where, rows, 'lat')], axis=1),
        _whole(where, rows, 'class', None),
        np.full(len(rows), -1, np.int64),
    )


def _ordered(path: pathlib.Path, names: Mapping[int, str]) -> tuple[str, ...]:
    """Names by their number, which is the column of the predictions."""
    if sorted(names) != list(range(len(names))) or not names:
        raise InputError(
            f'{path}: expected classes numbered 0..{len(names) - 1}, found '
            f'{min(names, default=None)}..{max(names, default=None)}.'
        )
    return tuple(names[number] for number in range(len(names)))


def _json(path: pathlib.Path, kind: type) -> Any:
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise InputError(f'{path}: no such file, which the layout needs.') from None
    except ValueError as error:
        raise InputError(f'{path}: cannot be read as JSON: {error}.') from error
    if not isinstance(found, kind):
        raise InputError(
            f'{path}: expected a {kind.__name__} at its top, found {type(found).__name__}.'
        )
    return found


def _key(path: pathlib.Path, item: Any, name: str, *, where: str = '') -> Any:
    if not isinstance(item, Mapping) or name not in item:
        keys = ', '.join(map(str, item)) if isinstance(item, Mapping) else repr(item)
        place = f'{path}, {where}' if where else str(path)
        raise InputError(f'{place}: expected the key {name!r}, found {keys}.')
    return item[name]


def _numbers(where: str, items: Sequence[Any], name: str) -> np.ndarray:
    """A number of each item, nan for null; float64 [n]."""
    found = [_key(pathlib.Path(where), item, name) for item in items]
    if odd := [v for v in found if v is not None and not _is_number(v)]:
        raise InputError(f'{where}: {name}: expected numbers or null, found {odd[0]!r}.')
    return np.array([np.nan if value is None else value for value in found], np.float64)


def _whole(where: str, items: Sequence[Any], name: str, missing: int | None) -> np.ndarray:
    """A whole number of each item, `missing` for null where that may be; int64 [n]."""
    values = _numbers(where, items, name)
    if missing is not None:
        values = np.where(np.isnan(values), missing, values)
    wrong = ~(values == np.round(values)) | np.isinf(values)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f'{where}: {name}, row {at + 1}: expected a whole number, found {values[at]:g}.'
        )
    return values.astype(np.int64)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
