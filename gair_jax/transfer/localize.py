"""Where in its window was this photo taken: the point of a dense query that is nearest to it.

Beside the model's answer stand those of three that know less: the window's centre, a photo of
another tile, and a rule that looks for the photo's mean ground colour.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gair_jax.geo.sphere import great_circle_m
from gair_jax.geo.tiles import tile_xy_to_lonlat
from gair_jax.geo.windows import cell_centres
from gair_jax.input.pipeline import Pipeline
from gair_jax.models.gair import Model, Params
from gair_jax.transfer.features import Drawn, over_arrays, over_examples


class Views(NamedTuple):
    """Test photos and their windows, as pixels and as the loss compares them (unit length).

    photo f32 [n, s, s, 3] z-scored; rgb f32 [n, S, S, 3] in [0, 1]; xy f32 [n, 2] of the photo in
    its window; sv, localized f32 [n, D]; pooled f32 [n, D], or D = 0 where the mean of the patch
    tokens has another width; patch_grid f32 [n, h, w, C].
    """

    photo: np.ndarray
    rgb: np.ndarray
    xy: np.ndarray
    sv: np.ndarray
    localized: np.ndarray
    pooled: np.ndarray
    patch_grid: np.ndarray


class Dense(NamedTuple):
    """Queries on a G x G grid over every window.

    similarity f32 [n, k, G, G], cosines of k photos with each point; mean f32 [n, D], the mean of
    the points' unit embeddings, itself of unit length.
    """

    similarity: np.ndarray
    mean: np.ndarray


def view(
    model: Model, params: Params, pipeline: Pipeline, drawn: Drawn, colours: np.ndarray
) -> Views:
    """Embeds test photos, their places in their windows, and the windows as wholes.

    Args:
        model: the model; needs rs and sv.
        params: its parameters.
        pipeline: of the split, made with train=False.
        drawn: the photos.
        colours: int [3], where red, green and blue stand among the window's bands.
    """
    embed = jax.jit(lambda batch: _embed(model, params, batch))

    def encode(batch: Any) -> dict[str, Any]:
        arrays = {name: batch[name] for name in ('rs', 'sv', 'xy')}
        kept = {'photo': batch['sv'], 'rgb': batch['rs'][..., colours], 'xy': batch['xy']}
        return {**kept, **embed(arrays)}

    return Views(**over_examples(pipeline, drawn.indices, encode))


def dense(
    model: Model, params: Params, patch_grid: np.ndarray, photos: np.ndarray, grid: int
) -> Dense:
    """Compares photos with every point of a grid over each window.

    Args:
        model: the model.
        params: its parameters.
        patch_grid: [n, h, w, C].
        photos: unit embeddings [n, k, D] to compare window i with.
        grid: points along a side.
    """
    xy = jnp.asarray(cell_centres(grid, grid).reshape(1, grid * grid, 2), jnp.float32)

    @jax.jit
    def compare(patch_grid: Array, photos: Array) -> dict[str, Array]:
        points = jnp.broadcast_to(xy, (len(patch_grid), *xy.shape[1:]))
        found = model.query(params, patch_grid, points, 'convolve')
        found = _unit(model.project(params, 'rs', found))
        similarity = jnp.einsum('bkd,bqd->bkq', photos, found)
        shape = (*similarity.shape[:2], grid, grid)
        return {'similarity': similarity.reshape(shape), 'mean': _unit(found.mean(axis=1))}

    arrays = {'patch_grid': patch_grid, 'photos': photos}
    return Dense(**over_arrays(arrays, lambda b: compare(b['patch_grid'], b['photos'])))


def best_point(similarity: np.ndarray) -> np.ndarray:
    """Window xy [..., 2] of the highest cell of maps [..., G, G]; of equal ones their mean.

    So a map that is the same everywhere answers the centre.
    """
    h, w = similarity.shape[-2:]
    highest = similarity >= similarity.max(axis=(-2, -1), keepdims=True)
    share = highest / highest.sum(axis=(-2, -1), keepdims=True)
    return np.einsum('...hw,hwd->...d', share, cell_centres(h, w))


def permuted_among_tiles(tile: np.ndarray, *, seed: int) -> np.ndarray | None:
    """For every photo the index of one of another tile, each taken once; None if there is none.

    Args:
        tile: int [n].
        seed: of the permutation.
    """
    rng = np.random.default_rng(seed)
    block = np.unique(tile, return_inverse=True)[1]
    turn = rng.permutation(block.max() + 1)[block]
    order = np.lexsort((rng.random(len(tile)), turn))
    # Tiles stand in blocks: half the way round is another tile, unless one has half the photos.
    other = np.empty_like(order)
    other[order] = np.roll(order, len(order) // 2)
    return None if np.any(tile[other] == tile) else other


def half_width_m(
    bounds: np.ndarray, crs: str, tile_shape: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Metres on the ground of one unit of window xy, east-west and north-south: float64 [2].

    By great circles through the tile's centre, so in any CRS.

    Args:
        bounds: left, top, right, bottom of the tile in the units of `crs`.
        crs: of the tile.
        tile_shape: rows and columns of the tile, pixels.
        size: rows and columns of the window, pixels.
    """
    ends = np.array([[[-1.0, 0.0], [1.0, 0.0]], [[0.0, -1.0], [0.0, 1.0]]])
    lonlat = tile_xy_to_lonlat(ends, bounds, crs)
    sides = great_circle_m(lonlat[:, 0], lonlat[:, 1])
    return sides / 2 * np.array([size[1] / tile_shape[1], size[0] / tile_shape[0]])


def errors_m(found: np.ndarray, xy: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """Metres between window positions [n, 2], with metres a unit [n, 2] (`half_width_m`)."""
    return np.hypot(*np.moveaxis((found - xy) * half_width, -1, 0))


def _embed(model: Model, params: Params, batch: dict[str, Array]) -> dict[str, Array]:
    nowhere = jnp.zeros((len(batch['xy']), model.place_width))
    out = model.apply(params, batch | {model.place_field: nowhere})
    pooled = out['rs']
    if pooled.shape[-1] == model.config.model.embed_dim:
        pooled = _unit(model.project(params, 'rs', pooled))
    else:
        pooled = pooled[:, :0]
    return {
        'sv': _unit(out['loss_sv']),
        'localized': _unit(out['loss_localized']),
        'pooled': pooled,
        'patch_grid': out['patch_grid'],
    }


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
