"""The chosen scenes of each tile as files: ten bands, uint16, without the offset, one file a date.

A date is a slot of its period (month or season): the first slot takes the first pass of the ranking
whose files can be read, the next one the next. Order matters in two places, and there a slot waits
for those before it: within a period, and where a scene that may carry the offset is held against
dates that cannot. So the result is the same however often the stage was stopped.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import rasterio
from jaxtyping import Float, UInt16

from gair_jax.builders.streetscapes import (
    keys,
    scenes_mosaic,
    scenes_offset,
    scenes_run,
    scenes_select,
    whole_files,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.ledger import FINAL, Ledger
from gair_jax.builders.streetscapes.scenes_mosaic import Mosaic
from gair_jax.builders.streetscapes.scenes_run import Outcome, Ran
from gair_jax.builders.streetscapes.scenes_source import (
    BANDS,
    Item,
    SceneSource,
    SourceError,
    UnreadableError,
)
from gair_jax.builders.streetscapes.settings import ScenesConfig

STAGE = 'fetch-scenes'


class Slot(NamedTuple):
    """A date that is to be fetched: the `place`-th of a period of a tile, from 0."""

    tile: str
    period: str
    place: int

    @property
    def key(self) -> str:
        """Its name in the ledger."""
        return f'{self.tile}/{self.period}.{self.place}'


class Candidate(NamedTuple):
    """A pass of the ranking: its entry in it (`scenes_select.Ranked`), and its granules."""

    rank: dict[str, Any]
    items: list[Item]


def fetch(
    settings: ScenesConfig,
    tiles: Sequence[Tile],
    out: pathlib.Path,
    *,
    source: SceneSource,
    worker: int = 0,
    workers: int = 1,
    shown: bool = True,
) -> Ran:
    """Writes `<out>/scenes/TILE/DATE.tif` for the chosen dates of this worker's tiles.

    The ledger's record of a kept slot says what the file holds: see `describe`. Arguments as of
    `scenes_select.search`.
    """
    plans = {
        tile.key: _Plan(tile, out, source, settings.most_nodata)
        for tile in tiles
        if keys.worker_of(tile.key, workers) == worker
        and scenes_select.select_path(out, tile.key).exists()
    }
    slots = {slot.key: slot for plan in plans.values() for slot in plan.slots}
    with Ledger(scenes_run.ledger_path(out, STAGE, worker)) as ledger:
        ledger.add(slots)
        ledger.begin()
        open_keys = set(ledger.todo())
        todo = [key for key in slots if key in open_keys]

        def work(key: str) -> Outcome:
            return plans[slots[key].tile].fetch(slots[key], ledger)

        return scenes_run.run(ledger, todo, work, title='Scenes', shown=shown)


class _Plan:
    """The slots of a tile, in the order in which they are done."""

    def __init__(
        self, tile: Tile, out: pathlib.Path, source: SceneSource, most_nodata: float
    ) -> None:
        self._tile, self._out, self._source = tile, out, source
        self._most_nodata = most_nodata
        periods = scenes_run.read(scenes_select.select_path(out, tile.key))['periods']
        items = {item.id: item for item in scenes_select.searched(out, tile.key)}
        self._ranking = {
            period: [Candidate(r, [items[name] for name in r['items']]) for r in found['ranking']]
            for period, found in periods.items()
        }
        slots = [Slot(tile.key, p, k) for p, found in periods.items() for k in range(found['take'])]
        # Of whole periods: a slot also depends on those before it in its period.
        self._doubtful = {s.period for s in slots if not self._certain(s)}
        self.slots = sorted(slots, key=lambda slot: (slot.period in self._doubtful, slot))

    def fetch(self, slot: Slot, ledger: Ledger) -> Outcome:
        """The first pass of the period that no earlier slot has and that can be read."""
        before = self._before(slot)
        if waits := [s.key for s in before if ledger.get(s.key).state not in FINAL]:
            return scenes_run.without('failed', f'waits: for {waits[0]}')
        done = [ledger.get(s.key).record for s in before]
        taken = {record.get('date') for record in done}
        medians = [record['medians'] for record in done if record.get('certain')]
        reference = np.array(medians, np.float64).reshape(-1, len(BANDS))
        passed_over = dict[str, str]()
        for candidate in self._ranking[slot.period]:
            date = candidate.rank['date']
            if date in taken or any(date in r.get('passed_over', {}) for r in done):
                continue
            try:
                return self._kept(candidate, reference, passed_over)
            except UnreadableError as error:
                passed_over[date] = str(error)
            except SourceError as error:
                return scenes_run.without('failed', f'scene: {error}')
        return _nothing_left(passed_over)

    def _certain(self, slot: Slot) -> bool:
        return all(map(scenes_offset.certain, self._ranking[slot.period][slot.place].items))

    def _before(self, slot: Slot) -> list[Slot]:
        """Slots on which this one depends."""
        same = [s for s in self.slots if s.period == slot.period and s.place < slot.place]
        if slot.period not in self._doubtful:
            return same
        return [s for s in self.slots if s.period not in self._doubtful] + same

    def _kept(
        self,
        candidate: Candidate,
        reference: Float[np.ndarray, 'n c'],
        passed_over: dict[str, str],
    ) -> Outcome:
        found = scenes_mosaic.read(self._source, candidate.items, self._tile, reference)
        if found.nodata > self._most_nodata:
            raise UnreadableError(f'nodata: {found.nodata:.1%} of the tile')
        date = candidate.rank['date']
        name = f'scenes/{self._tile.key}/{date}.tif'
        record = describe(candidate, found, self._tile)
        size = write(self._out / name, found.values, self._tile, record)
        record |= {'file': name, 'passed_over': passed_over}
        return scenes_run.kept(record, digest(found.values), size, fetched=found.fetched)


def _nothing_left(passed_over: dict[str, str]) -> Outcome:
    said = '; '.join(f'{date} {reason}' for date, reason in passed_over.items())
    reason = f'no readable scene of the period: {said}' if said else 'no scene left in the period'
    return Outcome('dropped', reason, '', 0, {'passed_over': passed_over})


def describe(candidate: Candidate, found: Mosaic, tile: Tile) -> dict[str, Any]:
    """Where a file comes from and what was done to it, as JSON.

    Lists have one entry a granule, in the order in which they fill the tile; `medians` one a band.
    """
    items = candidate.items[: len(found.offsets)]
    return {
        'tile': tile.key,
        'date': candidate.rank['date'],
        'cloud': candidate.rank['cloud'],
        'nodata': found.nodata,
        'exact': found.exact,
        'certain': all(map(scenes_offset.certain, items)),
        'medians': scenes_offset.window_medians(found.values).tolist(),
        'offset_removed': [offset.removed for offset in found.offsets],
        'offset_conflict': [offset.conflict for offset in found.offsets],
        'items': [item._asdict() for item in items],
    }


def digest(values: UInt16[np.ndarray, 'c h w']) -> str:
    """SHA-256 of decoded pixels, hexadecimal: little-endian, band by band, row by row."""
    return hashlib.sha256(np.ascontiguousarray(values, '<u2').tobytes()).hexdigest()


def write(
    path: pathlib.Path, values: UInt16[np.ndarray, 'c h w'], tile: Tile, record: dict[str, Any]
) -> int:
    """A GeoTIFF that is there whole or not at all; its size in bytes.

    Bands are described by name, 0 is nodata, and each field of `record` is a tag, as JSON.

    Raises:
      InputError: it cannot be written.
    """
    form = {'tiled': True, 'blockxsize': 256, 'blockysize': 256, 'compress': 'zstd', 'predictor': 2}
    # In memory first: what GDAL says of a full disk names no reason, and goes to stderr too.
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver='GTiff',
            dtype='uint16',
            count=len(values),
            height=tile.height,
            width=tile.width,
            crs=tile.crs,
            transform=rasterio.Affine(*tile.transform),
            nodata=0,
            **form,
        ) as sink:
            sink.write(values)
            sink.descriptions = BANDS
            sink.update_tags(**{name: json.dumps(value) for name, value in record.items()})
        data = bytes(memory.getbuffer())
    whole_files.write(path, data)
    return len(data)
