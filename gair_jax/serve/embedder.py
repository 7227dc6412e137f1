"""A checkpoint as its user calls it: photos, tiles and places in, NumPy arrays out.

    model = gair_jax.load('runs/gair_base')
    localized = model.query('tile.tif', lonlat)
    photos = model.encode_sv(['a.jpg', 'b.jpg'])
    places = model.encode_location(lonlat)

Pixels are prepared by the sensor contracts inside the checkpoint. Calls are cut into batches of a
few sizes, so that each function is compiled a few times at the most.
"""

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input import photo_files, transforms
from gair_jax.input.raster_files import place_of
from gair_jax.models.gair import Params
from gair_jax.serve.engine import Engine, Tile
from gair_jax.serve.localize import localize
from gair_jax.serve.windows import OVERLAP

Photo = str | os.PathLike[str] | Image.Image | np.ndarray
BATCH = 32


class Embedder(Engine):
    """What `gair_jax.load` returns.

    Every method takes and gives NumPy arrays, float32 out. `space` says which embedding is meant:
    'common', in which cosines between tiles, photos and places mean something, that is through the
    projection of a side where the model has one (the official weights have one for photos); or
    'encoder', the encoder's own output, which probes use. `normalize` scales to unit length.
    """

    def encode_sv(
        self, photos: Sequence[Photo], *, normalize: bool = False, space: str = 'common'
    ) -> Float[np.ndarray, 'n d']:
        """Embeddings of street view photos.

        Args:
          photos: paths of JPEG or PNG files, PIL images, or uint8 arrays [h, w, 3]; files are
            turned upright by their EXIF.
          normalize: scale to length 1.
          space: 'common' or 'encoder', see the class.

        Raises:
          InputError: a photo cannot be read, or the model has no street view encoder.
        """
        self.require('sv', space)
        return self._encode('sv', photos, self.photo_input, normalize, space)

    def encode_rs(
        self, tiles: Sequence[Tile], *, normalize: bool = False, space: str = 'common'
    ) -> Float[np.ndarray, 'n d']:
        """Embeddings of tiles as wholes: the mean over the patches, and over the windows of a tile.

        Args:
          tiles: paths of GeoTIFFs, or arrays [h, w, bands] in stored units whose bands are the
            contract's in order, or all 10, 12 or 13 of Sentinel-2 in theirs.
          normalize: scale to length 1.
          space: 'common' or 'encoder', see the class.

        Raises:
          InputError: a tile cannot be read, lacks a band, or is smaller than the window.
        """
        self.require('rs', space)
        self.require_pooled(space)
        pooled = [self._pooled(tile, space) for tile in tiles]
        found = np.reshape(pooled, (len(pooled), self.width('rs', space)))
        return unit(found) if normalize else found

    def encode_location(
        self, lonlat: Any, *, normalize: bool = False, space: str = 'common'
    ) -> Float[np.ndarray, 'n d']:
        """Embeddings of places: degrees, WGS84, [n, 2], longitude first.

        Raises:
          InputError: a place is none (swapped coordinates are named), or the model has no location
            encoder.
        """
        self.require('location', space)
        places = places_of(lonlat)
        tiles.check_lonlat(places, 'places')
        inputs = list(self.model.place_input(places))
        return self._encode('location', inputs, np.asarray, normalize, space)

    def query(
        self,
        tile: Tile,
        lonlat: Any,
        bounds: Sequence[float] = (),
        crs: str = '',
        *,
        normalize: bool = False,
        space: str = 'common',
        overlap: float = OVERLAP,
    ) -> Float[np.ndarray, 'n d']:
        """Localized embeddings of points inside a tile, of any size and any CRS.

        Args:
          tile: as in `encode_rs`.
          lonlat: degrees, WGS84, [n, 2], longitude first.
          bounds: left, top, right, bottom of a tile without georeference, in the units of `crs`.
          crs: of the box, as 'EPSG:4326'.
          normalize: scale to length 1.
          space: 'common' or 'encoder', see the class.
          overlap: share of a window that its neighbour covers too, where the tile is larger than a
            window (`serve.windows`).

        Raises:
          InputError: a point is outside the tile or no place, or the tile cannot be used.
        """
        self.require('rs', space)
        places = places_of(lonlat)
        with self.raster(tile, bounds, crs) as raster:
            place = place_of(raster)
            tile_xy = tiles.place_in_tile(places, place.bounds, place.crs, raster.name)
            points = (tile_xy + 1) / 2 * np.array(raster.shape[::-1])
            grid = self.grid(raster.shape, overlap)
            found = localize(self, raster, grid, points, space=space)
        return unit(found) if normalize else found

    def encode_inputs(
        self, side: str, inputs: Sequence[np.ndarray], *, space: str = 'common'
    ) -> Float[np.ndarray, 'n d']:
        """Embeddings of what is already network input of a side, 'rs', 'sv' or 'location'.

        Of places that is `gair.Model.place_input`.
        """
        self.require(side, space)
        return self._encode(side, inputs, np.asarray, False, space)

    def _encode(
        self,
        side: str,
        items: Sequence[Any],
        prepare: Callable[[Any], np.ndarray],
        normalize: bool,
        space: str,
    ) -> Float[np.ndarray, 'n d']:
        def forward(params: Params, x: Array) -> Array:
            return self.project(params, side, self._forward(params, side, x), space)

        run = self.program(f'{side} {space}', forward, side)
        width = self.width(side, space)
        return in_batches(items, prepare, run, width, normalize)

    def _forward(self, params: Params, side: str, x: Array) -> Array:
        if side == 'location':
            return self.model.encode_location(params, x)
        if side == 'sv':
            return self.model.encode_sv(params, x)['embedding']
        return self.model.encode_rs(params, x)['pooled']

    def require_pooled(self, space: str) -> None:
        """Refuses the mean of patches in a common space that it cannot be brought into."""
        pooled, localized = (self.width(side, 'encoder') for side in ('rs', 'localized'))
        if space == 'common' and pooled != localized:
            raise InputError(
                f'{self.origin.path}: the mean of the patches is {pooled} wide and what is '
                f'compared {localized}: expected space=encoder, found common.'
            )

    def _pooled(self, tile: Tile, space: str) -> Float[np.ndarray, ' d']:
        """The mean over the windows of a tile that hold data."""
        with self.raster(tile) as raster:
            grid = self.grid(raster.shape)

            def stored(index: int) -> np.ndarray:
                return raster.window(*grid.offset(index), *grid.size)

            seen = [i for i in range(len(grid)) if not raster.sensor.missing(stored(i)).all()]
            if not seen:
                raise InputError(f'{raster.name}: expected pixels with data, found none.')

            def window(index: int) -> np.ndarray:
                return self.rs_input(stored(index), raster.sensor)

            return self._encode('rs', seen, window, False, space).mean(axis=0)

    def photo_input(self, photo: Photo) -> Float[np.ndarray, 's s 3']:
        """Network input of a photo; InputError if it cannot be read."""
        sv = self.config.input.sv
        return transforms.sv_input(photo_pixels(photo), self.contracts['sv'], sv.size, sv.kernel)


def in_batches(
    items: Sequence[Any],
    prepare: Callable[[Any], np.ndarray],
    run: Callable[[np.ndarray], Array],
    width: int,
    normalize: bool,
) -> Float[np.ndarray, 'n d']:
    """`run` over prepared items, a batch at a time; the next batch is prepared meanwhile.

    A batch is filled up to a power of two of at most `BATCH`, so few shapes are compiled.
    """
    starts = range(0, len(items), BATCH)
    found = [np.zeros((0, width), np.float32)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:

        def submit(start: int) -> list[concurrent.futures.Future[np.ndarray]]:
            return [pool.submit(prepare, item) for item in items[start : start + BATCH]]

        waiting = submit(0)
        for start in starts:
            rows = [job.result() for job in waiting]
            waiting = submit(start + BATCH)
            found.append(np.asarray(run(filled(rows)))[: len(rows)])
    together = np.concatenate(found)
    return unit(together) if normalize else together


def filled(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows stacked, with zeros up to the next power of two."""
    size = 1 << (len(rows) - 1).bit_length()
    return np.concatenate([rows, np.zeros((size - len(rows), *rows[0].shape), rows[0].dtype)])


def unit(x: Float[np.ndarray, '*n d']) -> Float[np.ndarray, '*n d']:
    """Scaled to length 1, as the release scales: x / max(|x|, 1e-12)."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def places_of(lonlat: Any) -> Float[np.ndarray, 'n 2']:
    """Places as float64 [n, 2]; InputError for another shape."""
    places = np.asarray(lonlat, np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise InputError(f'places: expected [n, 2], longitude first, found shape {places.shape}.')
    return places


def photo_pixels(photo: Photo) -> np.ndarray:
    """uint8 pixels [h, w, 3] of a photo given as a path, a PIL image or an array."""
    if isinstance(photo, Image.Image):
        return np.asarray(photo.convert('RGB'))
    if isinstance(photo, np.ndarray):
        if photo.ndim != 3 or photo.shape[-1] != 3 or photo.dtype != np.uint8:
            raise InputError(
                f'photo: expected uint8 [rows, columns, 3], found {photo.dtype} {photo.shape}.'
            )
        return photo
    return np.asarray(photo_files.read(photo).image)
