"""A model of ours on the inputs of a parity case: the arrays that the case's outputs are cut from.

One function a kind of case. They take the model as it is; whether it is the case's is for the
comparison to show.
"""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import InputError
from gair_jax.geo.tiles import relative_position
from gair_jax.models import gair, positions
from gair_jax.models.gair import Model
from gair_jax.models.transformer import run
from gair_jax.models.vit import Vit
from gair_jax.serve.parity import Arrays, Case, Comparison, compare
from gair_jax.serve.weights import Weights

Params = dict[str, Any]
Replay = Callable[[Model, Params, Case], Arrays]


def report(weights: Weights, case: Case) -> list[Comparison]:
    """The outputs of a case that the model has, compared with the model's own.

    Raises:
      InputError: the case is of a kind that says nothing about such a model, or does not fit it.
    """
    if case.kind not in KINDS:
        raise InputError(
            f'{case.path}: expected a case of kind {", ".join(KINDS)}, found {case.kind!r}.'
        )
    try:
        with jax.default_matmul_precision('highest'):
            arrays = KINDS[case.kind](gair.build(weights.config), weights.params, case)
        return compare(case, arrays, partial=True)
    except KeyError as error:
        raise InputError(f'{case.path}: expected {error} in the case, found nothing.') from error
    except InputError as error:
        raise InputError(f'{case.path} does not fit the model: {error}') from error


def forward(model: Model, params: Params, case: Case) -> Arrays:
    """The whole model, and every way of reading the patch grid that the case lists."""
    kwargs, inputs = case.kwargs, case.inputs
    dtype = kwargs['coordinate_dtype']
    xy = 2 * relative_position(inputs['lonlat'].astype(dtype), inputs['bbox'].astype(dtype)) - 1
    batch = {
        'rs': channels_last(inputs['rs']),
        'sv': channels_last(inputs['sv']),
        model.place_field: jnp.asarray(model.place_input(inputs['lonlat'])),
        'xy': jnp.asarray(xy, jnp.float32),
    }
    out = jax.jit(model.apply)(params, batch)
    arrays = {name: np.asarray(out[name]) for name in ('sv', 'location', 'rs')}
    for mode in kwargs['modes']:
        localized = _reading(model, mode).query(params, out['patch_grid'], batch['xy'][:, None])
        arrays[f'localized_{mode}'] = np.asarray(localized)[:, 0]
    arrays['sv_projected'] = np.asarray(model.project(params, 'sv', out['sv']))
    if 'nili' in kwargs['modes']:
        rows, columns = (unit(arrays[n]) for n in ('localized_nili', 'sv_projected'))
        arrays['retrieval_scores'] = rows @ columns.T
    return arrays


def street_view(model: Model, params: Params, case: Case) -> Arrays:
    """Tokens and embedding of photos."""
    encoder, images = _encoder(model, 'sv'), channels_last(case.inputs['sv'])
    out = _encoded(encoder, params['sv'], images)
    return {'tokens': _all_tokens(out), 'pooler': np.asarray(out['pooled'])}


def tiles(model: Model, params: Params, case: Case) -> Arrays:
    """Tokens of tiles, without what follows CROMA's encoder."""
    images = channels_last(case.inputs[case.kwargs['input']])
    out = _encoded(_encoder(model, 'rs'), params['rs'], images)
    return {'tokens': np.asarray(out['patch_tokens'])}


def tile_levels(model: Model, params: Params, case: Case) -> Arrays:
    """Maps of intermediate layers of a tile encoder, the last listed one after the final norm."""
    encoder, images = _encoder(model, 'rs'), channels_last(case.inputs['image'])
    grid = images.shape[1] // encoder.spec.patch
    arrays = {'attn_bias': positions.alibi_bias(grid, grid, encoder.spec.layers.heads)}
    for name, levels in (('level', 'levels'), ('early', 'early_levels')):
        if wanted := tuple(case.kwargs[levels] or ()):
            out = _encoded(encoder, params['rs'], images, levels=wanted, norm_last=True)
            arrays |= level_maps(out, grid, name)
    return arrays


def photos(model: Model, params: Params, case: Case) -> Arrays:
    """Levels, tokens and pooled features of a ViT for photos."""
    encoder, images = _encoder(model, 'sv'), channels_last(case.inputs['image'])
    levels, last = tuple(case.kwargs['levels'] or ()), case.kwargs['level_norm'] == 'last'
    out = _encoded(encoder, params['sv'], images, levels=levels, norm_last=last)
    maps = level_maps(out, images.shape[1] // encoder.spec.patch, 'level') if levels else {}
    return {**maps, 'tokens': _all_tokens(out), 'features': np.asarray(out['pooled'])}


def places(model: Model, params: Params, case: Case) -> Arrays:
    """The location encoder, scale by scale."""
    encoder = model.location
    if encoder is None:
        raise InputError('model.location.enabled: the case needs it, found False.')
    if (name := model.config.model.location.encoder) != 'geoclip':
        raise InputError(f'model.location.encoder: the case needs geoclip, found {name!r}.')
    degrees = case.inputs[case.kwargs['input']]
    lonlat = degrees[:, ::-1] if case.kwargs['order'] == 'lat_lon' else degrees
    apply = jax.jit(lambda p, x: run(encoder, p, x))
    out = apply(params['location'], jnp.asarray(lonlat))
    embedding = np.asarray(out['embedding'])
    scales = range(len(out['rff']))
    return {
        'embedding': unit(embedding) if case.kwargs['normalized'] else embedding,
        'projected': np.asarray(out['projected']),
        **{f'rff{j}': np.asarray(out['rff'][j]) for j in scales},
        **{f'level{j}': np.asarray(out['levels'][j]) for j in scales},
    }


def encoded_places(model: Model, params: Params, case: Case) -> Arrays:
    """A location encoder of SatCLIP or TorchSpatial, and what the host encodes, where it does."""
    degrees = case.inputs[case.kwargs.get('input', 'lonlat')].astype(np.float64)
    given = jnp.asarray(model.place_input(degrees))
    arrays = {'embedding': np.asarray(jax.jit(model.encode_location)(params, given))}
    if model.encoding is None:
        return arrays
    position = model.encoding.encode(degrees)
    return {**arrays, 'position': position, 'posenc': position}


KINDS: Mapping[str, Replay] = {
    'gair_forward': forward,
    'vit_sv_encoder': street_view,
    'croma_encoder': tiles,
    'croma_levels': tile_levels,
    'vit_encoder': photos,
    'location_rff': places,
    'spherical_harmonics_siren': encoded_places,
    'torchspatial_encoder': encoded_places,
}


def channels_last(images: np.ndarray) -> jax.Array:
    """Images of torch's layout in ours."""
    return jnp.asarray(np.moveaxis(images, 1, -1))


def unit(rows: np.ndarray) -> np.ndarray:
    """Each row divided by its length."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def level_maps(out: Mapping[str, jax.Array], grid: int, name: str) -> Arrays:
    """Levels [L, B, N, D] as torch's maps (B, D, grid, grid), one array each."""
    levels = np.asarray(out['levels'])
    maps = np.moveaxis(levels.reshape(*levels.shape[:2], grid, grid, -1), -1, 2)
    return {f'{name}{k}': maps[k] for k in range(len(maps))}


def _encoder(model: Model, side: str) -> Vit:
    encoder = getattr(model, side)
    if encoder is None:
        raise InputError(f'model.{side}.enabled: the case needs it, found False.')
    return encoder


def _encoded(
    encoder: Vit, params: Params, images: jax.Array, **kwargs: Any
) -> Mapping[str, jax.Array]:
    return jax.jit(lambda p, x: run(encoder, p, x, **kwargs))(params, images)


def _all_tokens(out: Mapping[str, jax.Array]) -> np.ndarray:
    return np.concatenate([out['class_tokens'], out['patch_tokens']], axis=1)


def _reading(model: Model, kind: str) -> Model:
    """The model with another way of reading the patch grid."""
    config = copy.deepcopy(model.config)
    config.model.nili.kind = kind
    return dataclasses.replace(model, config=config, nili=model.nili if kind == 'nili' else None)
