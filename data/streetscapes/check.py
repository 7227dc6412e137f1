"""The stage `check`: what a build made, held against what it planned and fetched.

Beside the records, under VARIANT_card, it leaves what must go where the records go:

outcomes.parquet      every row of the table: kept, dropped (with its reason), gone or failed
attribution.parquet   source, page, creator, licence and treatment of each record
scenes.parquet        granules, offset and clouds of each date of each tile
card.json             counts, settings, versions, costs

Records are read whole. Pixels are compared with the files they were cut from for a sample that a
hash chooses, since all of them were compared with their digests when they were packed.
"""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import rasterio
import rasterio.errors

import gair_jax
from gair_jax.builders import catalogue
from gair_jax.builders.streetscapes import (
    chips,
    costs,
    keys,
    outcomes,
    pack,
    pair,
    photos_files,
    plan_files,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from gair_jax.input.records import bits_float

SAMPLE = 200  # acquisitions whose pixels are compared with their files
PATHS = (
    *('places.table', 'places.raster', 'places.strata'),
    *('photos.folder', 'photos.removed'),
)
MOST_SHOWN = 5  # faults of a kind
NOTICE = 'Contains modified Copernicus Sentinel data {years}.'


class Checked(NamedTuple):
    """What the stage found.

    counts: rows of the table by how they ended.
    faults: a sentence each; none if all is well.
    card: folder of the tables and the card.
    """

    counts: dict[str, int]
    faults: list[str]
    card: pathlib.Path


def folder_of(settings: StreetscapesConfig, data_dir: pathlib.Path) -> pathlib.Path:
    """Where the card of a prepared set lies."""
    return pathlib.Path(data_dir) / pack.Streetscapes.name / f'{settings.variant}_card'


def check(settings: StreetscapesConfig, out: pathlib.Path, data_dir: pathlib.Path) -> Checked:
    """Checks a packed build and writes its tables, anew at each call.

    Args:
      settings: of the build.
      out: its folder.
      data_dir: folder that holds prepared data sets.

    Raises:
      InputError: nothing is packed, something was never settled, or nothing can be written.
    """
    data = DataConfig(
        dir=os.fspath(data_dir), name=pack.Streetscapes.name, variant=settings.variant
    )
    source = store.Store(data)
    found = catalogue.check(data_dir, data.name, data.variant)
    splits, faults = _records(source, out)
    faults = [*found.findings, *faults, *_tiles(source, settings, out)]
    removed = photos_files.removed_ids(settings.photos.removed)
    rows = outcomes.of_rows(out, splits.keys(), removed)
    faults += _counted(rows, out)
    tables = {
        'outcomes': rows,
        'attribution': outcomes.attribution(out, splits),
        'scenes': outcomes.scenes(out),
    }
    counts = rows['outcome'].value_counts().to_dict()
    card = folder_of(settings, data_dir)
    facts = _facts(settings, out, source, tables)
    _write(card, tables, facts | {'costs': _costs(settings, out, data_dir), 'faults': faults})
    return Checked(counts, faults, card)


def _records(source: store.Store, out: pathlib.Path) -> tuple[dict[str, str], list[str]]:
    """Split of each record by id, and what is wrong with records against their pairs."""
    rows = pair.read(out, 'photos', ('id', 'sha256', 'lon', 'lat'))
    pairs = {row.id: row for row in rows.itertuples(index=False)}
    splits, faults = dict[str, str](), _Faults()
    for split in source.splits:
        records = source.photos(split)
        for index in catalogue.counted(len(records), f'Photos of {split}'):
            record = records.example(index, ('id', 'photo', 'lonlat'))
            name = record['id'].decode()
            faults.note('is packed twice', name, name in splits)
            splits[name] = split
            faults.note('is packed and was never paired', name, name not in pairs)
            if name in pairs:
                planned = pairs[name]
                other = _sha256(record['photo']) != planned.sha256
                faults.note('holds another photo than was fetched', name, other)
                moved = bits_float(record['lonlat']).tolist() != [planned.lon, planned.lat]
                faults.note('stands elsewhere than was planned', name, moved)
    lost = len(pairs) - len(splits) - sum(source.metadata.get('dropped', {}).values())
    said = [f'{lost} photos were paired and are neither packed nor dropped.'] if lost else []
    return splits, [*faults.sentences(), *said]


def _tiles(source: store.Store, settings: StreetscapesConfig, out: pathlib.Path) -> list[str]:
    """What is wrong with acquisitions against their tiles and files."""
    tiles, faults = plan_files.tiles(out), _Faults()
    files = {(row.tile, row.date): row.file for row in pair.read(out, 'scenes').itertuples()}
    chosen = list[tuple[int, int]]()
    for index in catalogue.counted(len(source.tiles), 'Places of tiles'):
        example = source.tiles.example(index, ('id', 'date', 'bounds'))
        name, date = example['id'].decode(), example['date'].decode()
        if not _is_planned(name, tiles):
            faults.note('is of a tile that was not planned', name, True)
            continue
        tile, part = _part(name, tiles, settings)
        faults.note('is of a date that was not fetched', name, (tile.key, date) not in files)
        expected = list(chips.bounds_of(part, tile))
        moved = bits_float(example['bounds']).tolist() != expected
        faults.note('lies elsewhere than its tile says', name, moved)
        if (tile.key, date) in files:
            chosen.append((keys.order(settings.places.seed, name), index))
    for _, index in sorted(chosen)[:SAMPLE]:
        record = source.tiles[index]
        tile, part = _part(record.id, tiles, settings)
        window = ((part.row, part.row + part.height), (part.column, part.column + part.width))
        path = out / files[tile.key, record.date]
        try:
            with rasterio.open(path) as raster:
                values = raster.read(window=window)
        except rasterio.errors.RasterioError as error:
            raise InputError(f'{path}: cannot be read: {error}; fetch it again.') from error
        other = not np.array_equal(np.moveaxis(values, 0, -1), record.bands)
        faults.note('holds other pixels than its file', record.id, other)
    return faults.sentences()


def _is_planned(name: str, tiles: Mapping[str, Tile]) -> bool:
    """Whether the id of an acquisition names a tile of the plan."""
    return name.rsplit('/', 2)[0] in tiles


def _part(
    name: str, tiles: Mapping[str, Tile], settings: StreetscapesConfig
) -> tuple[Tile, chips.Box]:
    """The tile and the chip that the id of an acquisition names."""
    key, corner, _ = name.rsplit('/', 2)
    column, row = map(int, corner.split('_'))
    return tiles[key], chips.box((column, row), tiles[key], settings.tiles)


def _counted(rows: pd.DataFrame, out: pathlib.Path) -> list[str]:
    """Whether each row of the table ends once."""
    planned = plan_files.numbers(out)['rows']
    once = rows['row'].nunique()
    if once == len(rows) == planned:
        return []
    return [f'{planned} rows were read; {len(rows)} ends are known, of {once} rows.']


class _Faults:
    """Counts what is wrong, by kind, with an example of each."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = collections.defaultdict(list)

    def note(self, kind: str, name: str, wrong: bool) -> None:
        if wrong:
            self._found[kind].append(name)

    def sentences(self) -> list[str]:
        return [
            f'{", ".join(names[:MOST_SHOWN])} {kind}{_more(len(names))}.'
            for kind, names in self._found.items()
        ]


def _more(count: int) -> str:
    return f' ({count} of them)' if count > MOST_SHOWN else ''


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if data else ''


def _facts(
    settings: StreetscapesConfig,
    out: pathlib.Path,
    source: store.Store,
    tables: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    """What the card says, as JSON."""
    rows, records, scenes = (tables[name] for name in ('outcomes', 'attribution', 'scenes'))
    made, shot = plan_files.made_by(out), records['source'] != keys.PLACE
    ends = rows.assign(reason=rows['reason'].str.partition(': ')[0])
    years = sorted({date[:4] for date in scenes['date']})
    span = f'{years[0]}-{years[-1]}' if len(years) > 1 else years[0]
    return {
        'name': pack.Streetscapes.name,
        'variant': settings.variant,
        'synthetic': settings.synthetic,
        'version': gair_jax.__version__,
        'rows': len(rows),
        'ends': [
            [*end, count] for end, count in ends[['outcome', 'reason']].value_counts().items()
        ],
        'records': len(records),
        'splits': dict(source.splits),
        'tile_dates': len(source.tiles),
        'tiles': int(scenes['tile'].nunique()),
        'cities': int(records.loc[records['city_id'] != '', 'city_id'].nunique()),
        'sources': records.loc[shot, 'source'].value_counts().to_dict(),
        'licences': records['licence'].value_counts().to_dict(),
        'creators': int(records.loc[records['creator'] != '', 'creator'].nunique()),
        'notice': NOTICE.format(years=span),
        'offset_removed': int((scenes['offset_removed'] > 0).sum()),
        'offset_conflicts': int((scenes['offset_conflict'] != '').sum()),
        'reprojected': int((~scenes['exact']).sum()),
        'settings': _published(dataclasses.asdict(settings)),
        'table_digest': made['places.table'] or made['places.raster'],
    }


def _published(fields: dict[str, Any]) -> dict[str, Any]:
    """Settings by 'section.name', of paths the last part alone: the rest tells of a machine."""
    found = {}
    for section, value in fields.items():
        for name, given in value.items() if isinstance(value, dict) else [('', value)]:
            full = f'{section}.{name}'.strip('.')
            found[full] = _last_part(given) if full in PATHS else given
    return found


def _last_part(paths: str | list[str]) -> str | list[str]:
    if isinstance(paths, str):
        return pathlib.PurePath(paths).name
    return [pathlib.PurePath(path).name for path in paths]


def _costs(
    settings: StreetscapesConfig, out: pathlib.Path, data_dir: pathlib.Path
) -> list[dict[str, Any]]:
    """The forecast beside what was spent, in numbers and in words."""
    return [
        {'most': most._asdict(), 'spent': spent._asdict(),
         'words': [costs.words(most), costs.words(spent)]}
        for most, spent in costs.beside(settings, out, data_dir)
    ]  # fmt: skip


def _write(card: pathlib.Path, tables: Mapping[str, pd.DataFrame], facts: dict[str, Any]) -> None:
    part = card.with_name(f'.{card.name}.part')
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, table in tables.items():
            table.to_parquet(part / f'{name}.parquet', index=False)
        (part / 'card.json').write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')
        shutil.rmtree(card, ignore_errors=True)
        part.rename(card)
    except OSError as error:
        raise InputError(f'{card}: cannot be written: {error.strerror}.') from error
