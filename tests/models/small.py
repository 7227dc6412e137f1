"""Configs and batches small enough for a test of a whole model."""

import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import Config
from gair_jax.models import gair
from gair_jax.presets import PRESETS


def config(preset: str = 'paper') -> Config:
    """A preset with encoders of 2 layers, 16 wide, over 4 x 4 and 2 x 2 patches."""
    made = PRESETS[preset]()
    model = made.model
    model.rolled = True  # compiles faster
    for encoder in (model.rs, model.sv):
        encoder.dim, encoder.depth, encoder.heads, encoder.mlp_dim = 16, 2, 4, 32
    model.rs.patch, model.sv.patch = 8, 16
    made.input.rs.size = made.input.sv.size = 32
    model.embed_dim, model.location.frequencies, model.location.hidden = 16, 8, (16,)
    model.nili.hidden, model.nili.heads = model.nili.hidden and (12, 10), 4
    mae = model.mae
    mae.decoder_dim, mae.decoder_depth, mae.decoder_heads, mae.photo_side = 16, 2, 4, 4
    return made


def batch(rows: int = 3) -> dict[str, jax.Array]:
    """Random input for `config`."""
    keys = jax.random.split(jax.random.key(7), 4)
    return {
        'rs': jax.random.normal(keys[0], (rows, 32, 32, 10)),
        'sv': jax.random.normal(keys[1], (rows, 32, 32, 3)),
        'xy': jax.random.uniform(keys[2], (rows, 2), minval=-1),
        'lonlat': jax.random.uniform(keys[3], (rows, 2), minval=-90, maxval=90),
        'has_rs': jnp.ones(rows, bool),
        'has_sv': jnp.ones(rows, bool),
    }


@functools.cache
def rs_alone() -> dict[str, Any]:
    """The parameters, from key 0, of a model of `config` that has nothing but the tile encoder."""
    alone = config()
    alone.model.sv.enabled = alone.model.location.enabled = False
    alone.model.nili.kind = 'mean'
    return gair.build(alone).init(jax.random.key(0))


def drawn(init: Callable[..., Any], *args: Any, spread: float = 0.3) -> Any:
    """Parameters of the tree that `init(key, *args)` makes, drawn by NumPy: nothing is compiled.

    Leaves get values around 0, norms' scales around 1; each depends on its path alone.
    """
    shapes = jax.eval_shape(init, jax.random.key(0), *args)

    def leaf(path: Any, shape: Any) -> jax.Array:
        generator = np.random.default_rng(zlib.crc32(jax.tree_util.keystr(path).encode()))
        centre = 1 if path[-1].key == 'scale' else 0
        return jnp.asarray(centre + spread * generator.standard_normal(shape.shape), shape.dtype)

    return jax.tree_util.tree_map_with_path(leaf, shapes)
