"""Frozen encoders over a split: photos, windows and places in, features out, batch by batch.

Every array that a compiled function sees has the same shape, so each is compiled once.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.records import NO_TILE, Photo
from gair_jax.input.store import Store
from gair_jax.models.gair import Model, Params

BATCH = 32
Batch = Mapping[str, Any]
Encode = Callable[[Batch], Mapping[str, Any]]


class Drawn(NamedTuple):
    """Some photos of a split: their indices int [n] in it, and their records without the pixels."""

    split: str
    indices: np.ndarray
    photos: list[Photo]

    @property
    def tile(self) -> np.ndarray:
        """Tile ids, int [n]; a photo without a tile is its own group, under a negative number."""
        tiles = np.array([p.tile for p in self.photos], np.int64)
        return np.where(tiles == NO_TILE, -1 - self.indices, tiles)

    @property
    def lonlat(self) -> np.ndarray:
        """Degrees, float64 [n, 2]."""
        return np.stack([p.lonlat for p in self.photos])

    def take(self, chosen: Sequence[int] | np.ndarray) -> 'Drawn':
        """Those at these positions, or where a bool [n] is true."""
        at = np.arange(len(self.photos))[chosen]
        return Drawn(self.split, self.indices[at], [self.photos[i] for i in at])

    def one_a_tile(self, most: int) -> 'Drawn':
        """The first drawn photo of each of the first `most` tiles."""
        _, first = np.unique(self.tile, return_index=True)
        return self.take(np.sort(first)[:most])


def draw(store: Store, split: str, most: int, *, seed: int) -> Drawn:
    """At most `most` photos of a split, drawn without replacement."""
    records = store.photos(split)
    chosen = np.random.default_rng(seed).permutation(len(records))[:most]
    return _read(store, split, chosen)


def draw_tiles(store: Store, split: str, most: int, *, seed: int, scan: int = 20_000) -> Drawn:
    """At most `most` photos that have an image and a tile, whole tiles where possible.

    Args:
        store: the data set.
        split: name of the split.
        most: number of photos.
        seed: of the draw of tiles.
        scan: photos that are looked at, at most; a tile's photos are scattered over the split.
    """
    looked = draw(store, split, scan, seed=seed)
    usable = looked.take([i for i, p in enumerate(looked.photos) if p.photo and p.acquisitions])
    order = np.random.default_rng(seed).permutation(len(np.unique(usable.tile)))
    turn = order[np.unique(usable.tile, return_inverse=True)[1]]
    return usable.take(np.argsort(turn, kind='stable')[:most])


def _read(store: Store, split: str, indices: np.ndarray) -> Drawn:
    records = store.photos(split)
    photos = []
    for index in indices:
        photo = records[int(index)]
        # The file's bytes are not needed again, only whether there are any.
        photos.append(dataclasses.replace(photo, photo=photo.photo[:1]))
    return Drawn(split, np.asarray(indices, np.int64), photos)


def over_examples(pipeline: Pipeline, indices: np.ndarray, encode: Encode) -> dict[str, np.ndarray]:
    """Applies `encode` to examples of a split by index.

    Args:
        pipeline: of the split, made with train=False.
        indices: int [n].
        encode: batch of `BATCH` examples -> named arrays [BATCH, ...].

    Returns:
        Named arrays [n, ...].
    """
    return in_batches(len(indices), lambda at: encode(pipeline.examples_at(indices[at].tolist())))


def over_arrays(arrays: Mapping[str, np.ndarray], encode: Encode) -> dict[str, np.ndarray]:
    """Applies `encode` to rows of arrays [n, ...] held in memory; otherwise as `over_examples`."""
    count = len(next(iter(arrays.values())))
    return in_batches(count, lambda at: encode({k: v[at] for k, v in arrays.items()}))


def in_batches(
    count: int, make: Callable[[np.ndarray], Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Named arrays [count, ...] from `make`, which takes int [BATCH] rows and gives [BATCH, ...].

    The last batch is filled up with row 0, which is cut off again.
    """
    parts = []
    for start in range(0, count, BATCH):
        at = np.arange(start, start + BATCH)
        # Left on the device, so that the next batch is read while this one is computed.
        parts.append(make(np.where(at < count, at, 0)))
    host = jax.device_get(parts)
    return {k: np.concatenate([part[k] for part in host])[:count] for k in host[0]}


class Encoders:
    """The encoders of a model, compiled, for several parameter sets at once.

    `sets` holds the trained parameters first, then random initialisations. Each method gives
    features float32 [sets, n, d], so data are read and decoded once for all of them.
    """

    def __init__(self, model: Model, sets: Sequence[Params]) -> None:
        self.model, self.sets = model, sets
        self._sv = jax.jit(lambda params, x: model.encode_sv(params, x)['embedding'])
        self._rs = jax.jit(self._rs_features)
        self._location = jax.jit(model.encode_location)
        self._localized = jax.jit(self._at_the_point)

    def photos(self, pipeline: Pipeline, drawn: Drawn) -> np.ndarray:
        """Street view embeddings [sets, n, d]."""
        return self._all(functools.partial(over_examples, pipeline, drawn.indices), self._sv, 'sv')

    def localized(self, pipeline: Pipeline, drawn: Drawn) -> np.ndarray:
        """NILI's answers at the photos' points in their windows [sets, n, d]."""
        run = functools.partial(over_examples, pipeline, drawn.indices)
        return self._all(run, self._localized, 'rs', 'xy')

    def windows(
        self, count: int, read: Callable[[np.ndarray], np.ndarray], names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Remote sensing features of `count` windows.

        Args:
            count: n.
            read: int [BATCH] positions below n -> network inputs [BATCH, S, S, C].
            names: of what is wanted: 'pooled' [sets, n, d], 'cells' [sets, n, h, w, d].
        """

        def encode(at: np.ndarray) -> dict[str, jax.Array]:
            images = read(at)
            outs = [self._rs(params, images) for params in self.sets]
            return {f'{name}{i}': out[name] for i, out in enumerate(outs) for name in names}

        found = in_batches(count, encode)
        return {n: np.stack([found[f'{n}{i}'] for i in range(len(self.sets))]) for n in names}

    def places(self, lonlat: np.ndarray) -> np.ndarray:
        """Location embeddings [sets, n, d] of places float64 [n, 2]."""
        arrays = {'places': self.model.place_input(lonlat)}
        return self._all(lambda encode: over_arrays(arrays, encode), self._location, 'places')

    def _all(
        self, run: Callable[[Encode], dict[str, np.ndarray]], encode: Any, *keys: str
    ) -> np.ndarray:
        def of_all(batch: Batch) -> dict[str, Any]:
            given = [batch[key] for key in keys]
            return {str(i): encode(params, *given) for i, params in enumerate(self.sets)}

        found = run(of_all)
        return np.stack([found[str(i)] for i in range(len(self.sets))])

    def _at_the_point(self, params: Params, images: jax.Array, xy: jax.Array) -> jax.Array:
        grid = self.model.encode_rs(params, images)['patch_grid']
        return self.model.query(params, grid, xy[:, None])[:, 0]

    def _rs_features(self, params: Params, images: jax.Array) -> dict[str, jax.Array]:
        out = self.model.encode_rs(params, images)
        return {'pooled': out['pooled'], 'cells': out['patch_grid']}


def evaluated(config: Config) -> Config:
    """The config with windows placed at random, so that xy says nothing of the place."""
    placement = 'whole' if config.input.rs.placement == 'whole' else 'random'
    rs = dataclasses.replace(config.input.rs, placement=placement)
    return dataclasses.replace(config, input=dataclasses.replace(config.input, rs=rs, augment=True))


def without(config: Config, *sides: str) -> Config:
    """The same config with these encoders off, so that the pipeline does not read their input."""
    model = dataclasses.replace(
        config.model,
        **{side: dataclasses.replace(getattr(config.model, side), enabled=False) for side in sides},
    )
    return dataclasses.replace(config, model=model)
