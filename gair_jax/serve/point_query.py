"""Localized embeddings of a list of places in one tile, as GeoParquet.

Places are read, embedded and written a batch at a time, so neither the table nor the tile need fit
in memory. All places are checked before the first is embedded; a killed run goes on where it
stopped.
"""

import dataclasses
import hashlib
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from jaxtyping import Float
from rich import console, progress

import gair_jax
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.raster_files import Raster, place_of
from gair_jax.input.tables import name_columns
from gair_jax.serve import blocks, geoparquet, offset, place_tables, raster_output
from gair_jax.serve.embedder import Embedder, unit
from gair_jax.serve.engine import Tile
from gair_jax.serve.localize import localize
from gair_jax.serve.parts import Parts, parts
from gair_jax.serve.scene_cells import Sampling, file_identity, windows_over
from gair_jax.serve.windows import WindowGrid

MEMORY = 2**26  # bytes of embeddings held at a time, about
DTYPES = ('float32', 'float16')
FIELDS = {'lon': 'degrees east, WGS84', 'lat': 'degrees north, WGS84'}
OWN_COLUMNS = ('geometry', 'embedding_localized', 'error')
NO_DATA = 'no data in the tile at this place'


class Points(NamedTuple):
    """Places to embed.

    name: what errors call them; schema: of the columns that are kept; rows: how many; digest: tells
    them from others; batches: rows in order, so many at a time; places: degrees, longitude first,
    of the rows of a batch.
    """

    name: str
    schema: pa.Schema
    rows: int
    digest: Any
    batches: Callable[[int], Iterator[pa.Table]]
    places: Callable[[pa.Table], Float[np.ndarray, 'n 2']]


class Written(NamedTuple):
    """What was written: the file, how many rows, how many of them without data, how long."""

    path: pathlib.Path
    rows: int
    without_data: int
    seconds: float


def from_table(path: str | os.PathLike[str], columns: Mapping[str, str]) -> Points:
    """The rows of a table (`place_tables`); `columns` names those of lon and lat if need be.

    Raises:
      InputError: no such table, or nothing in it says where a row is.
    """
    table = place_tables.open_table(path)
    named = name_columns(table.path, table.schema.names, columns, FIELDS)
    if not named and table.primary:
        places = _by_geometry(table)
    elif len(named) == 2:
        places = _by_columns(table.path, named['lon'], named['lat'])
    else:
        raise InputError(
            f'{path}: expected columns lon and lat (name them with --columns lon=x,lat=y), found '
            f'{", ".join(table.schema.names)}.'
        )
    kept = [field for field in table.schema if field.name not in OWN_COLUMNS]
    return Points(
        str(path), pa.schema(kept), table.rows, file_identity(str(path)), table.batches, places
    )


def from_places(lonlat: Sequence[Sequence[float]]) -> Points:
    """Places given one by one: degrees, WGS84, longitude first."""
    values = np.array(lonlat, np.float64).reshape(-1, 2)
    rows = pa.table({'lon': values[:, 0], 'lat': values[:, 1]})
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return Points(
        'places', rows.schema, len(values), digest, lambda n: _cut(rows, n),
        lambda batch: np.stack([batch['lon'], batch['lat']], axis=-1),
    )  # fmt: skip


def write(
    embedder: Embedder,
    tile: Tile,
    points: Points,
    out: str | os.PathLike[str],
    sampling: Sampling,
    *,
    dtype: str = 'float32',
    subtract: float | None = None,
    band_order: str = '',
) -> Written:
    """Embeds the places of `points` in a tile.

    Args:
      embedder: of `gair_jax.load`.
      tile: path of a GeoTIFF of any size, with a georeference.
      points: all inside the tile.
      out: .parquet: the columns of the points, geometry, embedding_localized, error. Where the tile
        has no data the embedding is null and the error says so.
      sampling: windows and space; its spacing is not read.
      dtype: 'float32' or 'float16'.
      subtract: taken from stored values first; None is the sensor contract's offset.
      band_order: '' or 'eurosat', see `raster_files.open_raster`.

    Raises:
      InputError: a place is outside the tile or none (its row is named), or the tile cannot be
        used.
    """
    start, out = time.monotonic(), pathlib.Path(out)
    if out.suffix != '.parquet':
        raise InputError(f'{out}: expected a name that ends in .parquet for points.')
    if dtype not in DTYPES:
        raise InputError(f'dtype: expected {" or ".join(DTYPES)} for points, found {dtype!r}.')
    embedder.require('rs', sampling.space)
    raster_of = embedder.raster(tile, offset=subtract, band_order=band_order)
    with rasterio.Env(GDAL_CACHEMAX=raster_output.CACHE), raster_of as raster:
        offset.warn(raster)
        missing = _write(embedder, raster, points, out, sampling, dtype)
    return Written(out, points.rows, missing, time.monotonic() - start)


def _write(
    embedder: Embedder,
    raster: Raster,
    points: Points,
    out: pathlib.Path,
    sampling: Sampling,
    dtype: str,
) -> int:
    """Writes the table; returns how many places are without data."""
    grid = windows_over(embedder, raster, sampling)
    rows = int(np.clip(MEMORY // (16 * embedder.width('localized', sampling.space)), 256, 2**16))
    for first, places in _placed(points, rows):
        check_inside(raster, places, points.name, first)
    settings = _settings(embedder, raster, points, sampling, dtype)
    with parts(out, {**settings, 'rows': rows}) as kept:
        _compute(embedder, raster, grid, points, sampling, rows, kept)
        ready = kept.folder / out.name
        made_by = geoparquet.provenance(embedder, **settings)
        missing = _assemble(ready, points, rows, kept, dtype, made_by)
        os.replace(ready, out)
    return missing


def check_inside(raster: Raster, places: Float[np.ndarray, 'n 2'], name: str, first: int) -> None:
    """InputError that names the row of the first place outside the raster; rows from `first`."""
    box = place_of(raster)
    try:
        tiles.place_in_tile(places, box.bounds, box.crs, name)
    except InputError:
        for row, place in enumerate(places, start=first):
            tiles.place_in_tile(place, box.bounds, box.crs, f'{name}, row {row}')
        raise


def _compute(
    embedder: Embedder,
    raster: Raster,
    grid: WindowGrid,
    points: Points,
    sampling: Sampling,
    rows: int,
    kept: Parts,
) -> None:
    terminal = console.Console(stderr=True)
    with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f'{points.name}: places', total=points.rows)
        for first, places in _placed(points, rows):
            if _name(first) not in kept:
                found = _embedded(embedder, raster, grid, places, sampling)
                kept.save(_name(first), embeddings=found)
            bar.advance(task, len(places))


def _embedded(
    embedder: Embedder,
    raster: Raster,
    grid: WindowGrid,
    places: Float[np.ndarray, 'n 2'],
    sampling: Sampling,
) -> Float[np.ndarray, 'n d']:
    """Embeddings, nan where the tile has no data."""
    box = place_of(raster)
    tile_xy = tiles.lonlat_to_tile_xy(places, box.bounds, box.crs)
    at = (np.clip(tile_xy, -1, 1) + 1) / 2 * np.array(raster.shape[::-1])
    seen = ~blocks.missing_at(raster, at)
    found = np.full((len(at), embedder.width('localized', sampling.space)), np.nan, np.float32)
    if seen.any():
        found[seen] = localize(embedder, raster, grid, at[seen], space=sampling.space)
    return unit(found) if sampling.normalize else found


def _assemble(
    path: pathlib.Path, points: Points, rows: int, kept: Parts, dtype: str, made_by: dict[str, Any]
) -> int:
    """Writes the table; returns how many places are without data."""
    without, sink = 0, None
    for first, (batch, places) in _numbered(points, rows):
        found = kept.load(_name(first), 'embeddings')
        known = np.isfinite(found).all(axis=-1)
        own = {
            'geometry': geoparquet.points(places),
            'embedding_localized': geoparquet.embeddings(np.nan_to_num(found), known, dtype),
            'error': pa.array(np.where(known, '', NO_DATA)),
        }
        table = batch.select(points.schema.names)
        for name, column in own.items():
            table = table.append_column(name, column)
        if sink is None:
            schema = table.schema.with_metadata(geoparquet.metadata(made_by))
            sink = pq.ParquetWriter(path, schema, compression='zstd')
        sink.write_table(table)
        without += int((~known).sum())
    assert sink is not None
    sink.close()
    return without


def _placed(points: Points, rows: int) -> Iterator[tuple[int, Float[np.ndarray, 'n 2']]]:
    """The number of the first row of each batch, from 1, and the places of its rows."""
    return ((first, places) for first, (_, places) in _numbered(points, rows))


def _numbered(points: Points, rows: int) -> Iterator[tuple[int, tuple[pa.Table, np.ndarray]]]:
    first = 1
    for batch in points.batches(rows):
        yield first, (batch, points.places(batch))
        first += batch.num_rows


def _by_geometry(table: place_tables.PlaceTable) -> Callable[[pa.Table], np.ndarray]:
    return lambda batch: place_tables.points(table, batch)


def _by_columns(path: pathlib.Path, *names: str) -> Callable[[pa.Table], np.ndarray]:
    def places(batch: pa.Table) -> np.ndarray:
        try:
            return np.stack([batch[name].cast(pa.float64()).to_numpy() for name in names], axis=-1)
        except pa.ArrowException as error:
            raise InputError(
                f'{path}: expected numbers in {" and ".join(names)}: {error}.'
            ) from error

    return places


def _cut(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    return (table.slice(start, rows) for start in range(0, table.num_rows, rows))


def _settings(
    embedder: Embedder, raster: Raster, points: Points, sampling: Sampling, dtype: str
) -> dict[str, Any]:
    """Everything that the embeddings depend on, as JSON values."""
    return {
        'version': gair_jax.__version__,
        'checkpoint': geoparquet.provenance(embedder)['checkpoint'],
        'compute': embedder.config.model.dtype,
        'tile': file_identity(raster.name),
        'sensor': raster.sensor.to_dict(),
        'points': [points.name, points.digest],
        'sampling': dataclasses.asdict(sampling),
        'dtype': dtype,
    }


def _name(first: int) -> str:
    return f'rows-{first:09d}'
