"""Embeddings of many tiles at once, as wholes and at points: windows of all of them share batches.

Every window is read and encoded once, whether its tile is wanted as a whole, at points or both.
Threads read the windows of the next tiles while the device works.
"""

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.raster_files import Raster, place_of
from gair_jax.models.gair import Params
from gair_jax.serve.ahead import ahead
from gair_jax.serve.embedder import BATCH, filled
from gair_jax.serve.engine import Engine
from gair_jax.serve.localize import MOST_BYTES, Visit, power_of_two, queried, visits_of
from gair_jax.serve.place_rows import PlaceRow
from gair_jax.serve.program import Program
from gair_jax.serve.windows import OVERLAP, WindowGrid

CHUNK = 8  # windows that a thread reads before it hands them over


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileReading:
    """How tiles are read.

    Attributes:
      root: folder that they lie under.
      offset: subtracted from stored values first; None: that of the sensor contract.
      band_order: '' or 'eurosat', see `raster_files.open_raster`.
      overlap: share of a window that its neighbour covers too.
      window: side of the windows in pixels; 0: that of training.
      pooled, localized: whether tiles are wanted as wholes, and at the places of their rows.
      space: 'common' or 'encoder', see `Embedder`.
    """

    root: pathlib.Path
    offset: float | None = None
    band_order: str = ''
    overlap: float = OVERLAP
    window: int = 0
    pooled: bool = True
    localized: bool = True
    space: str = 'common'


class Plan(NamedTuple):
    """One tile and the rows that name it; `points` are the rows asked for at their places."""

    rows: list[PlaceRow]
    grid: WindowGrid
    points: list[PlaceRow]
    visits: dict[int, Visit]


class Look(NamedTuple):
    """One window of a tile."""

    plan: Plan
    window: int


class Seen(NamedTuple):
    """Network input of windows of one tile; those without data are left out."""

    looks: list[Look]
    inputs: list[np.ndarray]


class TileEmbeddings(NamedTuple):
    """By number of the row: vectors of tiles as wholes, and of places in them; where there are."""

    pooled: dict[int, Float[np.ndarray, ' d']]
    localized: dict[int, Float[np.ndarray, ' e']]


def embed_tiles(
    engine: Engine,
    reading: TileReading,
    rows: Sequence[PlaceRow],
    pool: Executor,
    inspect: Callable[[Raster], None] = lambda raster: None,
) -> TileEmbeddings:
    """Embeds the tiles of rows, and notes in the rows what cannot be used.

    `pool` runs the threads that read; `inspect` is shown each tile first.
    """
    plans = list(_plans(engine, reading, rows, inspect))
    sums = _Sums()
    chunks = (chunk for plan in plans for chunk in _chunks(plan, reading.pooled))
    read = ahead(pool, lambda chunk: _read(engine, reading, chunk), chunks, os.cpu_count() or 1)
    most = power_of_two(max([1, *(len(v.point) for p in plans for v in p.visits.values())]))
    for batch in _batches(read, _batch_size(engine, reading, most)):
        sums.add(batch.looks, *_encode(engine, reading, batch, most))
    return sums.finished(plans, reading)


def _plans(
    engine: Engine,
    reading: TileReading,
    rows: Sequence[PlaceRow],
    inspect: Callable[[Raster], None],
) -> Iterator[Plan]:
    shared: dict[Any, list[PlaceRow]] = collections.defaultdict(list)
    for row in rows:
        if row.tile and 'tile' not in row.problems:
            shared[row.tile, row.box, row.crs, str(row.offset)].append(row)
    for members in shared.values():
        try:
            with _open(engine, reading, members[0]) as raster:
                inspect(raster)
                grid = engine.grid(raster.shape, reading.overlap, reading.window)
                points, at = _points(raster, members if reading.localized else [])
            visits = {v.window: v for v in visits_of(grid, at)} if points else {}
            yield Plan(members, grid, points, visits)
        except InputError as error:
            _fail(members, error)


def _open(engine: Engine, reading: TileReading, row: PlaceRow) -> AbstractContextManager[Raster]:
    subtract = reading.offset if math.isnan(row.offset) else row.offset
    return engine.raster(reading.root / row.tile, row.box, row.crs, subtract, reading.band_order)


def _points(
    raster: Raster, rows: Sequence[PlaceRow]
) -> tuple[list[PlaceRow], Float[np.ndarray, 'n 2']]:
    """The rows that lie in the raster, and where, in its pixels; the others are told so."""
    inside: list[PlaceRow] = []
    found: list[np.ndarray] = []
    for row in rows:
        if not row.located:
            continue
        try:
            tile_xy = _tile_xy(raster, row)
        except InputError as error:
            row.fail('localized', str(error))
            continue
        inside.append(row)
        found.append((tile_xy + 1) / 2 * np.array(raster.shape[::-1]))
    return inside, np.reshape(found, (-1, 2))


def _tile_xy(raster: Raster, row: PlaceRow) -> Float[np.ndarray, '2']:
    box = place_of(raster)
    try:
        return tiles.place_in_tile(np.array(row.lonlat), box.bounds, box.crs, row.tile)
    except InputError as error:
        raise InputError(f'point outside its tile: {error}') from error


def _chunks(plan: Plan, pooled: bool) -> Iterator[list[Look]]:
    windows = range(len(plan.grid)) if pooled else sorted(plan.visits)
    for start in range(0, len(windows), CHUNK):
        yield [Look(plan, window) for window in windows[start : start + CHUNK]]


def _read(engine: Engine, reading: TileReading, chunk: list[Look]) -> Seen:
    seen, plan = Seen([], []), chunk[0].plan
    try:
        with _open(engine, reading, plan.rows[0]) as raster:
            for look in chunk:
                bands = raster.window(*plan.grid.offset(look.window), *plan.grid.size)
                if not raster.sensor.missing(bands).all():
                    seen.looks.append(look)
                    seen.inputs.append(engine.rs_input(bands, raster.sensor))
    except InputError as error:
        _fail(plan.rows, error)
        return Seen([], [])
    return seen


def _fail(rows: Sequence[PlaceRow], error: InputError) -> None:
    for row in rows:
        row.fail('tile', f'{row.tile}: {error}')


def _batch_size(engine: Engine, reading: TileReading, most: int) -> int:
    """Windows in a batch of which some are asked for `most` points."""
    return max(1, min(BATCH, MOST_BYTES // (16 * most * engine.width('localized', reading.space))))


def _batches(read: Iterable[Seen], size: int) -> Iterator[Seen]:
    """Windows of all tiles, `size` at a time."""
    looks: list[Look] = []
    inputs: list[np.ndarray] = []
    for seen in read:
        looks += seen.looks
        inputs += seen.inputs
        while len(looks) >= size:
            yield Seen(looks[:size], inputs[:size])
            looks, inputs = looks[size:], inputs[size:]
    if looks:
        yield Seen(looks, inputs)


def _encode(
    engine: Engine, reading: TileReading, batch: Seen, most: int
) -> tuple[Float[np.ndarray, 'b d'], Float[np.ndarray, 'b q e']]:
    """Windows as wholes, and at their points; empty where that is not wanted."""
    pooled, patch_grid = _forward(engine, reading)(filled(batch.inputs))
    localized = np.zeros((len(batch.looks), 0, 0), np.float32)
    if any(look.plan.visits for look in batch.looks):
        xy = np.zeros((len(patch_grid), most, 2), np.float32)
        for at, look in zip(xy, batch.looks, strict=False):
            if visit := look.plan.visits.get(look.window):
                at[: len(visit.xy)] = visit.xy
        localized = np.asarray(_query(engine, reading)(patch_grid, xy))
    return np.asarray(pooled), localized


def _forward(engine: Engine, reading: TileReading) -> Program:
    def forward(params: Params, rs: Array) -> tuple[Array, Array]:
        encoded = engine.model.encode_rs(params, rs)
        pooled = encoded['pooled']
        if reading.pooled:
            pooled = engine.project(params, 'rs', pooled, reading.space)
        return pooled, encoded['patch_grid']

    return engine.program(f'tiles {reading.pooled} {reading.space}', forward, 'rs')


def _query(engine: Engine, reading: TileReading) -> Program:
    def query(params: Params, patch_grid: Array, xy: Array) -> Array:
        return queried(engine, params, patch_grid, xy, reading.space)

    return engine.program(f'points of tiles {reading.space}', query)


class _Sums:
    """Sums over windows: of tiles as wholes, and weighted, of places in several of them."""

    def __init__(self) -> None:
        self._pooled: dict[int, np.ndarray] = {}
        self._localized: dict[int, np.ndarray] = {}
        self._windows: dict[int, int] = collections.defaultdict(int)
        self._weight: dict[int, float] = collections.defaultdict(float)

    def add(self, looks: Sequence[Look], pooled: np.ndarray, localized: np.ndarray) -> None:
        for look, whole, answers in zip(looks, pooled, localized, strict=False):
            first = look.plan.rows[0].row
            self._pooled[first] = self._pooled.get(first, 0) + whole
            self._windows[first] += 1
            if visit := look.plan.visits.get(look.window):
                self._add_points(look.plan, visit, answers)

    def _add_points(self, plan: Plan, visit: Visit, answers: np.ndarray) -> None:
        for point, weight, answer in zip(visit.point, visit.weight, answers, strict=False):
            row = plan.points[point].row
            self._localized[row] = self._localized.get(row, 0) + weight * answer
            self._weight[row] += weight

    def finished(self, plans: Sequence[Plan], reading: TileReading) -> TileEmbeddings:
        """The means; rows without any data are told so."""
        found = TileEmbeddings({}, {})
        for plan in plans:
            first = plan.rows[0].row
            if 'tile' in plan.rows[0].problems:
                continue
            if reading.pooled and first not in self._pooled:
                _fail(plan.rows, InputError('no data in any pixel'))
                continue
            for row in plan.rows if reading.pooled else ():
                found.pooled[row.row] = self._pooled[first] / self._windows[first]
            for row in plan.points:
                if row.row in self._localized:
                    found.localized[row.row] = self._localized[row.row] / self._weight[row.row]
                else:
                    row.fail('localized', f'{row.tile}: no data around its point')
        return found
