"""Builds made by rule, of any size, at any stage: what the figures are measured on.

Cities stand on a lattice of degrees, each with photos in a box of 2.2 km. Functions without a
leading '_' can be called in a process of their own (`child.run`): they take and give JSON.
"""

import functools
import hashlib
import json
import pathlib
import sqlite3

import numpy as np
import pandas as pd

from gair_jax.builders.streetscapes import (
    keys,
    ledger,
    pack,
    pair,
    photos_fetch,
    photos_files,
    photos_images,
    photos_make,
    photos_requests,
    plan,
    plan_files,
    scenes_fetch,
    scenes_run,
    scenes_select,
    scenes_stac,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.photos_source import Facts
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError
from tests.standins import catalogue, photo_server
from tests.standins.photo_server import PICTURES

PER_CITY = 1453  # of the paper: 688 cities of 1,453 photos
COLUMNS = 43  # of the lattice
REACH = 0.01  # degrees of latitude from a city's centre
PARIS = (2.3522, 48.8566)
DATES = ('2020-05-10', '2020-06-10')
FIRST_ID = 10**16  # of 17 digits, as Mapillary's longest


def table(folder, cities, per_city):
    """Writes `photos.parquet`, whose photos are on land or sea alike; how many there are."""
    rng = np.random.default_rng(0)
    city = np.repeat(np.arange(cities), per_city)
    lon, lat = -170 + 7.9 * (city % COLUMNS), -45 + 7.0 * (city // COLUMNS)
    move = rng.uniform(-REACH, REACH, (len(city), 2))
    rows = pd.DataFrame(
        {
            'id': (FIRST_ID + 7919 * np.arange(len(city))).astype(str),
            'source': 'mapillary',
            'lon': lon + move[:, 0] / np.cos(np.radians(lat)),
            'lat': lat + move[:, 1],
            'heading': rng.uniform(0, 360, len(city)),
            'time': '2019-07-01T12:00:00',
            'city_id': np.char.add('city', city.astype(str)),
        }
    )
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    rows.to_parquet(pathlib.Path(folder, 'photos.parquet'))
    return len(rows)


def settings(folder, url='', rate=1e5):
    """Of a build of the table in `folder`, which asks `url` alone."""
    made = StreetscapesConfig()
    made.places.table = str(pathlib.Path(folder, 'photos.parquet'))
    made.places.per_city = PER_CITY
    made.photos.mapillary_url, made.photos.rate = url, rate
    made.scenes.source, made.scenes.url = 'stac', url
    return made


def planned(folder):
    """The stage `plan`; its counts."""
    return plan.plan(settings(folder), _out(folder))


def paired(folder):
    """The stage `pair`; its counts."""
    return pair.pair(settings(folder), _out(folder))


def packed(folder, data_dir):
    """The stage `pack`; what it says, or why it stopped."""
    try:
        return str(pack.pack(settings(folder), _out(folder), data_dir=data_dir))
    except InputError as error:
        return str(error)


def fetched(folder, url, rate, width):
    """The stage `fetch-photos`; its counts."""
    made = settings(folder, url, rate)
    made.photos.width = width
    photos_requests.FIRST_WAIT = 0.05
    rows = plan_files.photos(_out(folder), (*photos_fetch.COLUMNS, 'uuid'))
    return photos_fetch.fetch(made, rows, _out(folder)).counts


def plan_photos(folder, count):
    """A plan of photos alone, as `fetch-photos` needs it, in few cities; nothing of it is there."""
    table(folder, 4, count // 4)
    return planned(folder)


def scenes():
    """Two dates of one city."""
    return [catalogue.scene_around(*PARIS, date, mgrs='31UDQ') for date in DATES]


def scenes_fetched(folder, count, url):
    """The stages up to `fetch-scenes` for photos in one box of Paris; scenes that are kept."""
    move = np.random.default_rng(0).uniform(-0.004, 0.004, (count, 2))
    move[:2] = [[-0.004, -0.004], [0.004, 0.004]]  # The box is the same however many there are.
    places = np.array(PARIS) + move
    rows = {'id': [str(FIRST_ID + n) for n in range(count)], 'source': 'mapillary'}
    rows |= {'lon': places[:, 0], 'lat': places[:, 1], 'city_id': 'paris'}
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / 'photos.parquet')
    planned(folder)
    return fetch_scenes(folder, list(plan_files.tiles(_out(folder)).values()), url)


def fetch_scenes(folder, tiles, url):
    """Searches, selects and fetches the dates of tiles; how many are kept."""
    tiles = [Tile(*tile) for tile in tiles]
    tiles = [
        tile._replace(key=f'{n}', transform=tuple(tile.transform)) for n, tile in enumerate(tiles)
    ]
    source = scenes_stac.StacSource(
        scenes_stac.Preset(url=url, collection='sentinel-2-l2a'), delay=0.002
    )
    options = settings(folder, url).scenes
    for stage in (scenes_select.search, scenes_select.select, scenes_fetch.fetch):
        ran = stage(options, tiles, _out(folder), source=source, shown=False)
    return ran.counts['kept']


def settled(folder, dates, with_files):
    """Says in the ledgers of a planned build that all is kept; writes the files if asked to.

    Files of scenes hold noise and photos are few pictures in turn, so that their sizes and digests
    are as of fetched ones.
    """
    out = _out(folder)
    days = [f'20{17 + n // 12}-{n % 12 + 1:02}-10' for n in range(dates)]
    tiles = plan_files.tiles(out).values()
    for stage, said in (('search', {}), ('select', {'dates': dates})):
        _insert(out, stage, ((tile.key, '', 0, json.dumps(said)) for tile in tiles))
    _insert(out, scenes_fetch.STAGE, (_scene(out, t, d, with_files) for t in tiles for d in days))
    rows = plan_files.photos(out)[['key', 'orig_id']].itertuples(index=False)
    _insert(out, photos_files.STAGE, (_photo(out, *row, with_files) for row in rows))


def forget_photos(folder, count):
    """Takes the last photos out of the ledger, as if they had not been fetched."""
    path = scenes_run.ledger_path(_out(folder), photos_files.STAGE, 0)
    with sqlite3.connect(path) as db:
        db.execute(
            'delete from entries where key in '
            '(select key from entries order by key desc limit ?)', (count,),
        )  # fmt: skip


def _out(folder):
    return pathlib.Path(folder, 'out')


def _insert(out, stage, rows):
    """Rows (key, sha256, size, record) at once: settling a million one by one takes minutes."""
    path = scenes_run.ledger_path(out, stage, 0)
    ledger.Ledger(path).close()
    with sqlite3.connect(path) as db:
        rows = ((key, 'kept', '', 1, sha256, size, record) for key, sha256, size, record in rows)
        db.executemany('insert into entries values (?,?,?,?,?,?,?)', rows)


def _scene(out, tile, day, with_files):
    file = f'scenes/{tile.key}/{day}.tif'
    record = {'tile': tile.key, 'date': day, 'file': file, 'cloud': 0.0}
    sha256, size = '', 0
    if with_files:
        rng = np.random.default_rng(keys.order(0, file))
        values = rng.integers(1, 4000, (len(BANDS), tile.height, tile.width), np.uint16)
        size = scenes_fetch.write(out / file, values, tile, record)
        sha256 = scenes_fetch.digest(values)
    return f'{tile.key}/{day[:7]}.0', sha256, size, json.dumps(record)


def _photo(out, key, orig_id, with_files):
    picture = _pictures()[keys.order(1, key) % PICTURES]
    path = photos_files.path_of(key, -1)
    if with_files:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(picture.jpeg)
    sha256 = hashlib.sha256(picture.jpeg).hexdigest() if with_files else '0' * 64
    record = _record().replace('@FILE@', path.as_posix()).replace('@ID@', orig_id)
    return key, sha256, len(picture.jpeg), record.replace('@SHA256@', sha256)


@functools.cache
def _record():
    """The record of a kept photo, by the builder's own hand, with gaps for what differs."""
    picture = photos_images.Kept(b'', 448, 336)
    photo = photos_make.Planned('mapillary:@ID@', 'mapillary', '@ID@', 0.0, False)
    how = photos_make.How(width=1024, side=336, quality=90, views=4, field_of_view=90.0, seed=0)
    facts = Facts('', 'https://www.mapillary.com/app/?pKey=@ID@', 'somebody',
                  '2019-07-01T12:00:00.000+00:00', 'CC BY-SA 4.0', 0.0, 'perspective')  # fmt: skip
    record = photos_make.record(photo, facts, [photos_make.Shot(-1, 0.0, picture)], how)
    record['files'][0] |= {'file': '@FILE@', 'sha256': '@SHA256@'}
    more = {'fetched_at': '2026-01-01T00:00:00+00:00', 'fetched_from': 'mapillary'}
    return json.dumps(record | more, sort_keys=True)


@functools.cache
def _pictures():
    """As they are kept: shorter side 336."""
    return [
        photos_images.encode(photo_server.picture(number, (448, 336)), 90)
        for number in range(PICTURES)
    ]
