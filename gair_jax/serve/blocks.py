"""Blocks of a raster, read and prepared once for all the windows in them.

A map is computed chunk by chunk. The block of a chunk is every pixel of every window that holds
some of its cells; windows lie on the one grid of the whole raster, so two chunks that share a
window see the same network input.
"""

import concurrent.futures
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gair_jax.input.raster_files import Raster
from gair_jax.input.resize import resize
from gair_jax.serve.ahead import ahead
from gair_jax.serve.cells import CellGrid, Chunk
from gair_jax.serve.engine import Engine
from gair_jax.serve.windows import WindowGrid

STRIP = 256  # rows read and prepared at a time: what that takes beside the block stays small
POINTS_BLOCK = 512  # side of the blocks in which single pixels are looked up
MOST_SIDE = 512  # cells


class Block(NamedTuple):
    """Pixels from (row, col) of the raster on.

    pixels: float32, normalised as network input is; in stored units where each window is normalised
    by itself. missing: without data.
    """

    row: int
    col: int
    pixels: Float[np.ndarray, 'h w c']
    missing: Bool[np.ndarray, 'h w']

    def window_input(
        self, engine: Engine, raster: Raster, grid: WindowGrid, window: int
    ) -> Float[np.ndarray, 's s c'] | None:
        """Network input of a window of the grid that lies in the block; None without any data."""
        row, col = grid.offset(window)
        at = (
            slice(row - self.row, row - self.row + grid.size[0]),
            slice(col - self.col, col - self.col + grid.size[1]),
        )
        if self.missing[at].all():
            return None
        if raster.sensor.of_image:
            return engine.rs_input(self.pixels[at], raster.sensor)
        rs = engine.config.input.rs
        return resize(self.pixels[at], (rs.size, rs.size), rs.kernel)

    def missing_at(self, points: Float[np.ndarray, '*n 2']) -> Bool[np.ndarray, '*n']:
        """Whether the pixels under points (x, y) of the raster are without data."""
        col, row = np.moveaxis(points.astype(np.int64), -1, 0)
        return self.missing[row - self.row, col - self.col]


def blocks(
    raster: Raster, grid: WindowGrid, cells: CellGrid, chunks: Sequence[Chunk]
) -> Iterator[Block]:
    """The block of each chunk; the next one is read while the caller works on this one."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as reader:
        yield from ahead(reader, lambda chunk: read(raster, grid, cells, chunk), chunks, 1)


def read(raster: Raster, grid: WindowGrid, cells: CellGrid, chunk: Chunk) -> Block:
    """The block of one chunk."""
    y, x = cells.axes(chunk)
    top, bottom = _extent(grid.rows, grid.size[0], y)
    left, right = _extent(grid.cols, grid.size[1], x)
    height, width = bottom - top, right - left
    sensor = raster.sensor
    missing = np.empty((height, width), bool)
    pixels = np.empty((height, width, len(sensor.bands)), np.float32)
    for row in range(0, height, STRIP):
        rows = slice(row, min(row + STRIP, height))
        bands = raster.window(top + row, left, rows.stop - row, width)
        missing[rows] = sensor.missing(bands)
        pixels[rows] = bands if sensor.of_image else sensor.normalize(bands)
    return Block(top, left, pixels, missing)


def chunk_side(raster: Raster, cells: CellGrid, width: int, budget: int) -> int:
    """Cells along one side of a chunk whose blocks and embeddings take about `budget` bytes.

    Up to three blocks live at a time, four bytes a pixel and band, and four sets of embeddings.
    """
    down, across = cells.spacing
    a_cell = down * across * (12 * len(raster.sensor.bands) + 3) + 16 * width
    return int(np.clip((budget / a_cell) ** 0.5, 1, MOST_SIDE))


def most_in_a_window(grid: WindowGrid, cells: CellGrid) -> int:
    """The largest number of cells whose centres one window holds."""
    y, x = cells.axes(Chunk(0, 0, *cells.shape))
    most = 1
    for centres, offsets, size in ((y, grid.rows, grid.size[0]), (x, grid.cols, grid.size[1])):
        first = np.searchsorted(centres, offsets, side='left')
        last = np.searchsorted(centres, offsets + size, side='right')
        most *= int((last - first).max())
    return most


def windows_of(grid: WindowGrid, cells: CellGrid, chunk: Chunk) -> int:
    """How many windows hold cells of a chunk."""
    y, x = cells.axes(chunk)
    (first, last), (left, right) = (
        _holding(offsets, size, at)
        for offsets, size, at in ((grid.rows, grid.size[0], y), (grid.cols, grid.size[1], x))
    )
    return (last - first + 1) * (right - left + 1)


def missing_at(raster: Raster, points: Float[np.ndarray, 'n 2']) -> Bool[np.ndarray, ' n']:
    """Whether the pixels under points (x, y) of a raster are without data, read block by block."""
    limits = np.array(raster.shape[::-1]) - 1
    # The far edge belongs to the last pixel.
    pixel = np.minimum(points.astype(np.int64), limits)
    found = np.zeros(len(points), bool)
    corners, which = np.unique(pixel // POINTS_BLOCK, axis=0, return_inverse=True)
    for i, (col, row) in enumerate(corners * POINTS_BLOCK):
        inside = np.flatnonzero(which.reshape(-1) == i)
        size = np.minimum(limits + 1 - (col, row), POINTS_BLOCK)
        bands = raster.window(int(row), int(col), int(size[1]), int(size[0]))
        at = pixel[inside] - (col, row)
        found[inside] = raster.sensor.missing(bands)[at[:, 1], at[:, 0]]
    return found


def _holding(offsets: np.ndarray, size: int, centres: np.ndarray) -> tuple[int, int]:
    """The first and the last window of an axis that hold some of the centres."""
    first = np.searchsorted(offsets + size, centres[0], side='left')
    last = np.searchsorted(offsets, centres[-1], side='right') - 1
    return int(first), int(last)


def _extent(offsets: np.ndarray, size: int, centres: np.ndarray) -> tuple[int, int]:
    first, last = _holding(offsets, size, centres)
    return int(offsets[first]), int(offsets[last]) + size
