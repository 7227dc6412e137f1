"""Global Streetscapes: street views with their city, and labels of what they show and look like.

Origin: `NUS-UAL/global-streetscapes` on the Hugging Face hub, CC BY-SA 4.0. Source: its folder with
`data/` (or the tables themselves) and `manual_labels/{train,test}/<attribute>.csv`. The photos are
not part of it: they are files <uuid>.jpeg (.jpg, .png) under a folder of their own, at any depth.

perception   six values of perception.csv, 0 to 10, which are predictions of a model
predicted    platform and view direction of contextual.csv, predictions of a model
manual       the same from manual_labels, by hand
"""

import os
import pathlib
from typing import Unpack

import pandas as pd
import pyarrow as pa

from gair_jax.builders import (
    build_options,
    build_report,
    city_splits,
    labelled_chunks,
    labelled_rows,
    prepared,
    street_photos,
)
from gair_jax.builders.columns import read, unique
from gair_jax.builders.global_streetscapes import labels as known
from gair_jax.config import InputError

LICENCE = 'CC BY-SA 4.0'
KEYS = ['uuid', 'source', 'orig_id']
# Tables of all photos: columns of text, and of numbers.
COMMON = {
    'metadata_common_attributes.csv': (
        ['datetime_local', 'sequence_id'],
        ['lat', 'lon', 'heading'],
    ),
    'simplemaps.csv': (['city_id'], []),
}
MANUAL = 'manual_labels'
VAL_OF_TRAIN = 0.25  # As 20 to 60.


class GlobalStreetscapes(prepared.PreparedBuilder):
    """Global Streetscapes, as street view + place."""


def table(source: pathlib.Path, name: str) -> pathlib.Path:
    """Path of a table, in `data/` or beside it."""
    inner = source / 'data' / name
    return inner if inner.exists() else source / name


def _common(source: pathlib.Path, labels: pd.DataFrame) -> pd.DataFrame:
    """The labelled rows with place, date, heading, sequence and city; empty where not told."""
    only = ('uuid', pa.array(labels['uuid'], pa.string()))
    keys = [name for name in KEYS if name in labels]
    for name, (texts, numbers) in COMMON.items():
        path = table(source, name)
        found = unique(path, read(path, [*keys, *texts], numbers=numbers, only=only), 'uuid')
        labels = labels.merge(found, on=keys, how='left')
        labels[texts] = labels[texts].fillna('')
    return labels


def _rows(common: pd.DataFrame, images: pathlib.Path, names: list[str]) -> pd.DataFrame:
    dates = pd.to_datetime(common['datetime_local'], errors='coerce', utc=True, format='ISO8601')
    rows = labelled_rows.frame(
        len(common),
        id=common['uuid'],
        photo=street_photos.find(images, common['uuid']),
        date=common['datetime_local'].where(dates.notna(), ''),
        licence=LICENCE,
        group=common['city_id'],
        lon=common['lon'],
        lat=common['lat'],
        heading=common['heading'] % 360,
        sequence=common['sequence_id'].where(common['sequence_id'] != '', common['uuid']),
        **{labelled_chunks.LABEL + name: common[name] for name in names},
    )
    labelled_rows.mark(rows, rows['lat'].isna(), 'no place: not in metadata_common_attributes.csv')
    labelled_rows.mark(rows, rows['group'] == '', 'no city: not in simplemaps.csv')
    return rows


def _split(rows: pd.DataFrame, official: pd.Series, seed: int, by: str) -> pd.Series:
    """The split of each row: drawn per city, or the official ones with val cut from train."""
    if (official == '').all():
        return city_splits.draw(rows, seed=seed, by=by)
    splits = official.copy()
    train = rows[official == 'train']
    shares = (1 - VAL_OF_TRAIN, VAL_OF_TRAIN)
    splits[train.index] = city_splits.draw(train, seed=seed, by=by, shares=shares)
    return splits


def _labels(source: pathlib.Path, labels: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows with uuid, official split ('' for none) and label columns, and sentences on them."""
    if labels == 'perception':
        return known.perception(table(source, known.TABLES[labels])), []
    if labels == 'predicted':
        return known.predicted(table(source, known.TABLES[labels])), []
    if labels == 'manual':
        return known.manual(source / MANUAL)
    raise InputError(f'labels: expected perception, predicted or manual, found {labels!r}.')


def build(
    source: str | os.PathLike,
    images: str | os.PathLike,
    labels: str,
    *,
    group_by_sequence: bool = False,
    seed: int = 0,
    **options: Unpack[build_options.RowOptions],
) -> build_report.BuildReport:
    """Prepares the data set `global_streetscapes`: labelled street views, with place and city.

    Hand labels keep their official train and test, and a quarter of train in each city becomes
    val. All others are split 60/20/20 in each city (`city_splits`).

    Args:
      source: folder of the tables.
      images: folder of the photos.
      labels: 'perception', 'predicted' or 'manual'.
      group_by_sequence: keep all photos of a sequence in one split, as far as it is drawn.
      seed: of the draw.
      **options: `build_options.RowOptions`.

    Raises:
      InputError: a table or column is missing, a label is unknown, more photos are missing than
        may, or nothing can be written.
    """
    source, images = pathlib.Path(source), pathlib.Path(images)
    labelled, notes = _labels(source, labels)
    specs, tasks = known.content(labels)
    rows = _rows(_common(source, labelled), images, list(specs))
    by = 'sequence' if group_by_sequence else 'id'
    rows['split'] = _split(rows, labelled['split'], seed, by)
    labelled_rows.mark(rows, rows['photo'] == '', 'photo missing: ' + rows['id'])
    return labelled_rows.prepare(
        GlobalStreetscapes,
        rows.drop(columns='sequence'),
        labelled_chunks.Job(pathlib.Path(), images, specs),
        tasks,
        source=source,
        notes=notes,
        **options,
    )
