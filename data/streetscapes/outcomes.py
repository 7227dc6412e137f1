"""What became of every row of the table that a build started from, and whose every record is.

A row ends in exactly one of kept, dropped (with a reason), gone and failed. Of a panorama of which
one view is packed, the row is kept.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping, Set
from typing import Any

import pandas as pd

from gair_jax.builders.streetscapes import (
    choose,
    keys,
    ledger,
    pack_chunks,
    pair,
    photos_files,
    plan_files,
    scenes_fetch,
    tally,
)
from gair_jax.config import InputError

KEPT, DROPPED = 'kept', 'dropped'
COLUMNS = ('row', 'key', 'outcome', 'reason')
OF_RECORD = ('source', 'orig_id', 'page', 'creator', 'captured_at', 'fetched_at')
STANDS_BY = f'{choose.NOT_WANTED}: stands by, and was not needed'


def of_rows(out: pathlib.Path, packed: Set[str], removed: frozenset[str]) -> pd.DataFrame:
    """A row (`COLUMNS`) for each row of the table, in its order.

    Args:
      out: folder of a build that is packed.
      packed: ids of the records of the prepared set.
      removed: ids of photos that are never packed.

    Raises:
      InputError: a planned photo was never settled, so that the build is not done.
    """
    left_out = plan_files.dropped(out).assign(outcome=DROPPED)
    photos = plan_files.photos(out, ('row', 'key', 'reserve', 'source'))
    entries = ledger.merged(photos_files.ledgers(out))
    ends = {entry.key: (entry.state, entry.reason) for entry in entries}
    ends |= {key: (KEPT, '') for key in photos['key'][photos['source'] == keys.PLACE]}
    ends |= {row.key: (DROPPED, row.reason) for row in pair.read(out, 'dropped').itertuples()}
    ends |= _unpacked(out, packed, removed)
    found = [_end(row, ends) for row in photos.itertuples(index=False)]
    rows = pd.concat([left_out, pd.DataFrame(found, columns=list(COLUMNS))])
    return rows[list(COLUMNS)].sort_values('row', ignore_index=True)


def attribution(out: pathlib.Path, splits: Mapping[str, str]) -> pd.DataFrame:
    """Whose each packed record is and what was done to it.

    Columns `id`, `split`, `key`, `lon`, `lat`, `heading`, `date`, `city_id`, `tile`, `licence`,
    those of OF_RECORD, `sha256` of the image and `transform` (JSON); the last two of places ''.

    Args:
      out: folder of a build that is packed.
      splits: split of each record of the prepared set, by id.
    """
    columns = ('id', 'key', 'lon', 'lat', 'heading', 'date', 'city_id', 'tile', 'sha256', 'licence')
    pairs = pair.read(out, 'photos', columns)
    pairs = pairs[pairs['id'].isin(splits.keys())]
    rows = pairs.assign(split=pairs['id'].map(splits))
    origins = pd.DataFrame(
        _origins(out, set(pairs['key'])), columns=['key', *OF_RECORD, 'transform']
    )
    # Places without photos are in no ledger.
    missing = dict.fromkeys((*OF_RECORD, 'transform'), '') | {'source': keys.PLACE}
    return rows.merge(origins, on='key', how='left').fillna(missing)


def scenes(out: pathlib.Path) -> pd.DataFrame:
    """Which granules each date of a tile is made of, and what was done to them.

    Columns `tile`, `date`, `cloud`, `nodata`, `exact`, `offset_removed`, `offset_conflict`,
    `catalog`, `collection`, `items`, `baseline` (lists joined by blanks) and `sha256`.
    """
    rows = []
    for entry in ledger.merged(tally.paths(out, scenes_fetch.STAGE)):
        if entry.state == KEPT:
            rows.append(_scene(entry.record) | {'sha256': entry.sha256})
    return pd.DataFrame(rows)


def _scene(record: Mapping[str, Any]) -> dict[str, Any]:
    items = record['items']
    same = {name: record[name] for name in ('tile', 'date', 'cloud', 'nodata', 'exact')}
    return same | {
        'offset_removed': max(record['offset_removed'], default=0),
        'offset_conflict': '; '.join(filter(None, record['offset_conflict'])),
        'catalog': items[0]['catalog'],
        'collection': items[0]['collection'],
        'items': ' '.join(item['id'] for item in items),
        'baseline': ' '.join(item['baseline'] for item in items),
    }


def _unpacked(
    out: pathlib.Path, packed: Set[str], removed: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """Photos that were paired and of which no view is packed, and why."""
    pairs = pair.read(out, 'photos', ('id', 'key'))
    there = set(pairs['key'][pairs['id'].isin(packed)])
    return {
        key: (
            DROPPED,
            pack_chunks.REMOVED if photos_files.is_removed(key, removed) else pack_chunks.NO_DATE,
        )
        for key in pairs['key'].unique()
        if key not in there
    }


def _end(row: Any, ends: Mapping[str, tuple[str, str]]) -> tuple[int, str, str, str]:
    outcome, reason = ends.get(row.key, (DROPPED, STANDS_BY) if row.reserve else ('todo', ''))
    if outcome == 'todo':
        raise InputError(f'{row.key}: expected a photo that was asked for, found it still to do.')
    return row.row, row.key, outcome, reason


def _origins(out: pathlib.Path, wanted: Set[str]) -> Iterator[tuple[str, ...]]:
    for entry in ledger.merged(photos_files.ledgers(out)):
        if entry.key in wanted:
            record = entry.record
            origin = (str(record.get(name) or '') for name in OF_RECORD)
            yield entry.key, *origin, json.dumps(record['transform'], sort_keys=True)
