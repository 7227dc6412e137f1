"""Windows of cloud-optimised GeoTIFFs over HTTP, on the grid of a tile.

A file is opened once a window: GDAL asks for its head and for the blocks that the window touches,
in as few ranges as they allow. What GDAL says of a failure may hold the signed address, so it is
never passed on: the server is asked for its status instead.
"""

import itertools
import logging
import time
import urllib.error
import urllib.request

import numpy as np
import pyproj
import rasterio
import rasterio.errors
from jaxtyping import Int

from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_signing import Signer
from gair_jax.builders.streetscapes.scenes_source import Reading, SourceError, UnreadableError

TRIES = 3
SIGNATURES = 2  # tokens asked for anew after a refusal
TIMEOUT = 60  # seconds
REFUSED, MISSING = (401, 403), (404, 410)
# They write the address of what failed, with its token.
LOGGERS = ('rasterio._env', 'rasterio._err', 'rasterio._io', 'rasterio._base')


class Files:
    """Reads files of one store; `delay` seconds are waited before the first repeated request."""

    def __init__(self, signer: Signer, delay: float) -> None:
        self._signer, self._delay = signer, delay
        if signer.signs:
            for name in LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def read(self, href: str, tile: Tile) -> Reading:
        """One band on the grid of a tile, see `Reader.read`."""
        signatures = broken = 0
        while True:
            address, options = self._signer.signed(href), environment(self._delay)
            if broken:  # GDAL remembers what failed as absent
                options['CPL_VSIL_CURL_NON_CACHED'] = '/vsicurl/'
            try:
                with rasterio.Env(**options), rasterio.open(address) as raster:
                    return on_grid(raster, tile)
            except rasterio.errors.RasterioError:
                status = _status(address)
            if status in MISSING:
                raise UnreadableError(f'no such file: {href}')
            if status in REFUSED and signatures < SIGNATURES:
                signatures += 1
                self._signer.refused(href)
                continue
            broken += 1
            if broken == TRIES or status in REFUSED:
                raise _error(href, status)
            time.sleep(self._delay * 2**broken)


def environment(delay: float) -> dict[str, str | int | float]:
    """GDAL's settings for windows of remote files; without them a window takes three times more."""
    return {
        'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR',
        'GDAL_HTTP_MERGE_CONSECUTIVE_RANGES': 'YES',
        'GDAL_INGESTED_BYTES_AT_OPEN': 32768,
        'GDAL_HTTP_MAX_RETRY': 5,
        'GDAL_HTTP_RETRY_DELAY': delay,
        'GDAL_HTTP_TIMEOUT': TIMEOUT,
        'GDAL_HTTP_CONNECTTIMEOUT': TIMEOUT,
        'GDAL_CACHEMAX': 64_000_000,  # bytes: a small number is not megabytes here
    }


def on_grid(raster: rasterio.DatasetReader, tile: Tile) -> Reading:
    """For each pixel of the tile, the raster's pixel that holds its centre; 0 outside of it."""
    rows, columns, exact = _positions(raster, tile)
    inside = (rows >= 0) & (rows < raster.height) & (columns >= 0) & (columns < raster.width)
    values, fetched = np.zeros((tile.height, tile.width), raster.dtypes[0]), 0
    if inside.any():
        top, bottom = int(rows[inside].min()), int(rows[inside].max()) + 1
        left, right = int(columns[inside].min()), int(columns[inside].max()) + 1
        window = raster.read(1, window=((top, bottom), (left, right)))
        values[inside] = window[rows[inside] - top, columns[inside] - left]
        fetched = _touched(raster, (top, bottom), (left, right))
    return Reading(values, exact, fetched)


def _touched(
    raster: rasterio.DatasetReader, rows: tuple[int, int], columns: tuple[int, int]
) -> int:
    """Bytes in the file of the blocks that a window touches; GDAL does not count what it asks."""
    height, width = raster.block_shapes[0]
    places = itertools.product(
        range(rows[0] // height, (rows[1] - 1) // height + 1),
        range(columns[0] // width, (columns[1] - 1) // width + 1),
    )
    sizes = (raster.get_tag_item(f'BLOCK_SIZE_{x}_{y}', 'TIFF', bidx=1) for y, x in places)
    return sum(int(size or 0) for size in sizes)


def _positions(
    raster: rasterio.DatasetReader, tile: Tile
) -> tuple[Int[np.ndarray, 'h w'], Int[np.ndarray, 'h w'], bool]:
    """Row and column in the raster of each pixel of the tile, and whether none had to be moved."""
    x, y = np.meshgrid(np.arange(tile.width) + 0.5, np.arange(tile.height) + 0.5)
    a, b, c, d, e, f = tile.transform
    x, y = a * x + b * y + c, d * x + e * y + f
    same = pyproj.CRS.from_user_input(tile.crs) == pyproj.CRS.from_user_input(raster.crs)
    if not same:
        to_raster = pyproj.Transformer.from_crs(tile.crs, raster.crs, always_xy=True)
        x, y = to_raster.transform(x, y)
    a, b, c, d, e, f = tuple(~raster.transform)[:6]
    columns, rows = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
    return (
        np.nan_to_num(rows, nan=-1, posinf=-1, neginf=-1).astype(np.int64),
        np.nan_to_num(columns, nan=-1, posinf=-1, neginf=-1).astype(np.int64),
        same and _aligned(raster, tile),
    )


def _aligned(raster: rasterio.DatasetReader, tile: Tile) -> bool:
    """Whether the tile is cut out of the raster's grid: whole pixels, or equal parts of them."""
    a, b, left, d, e, top = tuple(raster.transform)[:6]
    tile_a, tile_b, tile_left, tile_d, tile_e, tile_top = tile.transform
    steps = (a / tile_a, e / tile_e, (tile_left - left) / a, (tile_top - top) / e)
    whole = all(abs(step - round(step)) < 1e-6 for step in steps)
    return whole and not any((b, d, tile_b, tile_d)) and round(steps[0]) >= 1


def _status(address: str) -> int:
    """What the server says of the first byte of a file; 0 where it does not answer."""
    request = urllib.request.Request(address, headers={'Range': 'bytes=0-0'})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ValueError):
        return 0


def _error(href: str, status: int) -> Exception:
    """A file that the server has but GDAL cannot read is broken; all else may pass."""
    if status in (200, 206):
        return UnreadableError(f'broken file: {href}')
    return SourceError(f'{href}: {f"status {status}" if status else "no answer"}')
