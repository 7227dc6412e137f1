"""Localized embeddings of the cells of a grid over a scene of any size.

The scene is worked through in chunks of cells, each with the block of pixels that its windows
cover; finished chunks are kept on disk (`serve.parts`), so memory does not grow with the scene and
a killed run goes on. Windows lie on one grid over the whole scene: neither the chunks nor an
interruption changes what a cell gets.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from rich import console, progress

import gair_jax
from gair_jax.config import InputError
from gair_jax.input.raster_files import Raster, place_of
from gair_jax.serve import blocks
from gair_jax.serve.cells import CellGrid, Chunk, Spacing, cell_grid, metres_per_pixel
from gair_jax.serve.embedder import unit
from gair_jax.serve.engine import Engine
from gair_jax.serve.geoparquet import provenance
from gair_jax.serve.layers import Layer
from gair_jax.serve.localize import blend, localize
from gair_jax.serve.parts import Parts
from gair_jax.serve.windows import OVERLAP, WindowGrid, window_grid

MEMORY = 2**27  # bytes of pixels and embeddings held at a time, about
SURVEY_WINDOWS = 256
# A model trained on whole tiles saw squares of the first side; what is up to the second is a tile.
TILE_METRES, LARGEST_TILE_METRES = 1920.0, 2500.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """Where and how a scene is embedded.

    Attributes:
      spacing: of the cells.
      overlap: share of a window that its neighbour covers too.
      window: side of a window in pixels of the scene; 0 is that of training.
      normalize: embeddings of length 1.
      space: 'common' or 'encoder', see `Embedder`.
    """

    spacing: Spacing
    overlap: float = OVERLAP
    window: int = 0
    normalize: bool = False
    space: str = 'common'


class Plan(NamedTuple):
    """A scene with its windows, cells and chunks."""

    engine: Engine
    raster: Raster
    sampling: Sampling
    grid: WindowGrid
    cells: CellGrid
    chunks: list[Chunk]

    @property
    def width(self) -> int:
        """Components of an embedding."""
        return self.engine.width('localized', self.sampling.space)

    @property
    def per_window(self) -> int:
        """Most cells of any window."""
        return blocks.most_in_a_window(self.grid, self.cells)


def plan(engine: Engine, raster: Raster, sampling: Sampling, memory: int = MEMORY) -> Plan:
    """How a scene will be worked through.

    Raises:
      InputError: a setting is out of range, or the scene has no georeference or is too small.
    """
    engine.require('rs', sampling.space)
    cells = cell_grid(raster.shape, place_of(raster), sampling.spacing)
    grid = windows_over(engine, raster, sampling)
    width = engine.width('localized', sampling.space)
    side = blocks.chunk_side(raster, cells, width, memory)
    return Plan(engine, raster, sampling, grid, cells, cells.chunks(side))


def windows_over(engine: Engine, raster: Raster, sampling: Sampling) -> WindowGrid:
    """The windows over the scene.

    Those of training; where that was whole tiles, of a tile's usual size on the ground, unless the
    scene is about one tile itself (a printed line says so).
    """
    if sampling.window or engine.config.input.rs.placement != 'whole':
        return engine.grid(raster.shape, sampling.overlap, sampling.window)
    sides = [
        n if n * metres <= LARGEST_TILE_METRES else max(1, round(TILE_METRES / metres))
        for n, metres in zip(
            raster.shape, metres_per_pixel(raster.shape, place_of(raster)), strict=True
        )
    ]
    if tuple(sides) != tuple(raster.shape):
        print(
            f'{raster.name}: the model was trained on whole tiles of about {TILE_METRES:.0f} m, so '
            f'windows are {sides[0]} x {sides[1]} pixels; --window sets another side.'
        )
    return window_grid(raster.shape, (sides[0], sides[1]), sampling.overlap)


def survey(made: Plan) -> Float[np.ndarray, 'n d']:
    """Embeddings of the cells in a seeded sample of windows spread over the scene.

    Of each window, the cells in its middle are taken, which no other window shares (of the whole
    window where there is no such cell).

    Raises:
      InputError: no cell of the scene has data.
    """
    order = np.random.default_rng(0).permutation(len(made.grid))
    for start in range(0, len(order), SURVEY_WINDOWS):
        points = _cells_of(made, np.sort(order[start : start + SURVEY_WINDOWS]))
        points = points[~blocks.missing_at(made.raster, points)]
        if len(points):
            found = localize(
                made.engine, made.raster, made.grid, points,
                space=made.sampling.space, per_window=made.per_window,
            )  # fmt: skip
            return _normalized(made, found)
    raise InputError(f'{made.raster.name}: expected cells with data, found none.')


def compute(made: Plan, layer: Layer, parts: Parts, title: str) -> None:
    """Finishes the chunks that are not there yet, with a progress bar on a terminal."""
    todo = [i for i in range(len(made.chunks)) if _name(i) not in parts]
    counts = [blocks.windows_of(made.grid, made.cells, chunk) for chunk in made.chunks]
    per_window = made.per_window
    read = blocks.blocks(made.raster, made.grid, made.cells, [made.chunks[i] for i in todo])
    finished = sum(counts) - sum(counts[i] for i in todo)
    terminal = console.Console(stderr=True)
    with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=sum(counts), completed=finished)
        for i, block in zip(todo, read, strict=True):
            stored, clipped = _chunk(
                made, layer, made.chunks[i], block, per_window, lambda n: bar.advance(task, n)
            )
            parts.save(_name(i), cells=stored, clipped=np.array(clipped))
            finished += counts[i]
            bar.update(task, completed=finished)


def stored_chunks(made: Plan, parts: Parts) -> Iterator[tuple[Chunk, Shaped[np.ndarray, 'r c b']]]:
    """The finished chunks, in order."""
    for i, chunk in enumerate(made.chunks):
        yield chunk, parts.load(_name(i), 'cells')


def clipped(made: Plan, parts: Parts) -> int:
    """How many values of the finished chunks were out of the stored type's range."""
    return sum(int(parts.load(_name(i), 'clipped')) for i in range(len(made.chunks)))


def fingerprint(made: Plan) -> dict[str, Any]:
    """Everything that the embeddings and the chunks depend on, as JSON values."""
    return {
        'version': gair_jax.__version__,
        'scene': file_identity(made.raster.name),
        'checkpoint': provenance(made.engine)['checkpoint'],
        'compute': made.engine.config.model.dtype,
        'sensor': made.raster.sensor.to_dict(),
        'shape': list(made.raster.shape),
        'sampling': dataclasses.asdict(made.sampling),
        'windows': list(made.grid.size),
        'chunks': [list(chunk) for chunk in made.chunks[:1]],
    }


def file_identity(name: str) -> list[Any]:
    """Tells a file from another, or from its own earlier contents: path, size and time."""
    path = pathlib.Path(name)
    saved = path.stat() if path.exists() else None
    return [str(path.absolute()), saved and saved.st_size, saved and saved.st_mtime_ns]


def _chunk(
    made: Plan,
    layer: Layer,
    chunk: Chunk,
    block: blocks.Block,
    per_window: int,
    done: Callable[[int], None],
) -> tuple[Shaped[np.ndarray, 'r c b'], int]:
    """Stored cells of a chunk, and how many values were clipped."""
    points = made.cells.points(chunk)
    seen = ~block.missing_at(points)
    out = np.full((chunk.rows, chunk.cols, len(layer.names)), layer.nodata, layer.dtype)
    if not seen.any():
        return out, 0

    def window_input(window: int) -> np.ndarray | None:
        return block.window_input(made.engine, made.raster, made.grid, window)

    found = blend(
        made.engine, window_input, made.grid, points[seen],
        space=made.sampling.space, per_window=per_window, done=done,
    )  # fmt: skip
    stored = layer.store(_normalized(made, found))
    out[seen] = stored.cells
    return out, stored.clipped


def _cells_of(made: Plan, windows: np.ndarray) -> Float[np.ndarray, 'n 2']:
    """Centres of the cells in the middle of windows, each once."""
    offsets = np.array([made.grid.offset(int(window)) for window in windows])
    size, spacing = np.array(made.grid.size), np.array(made.cells.spacing)
    margin = np.floor(size * made.sampling.overlap)
    found = []
    for low, high in zip(offsets + margin, offsets + size - margin, strict=True):
        first = np.ceil(low / spacing - 0.5).astype(int)
        last = np.floor(high / spacing - 0.5).astype(int)
        first = np.minimum(np.maximum(first, 0), np.array(made.cells.shape) - 1)
        last = np.maximum(np.minimum(last, np.array(made.cells.shape) - 1), first)
        chunk = Chunk(int(first[0]), int(first[1]), *(int(n) for n in last - first + 1))
        found.append(made.cells.points(chunk).reshape(-1, 2))
    return np.unique(np.concatenate(found), axis=0)


def _normalized(made: Plan, x: Float[np.ndarray, 'n d']) -> Float[np.ndarray, 'n d']:
    return unit(x) if made.sampling.normalize else x


def _name(index: int) -> str:
    return f'chunk-{index:06d}'
