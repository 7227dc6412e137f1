"""Photo to map on tiles never trained on: which point is the photo's, and where in its window.

Every photo stands at its own position in its own test window. Retrieval looks for that point among
those of all photos, and among those of its tile alone; localization looks over the whole window.
"""

from typing import Any, NamedTuple

import numpy as np

from gair_jax.config import Config
from gair_jax.input import records
from gair_jax.input.examples import WindowInfo
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.models.gair import Model, Params
from gair_jax.scores.intervals import bootstrap
from gair_jax.scores.retrieval import group_chance, ranks, ranks_within, recall_at
from gair_jax.transfer import localize, windows
from gair_jax.transfer.colour import nearest_colour, true_colour
from gair_jax.transfer.features import Drawn, draw_tiles
from gair_jax.transfer.localize import Dense, Views
from gair_jax.transfer.placement import keep_uniform, require_uniform, uniform_p

WANTED = 512


class Candidates(NamedTuple):
    """The test photos that are used, their windows, and how many were left out for uniform xy.

    `uniform` is false where no choice of photos could make xy uniform.
    """

    drawn: Drawn
    infos: list[WindowInfo]
    left_out: int
    uniform: bool


class Places(NamedTuple):
    """Where each photo was found: heat f32 [n, G, G], found f64 [n, 2], error_m f64 [n]."""

    heat: np.ndarray
    found: np.ndarray
    error_m: np.ndarray


class Evidence(NamedTuple):
    """What was seen of each test photo: its views, the rank int [n] of its own point, its place.

    places is None where the model says the same of every point of a window.
    """

    views: Views
    ranks: np.ndarray
    places: Places | None


def candidates(
    store: Store, pipeline: Pipeline, config: Config, *, most: int, seed: int
) -> Candidates:
    """Test photos with a tile, chosen so that xy is uniform.

    Raises:
        InputError: their positions are not uniform although their windows could be.
    """
    drawn = draw_tiles(store, 'test', most, seed=seed)
    infos = windows.find(pipeline, drawn)
    keep = None
    if config.input.rs.placement == 'random' and infos:
        tile = np.array([info.tile_shape for info in infos])
        position = (np.stack([info.tile_xy for info in infos])[:, ::-1] + 1) / 2 * tile
        offset = np.array([(info.row, info.col) for info in infos])
        size = np.array([info.size for info in infos])
        keep = keep_uniform(position, offset, tile, size, seed=seed)
    if keep is None:
        return Candidates(drawn, infos, 0, False)
    kept = [info for info, k in zip(infos, keep, strict=True) if k]
    require_uniform(np.stack([info.xy for info in kept]))
    return Candidates(drawn.take(keep), kept, int(np.sum(~keep)), True)


def evaluate(
    model: Model, params: Params, pipeline: Pipeline, store: Store, chosen: Candidates,
    *, grid: int, seed: int,
) -> tuple[dict[str, Any], Evidence]:  # fmt: skip
    """Retrieval and localization scores of the chosen photos, and what the pictures need.

    Args:
        model: the model, with rs and sv.
        params: its parameters.
        pipeline: of the test split, made with train=False.
        store: the data set.
        chosen: the photos.
        grid: points along a side of the dense query.
        seed: of the permutation of photos and of the intervals.
    """
    colours = true_colour(model.config.input.rs.sensor)
    views = localize.view(model, params, pipeline, chosen.drawn, colours)
    tile = chosen.drawn.tile
    found, rank = _retrieval(views, tile, seed)
    found['xy_uniform'], found['xy_uniform_p'] = chosen.uniform, uniform_p(views.xy)
    found['left_out_near_border'] = chosen.left_out
    if model.config.model.nili.kind == 'mean':
        return found, Evidence(views, rank, None)
    other = localize.permuted_among_tiles(tile, seed=seed)
    photos = [views.sv] if other is None else [views.sv, views.sv[other]]
    dense = localize.dense(model, params, views.patch_grid, np.stack(photos, axis=1), grid)
    found['retrieval_at_1_window'] = recall_at(_ranks(views.sv, dense.mean), 1)
    scores, places = _places(views, dense, _half_widths(store, chosen.infos), tile, seed)
    return found | scores, Evidence(views, rank, places)


def remarks(found: dict[str, Any]) -> list[str]:
    """What a reader of the scores of `evaluate` has to know."""
    said = []
    if found['n_candidates'] < WANTED:
        said.append(f'Only {found["n_candidates"]} test photos could be used.')
    if found['left_out_near_border']:
        said.append(
            f'{found["left_out_near_border"]} test photos near the border of their tile were left '
            'out, so that photos lie anywhere in their windows alike.'
        )
    if not found['xy_uniform']:
        said.append('Photos crowd some part of their windows: a guess of the place gains by it.')
    if found['retrieval_at_1_pooled'] is None:
        said.append('No pooled embedding: the tokens are not as wide as the photo embedding.')
    if 'place_error_m' not in found:
        said.append('No place in the window: without NILI every point has the same embedding.')
    return said


def _ranks(photos: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ranks(photos @ points.T, np.arange(len(photos)))


def _retrieval(views: Views, tile: np.ndarray, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Scores, and the rank of every photo's own point."""
    n = len(tile)
    rank = _ranks(views.sv, views.localized)
    within = ranks_within(views.sv @ views.localized.T, tile)
    has_pooled = views.pooled.shape[1] > 0
    pooled = views.sv @ views.pooled.T if has_pooled else np.zeros((n, n))
    first = bootstrap(lambda rows: recall_at(rank[rows], 1), tile, seed=seed)
    return {
        'n_candidates': n,
        'n_tiles': len(np.unique(tile)),
        'retrieval_at_1': recall_at(rank, 1),
        'retrieval_at_1_interval': list(first),
        'retrieval_at_5': recall_at(rank, 5),
        'median_rank': float(np.median(rank)),
        'chance': 1 / n,
        'chance_at_5': min(1.0, 5 / n),
        'within_tile_at_1': recall_at(within, 1),
        'within_tile_candidates': n / len(np.unique(tile)),
        'within_tile_chance': group_chance(tile),
        'retrieval_at_1_pooled': recall_at(ranks(pooled, np.arange(n)), 1) if has_pooled else None,
        'within_tile_at_1_pooled': recall_at(ranks_within(pooled, tile), 1) if has_pooled else None,
    }, rank


def _half_widths(store: Store, infos: list[WindowInfo]) -> np.ndarray:
    found = []
    for info in infos:
        example = store.tiles.example(info.tile_row)
        bounds, crs = records.bits_float(example['bounds']), example['crs'].decode()
        found.append(localize.half_width_m(bounds, crs, info.tile_shape, info.size))
    return np.stack(found)


def _places(
    views: Views, dense: Dense, half_width: np.ndarray, tile: np.ndarray, seed: int
) -> tuple[dict[str, Any], Places]:
    """Median errors in metres of the model and of those who know less, and where photos were found.

    `dense` compares each window with its own photo and, second, with one of another tile.
    """
    best = localize.best_point(dense.similarity)

    def error(found: np.ndarray) -> np.ndarray:
        return localize.errors_m(found, views.xy, half_width)

    own = error(best[:, 0])
    interval = bootstrap(lambda rows: float(np.median(own[rows])), tile, seed=seed)
    scores = {
        'place_error_m': float(np.median(own)),
        'place_error_interval': list(interval),
        'centre_error_m': float(np.median(error(np.zeros(2)))),
        'colour_error_m': float(np.median(error(nearest_colour(views.photo, views.rgb)))),
        'shuffled_error_m': None,
    }
    if best.shape[1] > 1:
        scores['shuffled_error_m'] = float(np.median(error(best[:, 1])))
    return scores, Places(dense.similarity[:, 0], best[:, 0], own)
