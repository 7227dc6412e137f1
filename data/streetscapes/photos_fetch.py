"""The stage `fetch-photos`: planned photos -> files, and a row of the ledger for each.

One process a worker; in it, as many photos at a time as connections. A photo's files are renamed
into place first and its row is settled then, by the one task that owns the ledger. Whatever ends
the process, the same call goes on, and asks again only for what was in flight.
"""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import signal
from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from gair_jax.builders.streetscapes import (
    keys,
    ledger,
    photos_files,
    photos_make,
    photos_requests,
    tally,
)
from gair_jax.builders.streetscapes.photos_cities import Cities
from gair_jax.builders.streetscapes.photos_loop import Loop
from gair_jax.builders.streetscapes.photos_mapillary import WIDTHS
from gair_jax.builders.streetscapes.photos_one import Photos
from gair_jax.builders.streetscapes.photos_share import Share
from gair_jax.builders.streetscapes.settings import PhotosConfig, StreetscapesConfig
from gair_jax.config import InputError

SOURCES = ('mapillary', 'kartaview', 'folder')
COLUMNS = (
    'key',
    'source',
    'orig_id',
    'heading',
    'datetime',
    'city',
    'city_id',
    'panorama',
    'order',
    'reserve',
)


class Report(NamedTuple):
    """What became of the photos of a worker.

    counts: photos by state, of all states of the ledger.
    reasons: photos that were not kept, by reason.
    stopped: name of the signal that came; '' if the work is done.
    """

    counts: dict[str, int]
    reasons: dict[str, int]
    stopped: str


def fetch(
    settings: StreetscapesConfig,
    photos: pd.DataFrame | str | os.PathLike[str],
    out: str | os.PathLike[str],
    worker: int = 0,
    workers: int = 1,
) -> Report:
    """Fetches the photos of a plan, or goes on with it.

    Args:
      settings: of the build.
      photos: the plan's photos, or the Parquet file of them; needs COLUMNS.
      out: folder of the build.
      worker: which share of the photos this process takes, 0..workers - 1.
      workers: processes that share the plan; never changes what is kept.

    Returns:
      Counts over everything this worker has done so far.

    Raises:
      InputError: settings or plan cannot be used, the token is missing or refused, photos of this
        build were made in another way, another process does this worker's share, or a file cannot
        be written.
    """
    config, out = settings.photos, pathlib.Path(out)
    check(config)
    _check_share(worker, workers)
    rows, how = _read(photos), _how(settings)
    photos_files.agree(out, dataclasses.asdict(how))
    removed = photos_files.removed_ids(config.removed)
    path = out / 'ledgers' / f'{photos_files.STAGE}-{worker}.sqlite'
    with ledger.Ledger(path) as book:
        book.begin()
        if rows.empty:  # a plan of drawn places
            return Report(book.counts(), {}, '')
        photos_files.remove_from(out, book, removed)
        known = tally.states(photos_files.ledgers(out))
        share = Share(Cities(rows, worker, workers), book, out, known, removed)
        jitter = f'{how.seed}:{worker}'
        stopped = asyncio.run(_run(config, rows, out, how, share, jitter))
        return Report(book.counts(), book.reasons(), stopped)


async def _run(
    config: PhotosConfig,
    rows: pd.DataFrame,
    out: pathlib.Path,
    how: photos_make.How,
    share: Share,
    jitter: str,
) -> str:
    """Fetches a share; the name of the signal that stopped it, or ''."""
    async with photos_requests.Client(
        out / 'limits', config.rate, config.connections, config.tries, jitter
    ) as client:
        loop = Loop(client, Photos(client, config, rows, out, how), share)
        with _signals(loop):
            await loop.run(config.connections, 'photos')
        return loop.stopped


@contextlib.contextmanager
def _signals(loop: Loop) -> Iterator[None]:
    """SIGTERM and SIGINT stop the loop; outside the main thread the caller's handlers act."""
    caught, running = [], asyncio.get_running_loop()
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, loop.stop, signal.Signals(number).name)
            caught.append(number)
    except (ValueError, RuntimeError):
        pass
    try:
        yield
    finally:
        for number in caught:
            running.remove_signal_handler(number)


def _how(settings: StreetscapesConfig) -> photos_make.How:
    photos = settings.photos
    return photos_make.How(
        width=photos.width,
        side=photos.side,
        quality=photos.quality,
        views=photos.views,
        field_of_view=photos.field_of_view,
        seed=settings.places.seed,
    )


def check(config: PhotosConfig) -> None:
    """Raises InputError on settings that no photo could be fetched with."""
    expected = (
        (config.width in WIDTHS, 'width', '256, 1024 or 2048'),
        (config.side >= 0, 'side', '0 or more pixels'),
        (1 <= config.quality <= 95, 'quality', '1 to 95'),
        (config.views in (1, photos_files.MOST_VIEWS), 'views', '1 or 4'),
        (10 <= config.field_of_view <= 150, 'field_of_view', '10 to 150 degrees'),
        (config.rate > 0, 'rate', 'more than 0 requests a second'),
        (config.connections >= 1, 'connections', '1 or more'),
        (config.tries >= 1, 'tries', '1 or more'),
    )
    for good, name, text in expected:
        if not good:
            raise InputError(f'photos.{name}: expected {text}, found {getattr(config, name)}.')


def _check_share(worker: int, workers: int) -> None:
    if not 0 <= worker < workers:
        raise InputError(f'worker: expected 0 to {workers - 1}, found {worker}.')


def _read(photos: pd.DataFrame | str | os.PathLike[str]) -> pd.DataFrame:
    """The photos of a plan, without drawn places; InputError names what is wrong with its rows."""
    name = 'photos' if isinstance(photos, pd.DataFrame) else str(photos)
    try:
        rows = photos if isinstance(photos, pd.DataFrame) else pd.read_parquet(photos)
    except (OSError, ValueError) as error:
        raise InputError(f'{name}: cannot be read as a plan: {error}.') from error
    if missing := [column for column in COLUMNS if column not in rows]:
        raise InputError(
            f'{name}: column {missing[0]!r} is missing; found {", ".join(rows.columns)}.'
        )
    if (twice := rows['key'].duplicated()).any():
        raise InputError(
            f'{name}: expected each key once, found {rows["key"][twice].iloc[0]} twice.'
        )
    rows = rows[rows['source'] != keys.PLACE]
    if (unknown := ~rows['source'].isin(SOURCES)).any():
        raise InputError(
            f'{name}: column source: expected {", ".join(SOURCES)}, '
            f'found {rows["source"][unknown].iloc[0]!r}.'
        )
    return rows.reset_index(drop=True)
