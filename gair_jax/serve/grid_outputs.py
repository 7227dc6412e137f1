"""A grid of embeddings as Zarr, which xarray opens, and as GeoParquet, one row a cell."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import zarr
from jaxtyping import Shaped

from gair_jax.serve import geoparquet
from gair_jax.serve.cells import CellGrid, Chunk
from gair_jax.serve.layers import Layer

Chunks = Iterable[tuple[Chunk, Shaped[np.ndarray, 'r c b']]]
ZARR_BYTES = 2**22  # of a stored chunk, uncompressed, about


def to_zarr(
    path: pathlib.Path, layer: Layer, cells: CellGrid, chunks: Chunks, made_by: Mapping[str, Any]
) -> None:
    """Writes a Zarr 3 group: embedding [y, x, d], the centres x and y, the CRS as CF names it.

    Cells without data are nan.
    """
    group = zarr.create_group(path, overwrite=True, attributes=_attributes(cells, made_by))
    rows, cols = cells.shape
    width = len(layer.names)
    side = int(np.clip((ZARR_BYTES / (width * np.dtype(layer.dtype).itemsize)) ** 0.5, 1, 256))
    embedding = group.create_array(
        'embedding',
        shape=(rows, cols, width),
        chunks=(min(side, rows), min(side, cols), width),
        dtype=layer.dtype,
        fill_value=layer.nodata,
        dimension_names=('y', 'x', 'd'),
        attributes={'grid_mapping': 'spatial_ref', 'long_name': 'localized embedding'},
    )
    for chunk, stored in chunks:
        at = slice(chunk.row, chunk.row + chunk.rows), slice(chunk.col, chunk.col + chunk.cols)
        embedding[at] = stored
    a, _, left, _, e, top = cells.transform
    _axis(group, 'x', left + a * (np.arange(cols) + 0.5))
    _axis(group, 'y', top + e * (np.arange(rows) + 0.5))
    mapping = group.create_array('spatial_ref', shape=(), dtype='int32', attributes=_mapping(cells))
    mapping[...] = 0


def to_table(
    path: pathlib.Path, layer: Layer, cells: CellGrid, chunks: Chunks, made_by: Mapping[str, Any]
) -> None:
    """Writes GeoParquet: row, col, geometry (the centre) and embedding_localized.

    Cells without data are left out. Rows come chunk by chunk, as they were computed.
    """
    schema = pa.schema(
        [
            ('row', pa.int32()),
            ('col', pa.int32()),
            ('geometry', pa.binary()),
            ('embedding_localized', pa.list_(pa.from_numpy_dtype(layer.dtype), len(layer.names))),
        ],
        metadata=geoparquet.metadata(dict(made_by)),
    )
    with pq.ParquetWriter(path, schema, compression='zstd') as sink:
        for chunk, stored in chunks:
            known = np.asarray(np.isfinite(stored).all(axis=-1))
            if known.any():
                sink.write_table(_rows(chunk, cells, stored, known, layer.dtype).cast(schema))


def _rows(
    chunk: Chunk, cells: CellGrid, stored: np.ndarray, known: np.ndarray, dtype: str
) -> pa.Table:
    row, col = np.nonzero(known)
    values = stored[known]
    return pa.table(
        {
            'row': pa.array(chunk.row + row, pa.int32()),
            'col': pa.array(chunk.col + col, pa.int32()),
            'geometry': geoparquet.points(cells.lonlat(chunk)[known]),
            'embedding_localized': geoparquet.embeddings(values, np.ones(len(values), bool), dtype),
        }
    )


def _axis(group: zarr.Group, name: str, centres: np.ndarray) -> None:
    words: dict[str, Any] = {'standard_name': f'projection_{name}_coordinate', 'axis': name.upper()}
    axis = group.create_array(
        name, shape=centres.shape, dtype='float64', dimension_names=(name,), attributes=words
    )
    axis[:] = centres


def _mapping(cells: CellGrid) -> dict[str, Any]:
    """The CRS and the transform, as CF and GDAL name them."""
    system = pyproj.CRS.from_user_input(cells.place.crs)
    a, b, left, d, e, top = cells.transform.tolist()
    return {
        'crs_wkt': system.to_wkt(),
        'spatial_ref': system.to_wkt(),
        'GeoTransform': ' '.join(f'{value:.17g}' for value in (left, a, b, top, d, e)),
    }


def _attributes(cells: CellGrid, made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Of the group: provenance, and what a reader without CF needs."""
    return {
        geoparquet.KEY.decode(): json.loads(json.dumps(made_by)),
        'crs': pyproj.CRS.from_user_input(cells.place.crs).to_string(),
        'transform': cells.transform.tolist(),
    }
