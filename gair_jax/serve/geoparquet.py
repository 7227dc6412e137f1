"""Tables of places with embeddings as GeoParquet 1.1: what any GIS or data frame opens.

Points are WKB in a column `geometry`, WGS84, longitude first; an embedding is one fixed-size list
column; where it came from stands as JSON under the schema's metadata key `gair_jax`.
"""

import dataclasses
import datetime
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
from jaxtyping import Bool, Float

import gair_jax
from gair_jax.config import InputError
from gair_jax.serve.engine import Engine
from gair_jax.train.checkpoint import to_json

KEY = b'gair_jax'
# A WKB point: byte order (1, little endian), type (1, point), x, y.
_WKB = np.dtype([('order', 'u1'), ('type', '<u4'), ('x', '<f8'), ('y', '<f8')])


def provenance(engine: Engine, **settings: Any) -> dict[str, Any]:
    """What made an output: checkpoint with its hash, config, version, date, and the settings."""
    return {
        'checkpoint': dataclasses.asdict(engine.origin),
        'config': to_json(engine.config),
        'version': gair_jax.__version__,
        'date': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        **settings,
    }


def points(lonlat: Float[np.ndarray, 'n 2']) -> pa.Array:
    """A binary column of WKB points; null where a coordinate is nan."""
    made = np.zeros(len(lonlat), _WKB)
    made['order'] = made['type'] = 1
    made['x'], made['y'] = lonlat[:, 0], lonlat[:, 1]
    known = np.isfinite(lonlat).all(axis=1)
    raw = [row.tobytes() if good else None for row, good in zip(made, known, strict=True)]
    return pa.array(raw, pa.binary())


def read_points(column: pa.Array | pa.ChunkedArray) -> Float[np.ndarray, 'n 2']:
    """The inverse of `points`: float64 [n, 2], nan for null.

    Raises:
      InputError: the column holds something else than WKB points.
    """
    found = np.full((len(column), 2), np.nan)
    for i, raw in enumerate(column.to_pylist()):
        try:
            found[i] = (math.nan, math.nan) if raw is None else read_point(raw)
        except InputError as error:
            raise InputError(f'{error} in row {i + 1}.') from error
    return found


def read_point(raw: bytes) -> tuple[float, float]:
    """X and y of a WKB point, with or without z and m; InputError for another shape."""
    order = '<' if raw[:1] == b'\x01' else '>'
    kind = int(np.frombuffer(raw, f'{order}u4', 1, 1)[0]) if len(raw) >= 21 else 0
    # ISO writes z and m as 1001 to 3001; the flags of other dialects are in the upper half.
    if (kind & 0xFFFF) % 1000 != 1 or kind & 0x20000000:
        raise InputError('geometry: expected WKB points, found another shape')
    x, y = np.frombuffer(raw, f'{order}f8', 2, 5)
    return float(x), float(y)


def embeddings(
    values: Float[np.ndarray, 'n d'], known: Bool[np.ndarray, ' n'], dtype: str = 'float32'
) -> pa.Array:
    """A fixed-size list column, null where not `known`; dtype 'float32' or 'float16'."""
    flat = pa.array(values.astype(dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=pa.array(~known))


def metadata(
    made_by: dict[str, Any],
    bounds: tuple[float, ...] = (),
    others: Mapping[str, Any] | None = None,
) -> dict[bytes, bytes]:
    """Schema metadata of a table with a column `geometry`: GeoParquet's own, and provenance.

    `bounds` are those of the points (west, south, east, north); `others` is what GeoParquet says of
    further geometry columns, by name.
    """
    column = {
        'encoding': 'WKB',
        'geometry_types': ['Point'],
        'crs': json.loads(pyproj.CRS('OGC:CRS84').to_json()),
    }
    if bounds:
        column['bbox'] = list(bounds)
    geo = {
        'version': '1.1.0',
        'primary_column': 'geometry',
        'columns': {**(others or {}), 'geometry': column},
    }
    return {b'geo': json.dumps(geo).encode(), KEY: json.dumps(made_by).encode()}


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `provenance` wrote into a table; {} for a table of other origin."""
    return json.loads((pq.read_schema(path).metadata or {}).get(KEY, b'{}'))


def write(table: pa.Table, path: pathlib.Path) -> None:
    """Writes a table whole or not at all."""
    part = path.with_name(path.name + '.part')
    try:
        pq.write_table(table, part, compression='zstd')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
