"""EuroSAT chips of 13 bands: 64 x 64 pixels of Sentinel-2 Level-1C at 10 m, ten land covers.

Origin: phelber/EuroSAT, `EuroSATallBands.zip`, MIT. Source: its folder of class folders, with
GeoTIFFs `AnnualCrop/AnnualCrop_1.tif` of digital numbers whose last band is B8A. A chip lies where
its georeference says, and its place is its middle.

The data set has no splits of its own. Published ones are lists of names, one a line; the suffix of
a name does not matter. Without lists, chips are drawn 60/20/20 in each class (`city_splits`), which
puts neighbours on both sides.
"""

import os
import pathlib
from typing import Unpack

import numpy as np
import pandas as pd

from gair_jax.builders import (
    build_options,
    build_report,
    city_splits,
    labelled_chunks,
    labelled_rows,
    prepared,
)
from gair_jax.builders.eurosat_rgb.builder import CLASSES, LABEL, LAND_COVER, SIDE
from gair_jax.config import InputError

SUFFIX = '.tif'


class EurosatMs(prepared.PreparedBuilder):
    """EuroSAT chips of many bands, as remote sensing + place."""


def chips(source: pathlib.Path) -> list[tuple[str, str]]:
    """Class and name of each chip, sorted; InputError for a class that is unknown or empty."""
    if not source.is_dir():
        raise InputError(f'{source}: expected a folder of class folders, found none.')
    folders = {p.name for p in source.iterdir() if p.is_dir() and not p.name.startswith('.')}
    if odd := sorted(folders - set(CLASSES)):
        raise InputError(f'{source}: expected folders {", ".join(CLASSES)}, found {odd[0]}.')
    found = []
    for label in CLASSES:
        names = sorted(path.stem for path in (source / label).glob(f'[!.]*{SUFFIX}'))
        if not names:
            raise InputError(f'{source / label}: expected chips *{SUFFIX}, found none.')
        found += [(label, name) for name in names]
    return found


def _names(path: pathlib.Path) -> list[str]:
    try:
        lines = path.read_text(encoding='utf-8').split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: expected a list of chips, found none: {error}.') from error
    return [pathlib.Path(line).stem for line in lines]


def _listed(splits: str) -> dict[str, str]:
    """Split of each chip that the lists name."""
    found: dict[str, str] = {}
    for split in prepared.SPLITS:
        path = pathlib.Path(f'{splits}{split}.txt')
        for name in _names(path):
            if name in found:
                raise InputError(
                    f'{path}: {name}: expected it once, found it in {found[name]} too.'
                )
            found[name] = split
    return found


def _split(rows: pd.DataFrame, classes: list[str], splits: str, seed: int) -> pd.Series:
    if not splits:
        return city_splits.draw(rows.assign(group=classes), seed=seed)
    listed = _listed(splits)
    if odd := sorted(set(rows['id']) ^ set(listed)):
        what = 'no chip of this name' if odd[0] in listed else 'it in none of the lists'
        raise InputError(f'{splits}*.txt: {odd[0]}: expected a chip and its split, found {what}.')
    return rows['id'].map(listed)


def _rows(source: pathlib.Path, splits: str, seed: int) -> pd.DataFrame:
    classes, names = (list(column) for column in zip(*chips(source), strict=True))
    rows = labelled_rows.frame(
        len(names),
        id=names,
        tile=[f'{label}/{name}{SUFFIX}' for label, name in zip(classes, names, strict=True)],
        licence='MIT',
        **{labelled_chunks.LABEL + LABEL: [CLASSES.index(label) for label in classes]},
    )
    if (twice := rows['id'].duplicated()).any():
        raise InputError(f'{source}: {rows.loc[twice, "id"].iloc[0]} lies in two classes.')
    rows['split'] = _split(rows, classes, splits, seed)
    return rows


def build(
    source: str | os.PathLike,
    *,
    splits: str = '',
    sensor: str = 'sentinel2_10',
    seed: int = 0,
    **options: Unpack[build_options.RowOptions],
) -> build_report.BuildReport:
    """Prepares the data set `eurosat_ms`: remote sensing + place.

    Args:
      source: folder of the class folders.
      splits: what the paths of three lists of names begin with, up to `train.txt`, `val.txt` and
        `test.txt`; '' draws the split.
      sensor: contract whose bands are kept.
      seed: of the draw.
      **options: `build_options.RowOptions`.

    Raises:
      InputError: a class or list is missing, lists and chips disagree, more chips fail than may, or
        nothing can be written.
    """
    source = pathlib.Path(source)
    return labelled_rows.prepare(
        EurosatMs,
        _rows(source, splits, seed),
        labelled_chunks.Job(
            pathlib.Path(),
            source,
            {LABEL: ((), np.int32)},
            sensor=sensor,
            band_order='eurosat',
            side=SIDE,
        ),
        {LABEL: LAND_COVER},
        source=source,
        **options,
    )
