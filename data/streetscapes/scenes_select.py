"""Which scenes are searched for, and which are taken: the clearest of each period over each tile.

A scene of little cloud may have it over the tile, so passes are ranked by what its classification
(SCL) says of the tile itself. The whole ranking is kept: where a file turns out to be broken, the
next of the period is taken.
"""

import concurrent.futures
import functools
import itertools
import pathlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt

from gair_jax.builders.streetscapes import keys, periods, scenes_passes, scenes_run
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import Ledger
from gair_jax.builders.streetscapes.scenes_passes import Pass
from gair_jax.builders.streetscapes.scenes_run import Outcome, Ran
from gair_jax.builders.streetscapes.scenes_source import (
    SCL,
    Item,
    Reader,
    Reading,
    SceneSource,
    SourceError,
    UnreadableError,
)
from gair_jax.builders.streetscapes.settings import ScenesConfig

# Classes of SCL (ESA, Sen2Cor): shadow of clouds, clouds of medium and high probability, cirrus.
CLOUDY = (3, 8, 9, 10)
NOTHING, DEFECTIVE = 0, 1
THREADS = 8  # requests at a time of a worker


class Ranked(NamedTuple):
    """A pass over a tile as ranked.

    Attributes:
      date: UTC.
      items: ids of the granules that are needed, in order.
      cloud: share of the tile under cloud or its shadow, 0..1.
      nodata: share of the tile that is not seen, or defective, 0..1.
      scene_cloud: of the first granule as a whole, per cent.
    """

    date: str
    items: list[str]
    cloud: float
    nodata: float
    scene_cloud: float


def search(
    settings: ScenesConfig,
    tiles: Sequence[Tile],
    out: pathlib.Path,
    *,
    source: SceneSource,
    worker: int = 0,
    workers: int = 1,
    shown: bool = True,
) -> Ran:
    """Lists the scenes of each tile of this worker in `<out>/search/TILE.json`.

    A tile without any is dropped; one whose search failed is asked for again by the next run.

    Args:
      settings: which scenes; InputError unless their period is one.
      tiles: all tiles of the plan.
      out: folder of the build.
      source: see `scenes_source.source`.
      worker: which share of the tiles is done, 0..workers - 1.
      workers: number of shares.
      shown: a bar on a terminal.
    """
    mine = _mine(settings, tiles, worker, workers)

    def work(key: str) -> Outcome:
        box, before = mine[key].lonlat_box, source.requests
        try:
            found = source.search(box, settings.start, settings.end, settings.most_cloud)
        except SourceError as error:
            return scenes_run.without('failed', f'search: {error}')
        if not found:
            return scenes_run.without('dropped', 'no scene in the catalogue')
        scenes_run.write(search_path(out, key), [item._asdict() for item in found])
        return scenes_run.kept({'items': len(found)}, requests=source.requests - before)

    with Ledger(scenes_run.ledger_path(out, 'search', worker)) as ledger:
        ledger.add(mine)
        ledger.begin()
        return scenes_run.run(ledger, ledger.todo(), work, title='Search', shown=shown)


def select(
    settings: ScenesConfig,
    tiles: Sequence[Tile],
    out: pathlib.Path,
    *,
    source: SceneSource,
    worker: int = 0,
    workers: int = 1,
    shown: bool = True,
) -> Ran:
    """Ranks the passes over each tile that was searched, in `<out>/select/TILE.json`.

    The file holds `periods`: by month or season how many dates to `take` and the `ranking`, best
    first; and `dropped`: why the other granules were left out, by id. A tile without a usable pass
    is dropped. Arguments as of `search`.
    """
    mine = _mine(settings, tiles, worker, workers)

    def work(key: str) -> Outcome:
        counted = _Counted(source)
        try:
            found = choose(counted, searched(out, key), mine[key], settings)
        except SourceError as error:
            return scenes_run.without('failed', f'classification: {error}')
        if not found['periods']:
            kinds = sorted({reason.partition(': ')[0] for reason in found['dropped'].values()})
            return scenes_run.without('dropped', f'no usable scene: {", ".join(kinds)}')
        scenes_run.write(select_path(out, key), found)
        dates = sum(period['take'] for period in found['periods'].values())
        return scenes_run.kept({'dates': dates}, fetched=counted.fetched)

    with Ledger(scenes_run.ledger_path(out, 'select', worker)) as ledger:
        ledger.add(key for key in mine if search_path(out, key).exists())
        ledger.begin()
        return scenes_run.run(ledger, ledger.todo(), work, title='Select', shown=shown)


class _Counted:
    """What is read of a source, and the bytes that this took; threads may share it."""

    def __init__(self, source: Reader) -> None:
        self._source, self._lock, self.fetched = source, threading.Lock(), 0

    def read(self, item: Item, band: str, tile: Tile) -> Reading:
        """See `Reader.read`."""
        found = self._source.read(item, band, tile)
        with self._lock:
            self.fetched += found.fetched
        return found


def choose(source: Reader, items: list[Item], tile: Tile, settings: ScenesConfig) -> dict[str, Any]:
    """`periods` and `dropped` of one tile, see `select`; SourceError if a file did not answer."""
    found, dropped = scenes_passes.passes(items, tile)
    look = functools.partial(_look, source, tile, settings.most_nodata)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(look, found))
    ranked = []
    for one, (rank, reason) in zip(found, looks, strict=True):
        ranked.extend([rank] if not reason else [])
        dropped.update((item.id, reason) for item in one.items if reason)
    ranked = _one_a_date(sorted(ranked, key=_rank), dropped)
    taken = [ranks[: settings.per_period] for _, ranks in _by_period(ranked, settings)]
    best = sorted(itertools.chain.from_iterable(taken), key=_rank)
    chosen = {rank.date for rank in best[: settings.most_dates or len(best)]}
    found_in = {}
    for period, ranks in _by_period(ranked, settings):
        ranking = [rank._asdict() for rank in ranks]
        take = sum(rank['date'] in chosen for rank in ranking)
        found_in[period] = {'take': take, 'ranking': ranking}
    return {'periods': found_in, 'dropped': dropped}


def shares(scl: UInt[np.ndarray, 'h w']) -> tuple[float, float]:
    """Shares of a window under cloud or its shadow, and not seen or defective, 0..1."""
    cloud = np.isin(scl, CLOUDY).mean()
    return float(cloud), float(np.isin(scl, (NOTHING, DEFECTIVE)).mean())


def search_path(out: pathlib.Path, tile: str) -> pathlib.Path:
    """Where the scenes of a tile are listed."""
    return out / 'search' / f'{tile}.json'


def select_path(out: pathlib.Path, tile: str) -> pathlib.Path:
    """Where the ranking of a tile is kept."""
    return out / 'select' / f'{tile}.json'


def searched(out: pathlib.Path, tile: str) -> list[Item]:
    """The scenes that the search found."""
    return [Item(**fields) for fields in scenes_run.read(search_path(out, tile))]


def _mine(
    settings: ScenesConfig, tiles: Iterable[Tile], worker: int, workers: int
) -> dict[str, Tile]:
    """The tiles of a worker by key; InputError before anything is asked if the period is none."""
    periods.check(settings.period)
    return {t.key: t for t in tiles if keys.worker_of(t.key, workers) == worker}


def _look(source: Reader, tile: Tile, most_nodata: float, one: Pass) -> tuple[Ranked, str]:
    """A pass as ranked, and why it cannot be used, '' where it can."""
    scl, used = np.zeros((tile.height, tile.width), np.uint8), list[str]()
    empty = Ranked(one.date, used, 1.0, 1.0, one.items[0].cloud)
    for item in one.items:
        try:
            values = source.read(item, SCL, tile).values
        except UnreadableError as error:
            return empty, f'unreadable: {error}'
        if ((scl == NOTHING) & (values != NOTHING)).any():
            scl = np.where(scl == NOTHING, values, scl)
            used.append(item.id)
        if (scl != NOTHING).all():
            break
    cloud, nodata = shares(scl)
    reason = f'nodata: {nodata:.1%} of the tile' if nodata > most_nodata else ''
    return Ranked(one.date, used, cloud, nodata, one.items[0].cloud), reason


def _rank(one: Ranked) -> tuple[float, float, str]:
    return one.cloud, one.scene_cloud, one.items[0]


def _by_period(ranked: list[Ranked], settings: ScenesConfig) -> list[tuple[str, list[Ranked]]]:
    """Passes by month or season, those of each as they were ordered."""

    def period(one: Ranked) -> str:
        return periods.name(one.date, settings.period)

    return [(p, list(group)) for p, group in itertools.groupby(sorted(ranked, key=period), period)]


def _one_a_date(ranked: list[Ranked], dropped: dict[str, str]) -> list[Ranked]:
    """The best pass of each date: a tile has one file a date."""
    kept = dict[str, Ranked]()
    for one in ranked:
        if kept.setdefault(one.date, one) is not one:
            dropped.update((name, 'same date') for name in one.items)
    return list(kept.values())
