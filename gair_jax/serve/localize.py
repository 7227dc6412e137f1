"""Localized embeddings of points of a raster of any size.

Every window that holds some of the points is encoded once and queried at all of them (NILI); where
windows overlap, a point's embedding is the weighted mean of what its windows say
(`gair_jax.serve.windows`). Windows without any data say nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gair_jax.input.raster_files import Raster
from gair_jax.models.gair import Params
from gair_jax.serve.engine import Engine
from gair_jax.serve.windows import Shares, WindowGrid, share

# Network input of a window of the grid; None where it holds no data.
WindowInput = Callable[[int], np.ndarray | None]

MOST_WINDOWS = 32
# Answers of the four cells around each point stand side by side while they are blended.
MOST_BYTES = 2**28


class Visit(NamedTuple):
    """One window and the points it answers for.

    window: index in the grid; point: indices int [k]; xy: their positions in the window, float32
    [k, 2] in [-1, 1]; weight: float32 [k].
    """

    window: int
    point: Int[np.ndarray, ' k']
    xy: Float[np.ndarray, 'k 2']
    weight: Float[np.ndarray, ' k']


Visited = tuple[Visit, np.ndarray]


def localize(
    engine: Engine,
    raster: Raster,
    grid: WindowGrid,
    points: Float[np.ndarray, 'n 2'],
    *,
    space: str = 'common',
    per_window: int = 0,
    done: Callable[[int], None] = lambda windows: None,
) -> Float[np.ndarray, 'n d']:
    """Embeddings of points (x, y), in pixels of the raster from its upper left corner.

    Args:
      engine: the model.
      raster: what windows are read from.
      grid: over that raster.
      points: float64, inside the raster.
      space: 'common' or 'encoder', see `Embedder`.
      per_window: most points of any window, where many calls must share one compiled shape; 0
        takes it from the points.
      done: told the number of windows after each of them.

    Returns:
      float32 [n, d]; nan where no window of a point has data.
    """

    def window_input(window: int) -> np.ndarray | None:
        bands = raster.window(*grid.offset(window), *grid.size)
        if raster.sensor.missing(bands).all():
            return None
        return engine.rs_input(bands, raster.sensor)

    return blend(engine, window_input, grid, points, space=space, per_window=per_window, done=done)


def blend(
    engine: Engine,
    window_input: WindowInput,
    grid: WindowGrid,
    points: Float[np.ndarray, 'n 2'],
    *,
    space: str,
    per_window: int,
    done: Callable[[int], None],
) -> Float[np.ndarray, 'n d']:
    """As `localize`, with network input from anywhere."""
    visits = list(visits_of(grid, points))
    most = power_of_two(max([per_window, *(len(visit.point) for visit in visits)]))
    width = engine.width('localized', space)
    size = max(1, min(MOST_WINDOWS, MOST_BYTES // (16 * most * width)))
    least = min(size, power_of_two(len(grid))) if per_window else 1
    call = engine.program(f'localized {space}', _query(engine, space), 'rs')
    found = np.zeros((len(points), width), np.float32)
    total = np.zeros((len(points), 1), np.float32)

    def add(batch: list[Visited], answers: Array) -> None:
        for (visit, _), answer in zip(batch, np.asarray(answers), strict=False):
            found[visit.point] += visit.weight[:, None] * answer[: len(visit.point)]
            total[visit.point, 0] += visit.weight

    waiting: list[tuple[list[Visited], Array]] = []
    for batch in _batches(window_input, visits, size, done):
        # Handed to the device before the last one's answers are asked for: it never waits.
        waiting.append((batch, call(*_filled(batch, size, least, most))))
        if len(waiting) > 1:
            add(*waiting.pop(0))
    for last in waiting:
        add(*last)
    # Below one only where windows without data were left out; 0 / 0 is the nan that is promised.
    with np.errstate(invalid='ignore'):
        return found / total


def visits_of(grid: WindowGrid, points: Float[np.ndarray, 'n 2']) -> Iterator[Visit]:
    """The windows that hold some of the points, in the grid's order."""
    shares: Shares = share(grid, points)
    windows, starts = np.unique(shares.window, return_index=True)
    extent = np.array(grid.size[::-1])
    for window, at in zip(
        windows, np.split(np.arange(len(shares.window)), starts)[1:], strict=True
    ):
        point = shares.point[at]
        row, col = grid.offset(int(window))
        xy = 2 * (points[point] - [col, row]) / extent - 1
        yield Visit(int(window), point, xy.astype(np.float32), shares.weight[at].astype(np.float32))


def _batches(
    window_input: WindowInput,
    visited: list[Visit],
    size: int,
    done: Callable[[int], None],
) -> Iterator[list[Visited]]:
    """Visits with the network input of their windows, those without data left out."""
    batch: list[Visited] = []
    for visit in visited:
        pixels = window_input(visit.window)
        if pixels is not None:
            batch.append((visit, pixels))
        if len(batch) == size:
            yield batch
            batch = []
        done(1)
    if batch:
        yield batch


def _filled(
    batch: list[Visited], size: int, least: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [rows, s, s, c] and positions [rows, most, 2]: few shapes, whatever the batch holds.

    A short batch is filled up to the next power of two, and to `least`.
    """
    rows = min(size, max(least, power_of_two(len(batch))))
    rs = np.zeros((rows, *batch[0][1].shape), np.float32)
    xy = np.zeros((rows, most, 2), np.float32)
    for i, (visit, pixels) in enumerate(batch):
        rs[i], xy[i, : len(visit.xy)] = pixels, visit.xy
    return rs, xy


def _query(engine: Engine, space: str) -> Callable[..., Any]:
    def query(params: Params, rs: Array, xy: Array) -> Array:
        patch_grid = engine.model.encode_rs(params, rs)['patch_grid']
        return queried(engine, params, patch_grid, xy, space)

    return query


def queried(
    engine: Engine,
    params: Params,
    patch_grid: Float[Array, 'b h w c'],
    xy: Float[Array, 'b q 2'],
    space: str,
) -> Float[Array, 'b q d']:
    """Localized embeddings of points of encoded windows, by the cheaper schedule."""
    cells = patch_grid.shape[1] * patch_grid.shape[2]
    # Gathering reads four cells a point, convolving all of them once.
    schedule = 'convolve' if 4 * xy.shape[1] >= cells else 'gather'
    localized = engine.model.query(params, patch_grid, jnp.asarray(xy), schedule)
    return engine.project(params, 'rs', localized, space)


def power_of_two(n: int) -> int:
    """The least that is not below n."""
    return 1 << max(n - 1, 0).bit_length()
