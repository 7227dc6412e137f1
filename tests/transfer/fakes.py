"""A model whose answers are known: it sees exactly what the fake pixels say."""

import types

import jax.numpy as jnp
import numpy as np

from gair_jax.config import Config
from gair_jax.geo.windows import tile_xy_from_window
from gair_jax.input.examples import WindowInfo
from gair_jax.input.records import Photo, float_bits
from gair_jax.transfer.features import Drawn
from gair_jax.transfer.retrieve import Candidates

SIDE, TILE = 32, 96  # pixels of 10 m


def code(tile, xy):
    """A direction for every place: near places of a tile have near directions."""
    angle = jnp.stack([2.399963 * tile, 3.883222 * tile], axis=-1)
    parts = [jnp.cos(xy), jnp.sin(xy), 0.9 * jnp.cos(angle), 0.9 * jnp.sin(angle)]
    return jnp.concatenate([jnp.broadcast_to(p, (*xy.shape[:-1], 2)) for p in parts], axis=-1)


class Oracle:
    """Knows tile and xy of every photo; with `sees` false, gives every point one embedding."""

    place_field, place_width = 'lonlat', 2

    def __init__(self, sees=True):
        self.config, self.sees = Config(), sees
        self.config.model.embed_dim = 8

    def apply(self, params, batch):
        sv = batch['sv'][:, 0, 0]
        grid = batch['rs'][:, :1, :1, :1]
        return {
            'rs': jnp.ones((len(sv), 8)),
            'patch_grid': grid,
            'loss_sv': code(sv[:, 2], sv[:, :2]),
            'loss_localized': self.query(params, grid, batch['xy'][:, None], '')[:, 0],
        }

    def query(self, params, patch_grid, xy, schedule):
        tile = jnp.broadcast_to(patch_grid[:, 0, 0, :1], xy.shape[:-1])
        return code(tile, xy) if self.sees else jnp.ones((*xy.shape[:-1], 8))

    def project(self, params, side, x):
        return x


class Pixels:
    """A pipeline whose photos hold (x, y, tile) and whose windows hold the tile."""

    def __init__(self, xy, tile):
        self.xy, self.tile = xy, tile

    def examples_at(self, indices):
        assert isinstance(indices, list)  # as `Pipeline` declares
        xy, tile = self.xy[indices], self.tile[indices]
        sv = np.zeros((len(indices), 4, 4, 3), np.float32)
        sv[..., :2], sv[..., 2] = xy[:, None, None], tile[:, None, None]
        rs = np.zeros((len(indices), SIDE, SIDE, 10), np.float32)
        rs += tile[:, None, None, None]
        return {'sv': sv, 'rs': rs, 'xy': xy.astype(np.float32)}


def scene(n_tiles=12, per_tile=8, seed=0):
    """(pipeline, store, candidates) of photos anywhere in 32-px windows of 96-px UTM tiles."""
    rng = np.random.default_rng(seed)
    tile = np.repeat(np.arange(n_tiles), per_tile)
    xy = rng.uniform(-1, 1, size=(len(tile), 2))
    shape = (TILE, TILE)
    infos = [
        WindowInfo(32, 32, (SIDE, SIDE), int(t), tile_xy_from_window(p, shape, 32, 32, SIDE), shape)
        for t, p in zip(tile, xy, strict=True)
    ]
    photos = [
        Photo(
            id=str(i), photo=b'x', lonlat=np.zeros(2), heading=0.0, date='', licence='',
            group='', tile=int(t), acquisitions=[int(t)], labels={},
        )
        for i, t in enumerate(tile)
    ]  # fmt: skip
    bounds = np.array([5e5, 5.5e6, 5e5 + 10 * TILE, 5.5e6 - 10 * TILE])
    example = {'bounds': float_bits(bounds), 'crs': b'EPSG:32633'}
    store = types.SimpleNamespace(tiles=types.SimpleNamespace(example=lambda row: example))
    drawn = Drawn('test', np.arange(len(tile)), photos)
    return Pixels(xy, tile), store, Candidates(drawn, infos, 0, True)
