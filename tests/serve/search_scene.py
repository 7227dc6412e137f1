"""A small model, a tile, photos and a gallery to search in."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gair_jax import sensors
from gair_jax.models import gair
from gair_jax.serve import geoparquet
from gair_jax.serve.embedder import Embedder
from gair_jax.serve.weights import Origin, Weights
from tests.builders import scenes
from tests.models import small

WIDTH = 16
SIDE = 48  # pixels of the tile; a window has 32


@functools.cache
def embedder() -> Embedder:
    config = small.config()
    config.input.rs.window = 32
    contracts = {
        'rs': sensors.contract(config.input.rs.sensor),
        'sv': sensors.contract('street_view_rgb'),
    }
    origin = Origin(path='small', source='gair_jax', revision='', step=1, sha256='a' * 64)
    return Embedder(Weights(config, small.drawn(gair.build(config).init), contracts, origin))


def tile(path, size=SIDE, empty=0, **options):
    """A tile in UTM zone 32 whose first `empty` columns hold no data."""
    values = scenes.pixels(height=size, width=size)
    values[:, :, :empty] = 0
    place = {'corner': (500_000.0, 5_300_000.0), 'crs': 'EPSG:32632', 'step': 10.0}
    return scenes.write_tile(path, values, **{**place, **options})


def photo(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(scenes.jpeg(scenes.Image.fromarray(pixels)))
    return path


def provenance(**changes):
    made = geoparquet.provenance(embedder(), space='common')
    return {**made, **changes}


def gallery(path, columns, lonlat=None, provenance_=None, row_group_size=100, **others):
    """A table as `gair embed` writes it; `columns` are embeddings by side, nan rows null."""
    n = len(next(iter(columns.values())))
    table = {'id': [f'p{i}' for i in range(n)], **others}
    lonlat = np.full((n, 2), np.nan) if lonlat is None else lonlat
    table['geometry'] = geoparquet.points(np.asarray(lonlat, np.float64))
    for side, values in columns.items():
        known = np.isfinite(values).all(axis=1)
        table[f'embedding_{side}'] = geoparquet.embeddings(values, known)
    made = pa.table(table).replace_schema_metadata(
        geoparquet.metadata(provenance() if provenance_ is None else provenance_)
    )
    pq.write_table(made, path, row_group_size=row_group_size)
    return path
