"""Plans of photos that need no table, a fetch of them, and what is there after it.

Run as a module it is one worker process: OUT URL COUNT NEED WORKER WORKERS SETTINGS.
"""

import hashlib
import json
import math
import sys

import pandas as pd

from gair_jax.builders.streetscapes import keys, ledger, photos_fetch, photos_files
from gair_jax.builders.streetscapes.settings import StreetscapesConfig

TOKEN = 'MLY|1234|a-secret-that-must-not-be-seen'


def plan(count, *, cities=4, need=-1, source='mapillary', **columns):
    """`count` photos spread over `cities`, the first `need` of each planned (-1: all), the rest in
    reserve; `columns` overrides values of all rows."""
    rows = []
    for number in range(count):
        orig_id = str(7000 + number)
        key = f'{source}:{orig_id}'
        rows.append(
            {
                'key': key,
                'source': source,
                'orig_id': orig_id,
                'uuid': f'00000000-0000-0000-0000-{number:012}',
                'heading': math.nan if number % 5 == 0 else float(number % 360),
                'datetime': '2024-05-01T12:00:00',
                'city': f'city {number % cities}',
                'city_id': str(number % cities),
                'panorama': False,
                'order': keys.order(0, key),
                **columns,
            }
        )
    table = pd.DataFrame(rows).sort_values('order', ignore_index=True)
    rank = table.groupby('city_id').cumcount()
    table['reserve'] = (rank >= need) if need >= 0 else False
    return table.astype({'order': 'uint64'})


def settings(url='', **photos):
    """Settings of a build that asks a stand-in as fast as it can."""
    config = StreetscapesConfig()
    config.photos.mapillary_url = config.photos.kartaview_url = url
    for name, value in {'rate': 100000.0, 'side': 64, **photos}.items():
        assert hasattr(config.photos, name)
        setattr(config.photos, name, value)
    return config


def entries(out):
    """Every entry of all workers' ledgers, by key."""
    return {entry.key: entry for entry in ledger.merged(photos_files.ledgers(out))}


def files(out):
    """SHA-256 of every photo file, by its path relative to the build; parts of files too."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((out / photos_files.FOLDER).rglob('*'))
        if path.is_file() and path.name != 'how.json'
    }


def kept(out):
    return {key for key, entry in entries(out).items() if entry.state == 'kept'}


def agree(out):
    """Whether files and ledgers say the same, to the byte."""
    found = {
        file['file']: file['sha256']
        for entry in entries(out).values()
        if entry.state == 'kept'
        for file in entry.record['files']
    }
    return found == files(out)


def expected(table, lost):
    """The definition: of each city the first N in order that are not lost."""
    chosen = set()
    for _, city in table.groupby('city_id'):
        rows = city.sort_values(['reserve', 'order', 'key'])
        there = [key for key in rows['key'] if not lost(key)]
        chosen |= set(there[: int((~rows['reserve']).sum())])
    return chosen


if __name__ == '__main__':
    out, url, count, need, worker, workers, options = sys.argv[1:]
    report = photos_fetch.fetch(
        settings(url, **json.loads(options)),
        plan(int(count), need=int(need)),
        out,
        int(worker),
        int(workers),
    )
    print(json.dumps(report._asdict()))
