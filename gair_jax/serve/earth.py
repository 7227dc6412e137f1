"""A photo against a mesh of places on the Earth (paper Figure 8): cosines with their embeddings.

Nothing is read of a place but its position: what the map shows is what the location encoder has
learnt of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.serve.embedder import Embedder
from gair_jax.serve.gallery import cosines, unit64

EARTH = (-180.0, -90.0, 180.0, 90.0)
MOST_CELLS = 4_000_000
_BLOCK = 8192  # places that are embedded at a time


class Mesh(NamedTuple):
    """Cells of equal size in degrees; places are their centres.

    bounds: left, bottom, right, top, degrees. shape: rows from the north, columns from the west.
    """

    bounds: tuple[float, float, float, float]
    shape: tuple[int, int]

    @property
    def step(self) -> tuple[float, float]:
        """Width and height of a cell, degrees."""
        left, bottom, right, top = self.bounds
        return (right - left) / self.shape[1], (top - bottom) / self.shape[0]

    @property
    def lonlat(self) -> Float[np.ndarray, 'r c 2']:
        """Centres of the cells, degrees."""
        (rows, columns), (width, height) = self.shape, self.step
        lon = self.bounds[0] + (np.arange(columns) + 0.5) * width
        lat = self.bounds[3] - (np.arange(rows) + 0.5) * height
        return np.stack(np.meshgrid(lon, lat), axis=-1)

    @property
    def area(self) -> Float[np.ndarray, 'r c']:
        """Area of each cell, as a share of all."""
        weight = np.cos(np.deg2rad(self.lonlat[..., 1]))
        return weight / weight.sum()


class Answer(NamedTuple):
    """A place that is more similar than its neighbours: lonlat in degrees, and its cosine."""

    lonlat: tuple[float, float]
    score: float


def mesh(bounds: Sequence[float], spacing: float) -> Mesh:
    """The mesh of cells of about `spacing` degrees that fill `bounds` evenly.

    Raises:
      InputError: no such bounds on the Earth, or a spacing that gives no cell or too many.
    """
    left, bottom, right, top = bounds if len(bounds) == 4 else (np.nan,) * 4
    if not (-180 <= left < right <= 180 and -90 <= bottom < top <= 90):
        found = ','.join(f'{value:g}' for value in bounds)
        raise InputError(
            'bounds: expected LEFT,BOTTOM,RIGHT,TOP in degrees within -180,-90,180,90, found '
            f'{found}.'
        )
    if not (np.isfinite(spacing) and 0 < spacing <= min(right - left, top - bottom)):
        raise InputError(
            f'mesh-deg: expected more than 0 and at most a side of the bounds, found {spacing:g}.'
        )
    rows, columns = round((top - bottom) / spacing), round((right - left) / spacing)
    if rows * columns > MOST_CELLS:
        least = float(np.sqrt((top - bottom) * (right - left) / MOST_CELLS))
        raise InputError(
            f'mesh-deg: expected at most {MOST_CELLS} places, so at least {least:.3g} degrees '
            f'between them, found {spacing:g}.'
        )
    return Mesh((left, bottom, right, top), (rows, columns))


def similarity(
    model: Embedder,
    photos: Float[np.ndarray, 'n d'],
    places: Mesh,
    done: Callable[[int], None] = lambda places: None,
) -> Float[np.ndarray, 'n r c']:
    """Cosines, float32, of photos with every place of a mesh.

    Args:
      model: with a location encoder.
      photos: unit embeddings, float64, in the common space.
      places: the mesh.
      done: told after each block how many places are done.

    Raises:
      InputError: the model has no location encoder.
    """
    model.require('location', 'common')
    every = places.lonlat.reshape(-1, 2)
    found = np.empty((len(photos), len(every)), np.float32)
    for start in range(0, len(every), _BLOCK):
        block = every[start : start + _BLOCK]
        found[:, start : start + len(block)] = cosines(photos, unit64(model.encode_location(block)))
        done(start + len(block))
    return found.reshape(len(photos), *places.shape)


def summits(heat: Float[np.ndarray, 'r c'], places: Mesh, most: int) -> list[Answer]:
    """The cells that none of their eight neighbours exceeds, best first.

    On a mesh of the whole circle the first column neighbours the last.
    """
    around = 'wrap' if places.bounds[2] - places.bounds[0] == 360 else 'nearest'
    highest = scipy.ndimage.maximum_filter(heat, size=3, mode=('nearest', around))
    cells = np.flatnonzero(heat == highest)
    best = cells[np.argsort(-heat.flat[cells], kind='stable')][:most]
    lonlat = places.lonlat.reshape(-1, 2)[best]
    return [
        Answer((float(lon), float(lat)), float(heat.flat[cell]))
        for cell, (lon, lat) in zip(best, lonlat, strict=True)
    ]


def share_above(heat: Float[np.ndarray, 'r c'], places: Mesh, score: float) -> float:
    """Share of the mesh's area that is more similar than `score`, 0..1."""
    return float(places.area[heat > score].sum())
