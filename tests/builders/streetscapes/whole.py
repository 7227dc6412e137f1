"""A whole build by the command line over both stand-ins, and the digest of what it packs.

`start` runs a command in a process of its own, which is forked from a server that has imported
everything: most of the time of a short build would go there. Waits between repeated requests are
cut short, since the stand-ins need none. Options of `start`:

    --debug              all loggers write to stderr
    --die=TEXT:N:WHEN    kills itself `before` or `after` the N-th file (from 1) whose name contains
                         TEXT is renamed into place
    --full=TEXT:N        from the N-th on, no such file can be renamed into place: the disk is full
    --largest=BYTES      no file can be larger
    --sign=ADDRESS       files of the catalogue are signed, as those of Planetary Computer
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import logging
import multiprocessing
import os
import pathlib
import resource
import signal
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest

from gair_jax.config import DataConfig
from tests.standins import catalogue, photo_api, scene_files

ROOT = pathlib.Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'configs/data/my_city.py'
CITIES = {
    'paris': (2.3522, 48.8566, '31UDQ'),
    'oslo': (10.7522, 59.9139, '32VNM'),
    'lima': (-77.0428, -12.0464, '18LTM'),
}
DATES = ('2020-05-10', '2020-06-10', '2022-05-11')
TOKEN = 'MLY|secret|client'
_SERVER = multiprocessing.get_context('forkserver')
_SERVER.set_forkserver_preload([__name__, 'gair_jax.builders.streetscapes.build'])
FIRST_ID = 770_000_000_000_017  # of 15 digits, as Mapillary's
FAULTS = ('gone', 'error once', 'expired once', 'cut once')  # of `photo_api.by_hash`


def ids(count):
    """Ids of photos, of which each of the first four meets one of `FAULTS`."""
    numbers = [str(FIRST_ID + step) for step in range(4000)]
    faults = [next(n for n in numbers if photo_api.by_hash(n) == fault) for fault in FAULTS]
    fine = [name for name in numbers if not photo_api.by_hash(name)]
    return [*faults, *fine][:count]


def table(path, count=24):
    """Writes a CSV of photos of `CITIES`, in turns, and returns its rows by id."""
    rng = np.random.default_rng(0)
    rows = []
    for number, name in enumerate(ids(count)):
        city = list(CITIES)[number % len(CITIES)]
        lon, lat = np.array(CITIES[city][:2]) + rng.uniform(-0.006, 0.006, 2)
        row = {'id': name, 'source': 'mapillary', 'lon': lon, 'lat': lat, 'city_id': city}
        rows.append({**row, 'heading': 10.0 * number, 'time': '2019-07-01T12:00:00'})
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return pd.DataFrame(rows).set_index('id')


def scenes():
    """Three dates of each city, the last of which carries the +1000."""
    return [
        catalogue.scene_around(lon, lat, date, mgrs=mgrs, **_processing(date))
        for lon, lat, mgrs in CITIES.values()
        for date in DATES
    ]


def _processing(date):
    return {'baseline': '04.00', 'flag': 'no', 'carries': True} if date > '2022-01-25' else {}


@contextlib.contextmanager
def services(made=None, *, fault=photo_api.by_hash, token=TOKEN, **options):
    """Serves scenes (without any: `scenes`) and photos; yields a `Catalogue` and a `PhotoApi`.

    `options` are of `catalogue.serve`. Files of scenes are made once a session.
    """
    api = photo_api.PhotoApi(token=token, fault=fault)
    with (
        catalogue.serve(scenes() if made is None else made, **options) as served,
        photo_api.serve(api) as photos,
    ):
        served.file = lambda name, band: _file(served.scenes[name], band, served.block)
        yield served, photos


_file = functools.lru_cache(maxsize=1024)(scene_files.cog)


def command(folder, catalogue_url, photos_url, *more):
    """Arguments of `gair` for a build in `folder` of the table `folder/photos.csv`.

    It leaves its files in `folder/out` and packs into `folder/prepared`. Six photos of a city are
    planned and the others are in reserve. What is said in `more` counts.
    """
    return [
        'data', 'build', 'streetscapes', f'--config={CONFIG}', f'--out={folder / "out"}',
        f'--data-dir={folder / "prepared"}', '--workers=1',
        f'--config.places.table={folder / "photos.csv"}', '--config.places.per_city=6',
        '--config.scenes.source=stac', f'--config.scenes.url={catalogue_url}',
        f'--config.photos.mapillary_url={photos_url}', '--config.photos.rate=5000.0',
        '--config.photos.connections=4', *more,
    ]  # fmt: skip


class Started:
    """A command in a process of its own; what it says goes into files beside its build."""

    def __init__(self, arguments, options):
        self._said = [tempfile.NamedTemporaryFile() for _ in range(2)]
        job = ([*options, *arguments], [file.name for file in self._said])
        self._process = _SERVER.Process(target=_child, args=job)
        self._process.start()
        self.kill, self.terminate = self._process.kill, self._process.terminate

    def wait(self, timeout=120.0):
        """(exit code, stdout, stderr) at its end; the code is -N where signal N ended it."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, 'it goes on and on'
        said = [file.read().decode() for file in self._said]
        for file in self._said:
            file.close()
        return self._process.exitcode, *said


def start(arguments, *options):
    """Starts a command."""
    return Started(arguments, options)


def run(arguments, *options):
    """(exit code, stdout, stderr) of a command."""
    return start(arguments, *options).wait()


def digest(data_dir, variant='default'):
    """SHA-256 of every record of a prepared set as decoded, in order: what training can see."""
    from gair_jax.input import store

    found = store.Store(DataConfig(dir=str(data_dir), name='streetscapes', variant=variant))
    total = hashlib.sha256(json.dumps(found.splits, sort_keys=True).encode())
    for records in (found.tiles, *(found.photos(split) for split in sorted(found.splits))):
        total.update(b'%d records' % len(records))
        for record in records:
            for field in dataclasses.fields(record):
                _add(total, field.name, getattr(record, field.name))
    return total.hexdigest()


def _add(total, name, value):
    """Adds a field to a digest: arrays and bytes as they are, all else as it is written."""
    if isinstance(value, np.ndarray):
        said, value = f'{name} {value.dtype} {value.shape}', value.tobytes()
    elif isinstance(value, bytes):
        said = f'{name} {len(value)}'
    else:
        said, value = f'{name} {value!r}', b''
    total.update(said.encode() + b'\n' + value)


def shorten(monkeypatch):
    """Cuts the waits between repeated requests short, in this process."""
    from gair_jax.builders.streetscapes import photos_requests, scenes_stac

    monkeypatch.setattr(photos_requests, 'FIRST_WAIT', 0.01)
    monkeypatch.setitem(scenes_stac.StacSource.__init__.__kwdefaults__, 'delay', 0.002)


def here(monkeypatch, arguments):
    """Exit code of a command in this process: quicker than `run`."""
    from gair_jax import cli

    shorten(monkeypatch)
    monkeypatch.setenv('MAPILLARY_TOKEN', TOKEN)
    return cli.main(arguments)


def _renaming(text, number, act):
    """Calls `act(rename)` in the place of the N-th rename of such a file; `rename` does it."""
    count = 0

    def wrapped(rename):
        def renamed(source, target, *rest, **more):
            nonlocal count
            count += text in str(target)
            work = functools.partial(rename, source, target, *rest, **more)
            return act(work) if text in str(target) and count >= number else work()

        return renamed

    os.replace, os.rename = wrapped(os.replace), wrapped(os.rename)


def _die(when, rename):
    if when == 'after':
        rename()
    os.kill(os.getpid(), signal.SIGKILL)


def _full(rename):
    source, target = rename.args
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))


def _sign(address):
    from gair_jax.builders.streetscapes import scenes_stac

    known = scenes_stac.PRESETS['stac']
    scenes_stac.PRESETS['stac'] = dataclasses.replace(known, sign=address)


def _apply(name, value):
    """Does what an option of this module says."""
    if name == '--debug':
        logging.basicConfig(level=logging.DEBUG)
    elif name == '--sign':
        _sign(value)
    elif name == '--largest':
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), resource.RLIM_INFINITY))
    else:
        text, number, *when = value.split(':')
        _renaming(text, int(number), functools.partial(_die, *when) if when else _full)


def _child(arguments, said):
    """The process of a command."""
    from gair_jax import cli

    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.chdir(ROOT)
    os.environ['MAPILLARY_TOKEN'] = TOKEN
    shorten(pytest.MonkeyPatch())
    while arguments[0].startswith('--'):
        name, _, value = arguments.pop(0).partition('=')
        _apply(name, value)
    sys.exit(cli.main(arguments))
