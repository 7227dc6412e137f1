"""Parity of what reads the patch grid at a point, and of the whole model."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import Config
from gair_jax.convert import gair_release, liif
from gair_jax.convert.table import convert
from gair_jax.geo.tiles import relative_position
from gair_jax.geo.windows import cell_centres
from gair_jax.models import gair, interpolation, positions
from gair_jax.models.attention_query import AttentionQuery, query_position
from gair_jax.models.nili import Nili, NiliSpec
from gair_jax.models.transformer import TransformerSpec
from gair_jax.models.vit import Vit
from gair_jax.presets import release
from gair_jax.serve import replay
from tests.parity.encoders import shapes
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case

BOX = ['lon_min', 'lat_max', 'lon_max', 'lat_min']


def relative(case: Case, dtype: str = 'float32') -> np.ndarray:
    """The places of a case relative to their boxes, in [0, 1], computed in `dtype`."""
    require(case.kwargs, bbox_order=BOX)
    return relative_position(case.inputs['lonlat'].astype(dtype), case.inputs['bbox'].astype(dtype))


def patch_grid(tokens: np.ndarray, grid: int) -> jax.Array:
    return jnp.asarray(tokens.reshape(len(tokens), grid, grid, -1))


def implicit(case: Case, *, row_first: bool, **settings) -> tuple[Nili, dict]:
    """NILI and its parameters from a case's `imnet`."""
    kwargs = case.kwargs
    require(kwargs, activation='relu')
    hidden = tuple(kwargs['hidden'])
    nili = Nili(NiliSpec(dim=kwargs['dim'], embed_dim=kwargs['dim_out'], hidden=hidden, **settings))
    grid, xy = jnp.zeros((1, 2, 2, kwargs['dim'])), jnp.zeros((1, 1, 2))
    params = liif.params(case.params, {'nili': shapes(nili, grid, xy)}, row_first=row_first)
    return nili, params['nili']


def both_schedules(nili: Nili, params: dict, grid: jax.Array, xy: jax.Array) -> np.ndarray:
    """The result of one schedule, after checking that the other agrees."""
    apply = jax.jit(nili.apply, static_argnames='schedule')
    gathered, convolved = (
        np.asarray(apply({'params': params}, grid, xy, schedule=schedule))
        for schedule in ('gather', 'convolve')
    )
    np.testing.assert_allclose(gathered, convolved, rtol=0, atol=1e-5)
    return gathered


@kind('relative_coordinates')
def coordinates(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    types = kwargs['arithmetic']
    return {
        'relative': relative(case, types['relative']),
        'relative_x_scale': relative(case, types['relative_x_scale']) * kwargs['scale'],
        'relative_f64': relative(case, types['relative_f64']),
        'make_coord': cell_centres(*kwargs['coord_shape'])[..., ::-1],
    }


@kind('nili_query')
def nili_query(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(
        kwargs,
        bicubic_a=interpolation.CUBIC,
        coordinate_dtype=('float32', 'float64'),
        coordinate_range=[-1, 1],
        relative_order='x_y',
        padding=interpolation.PADDINGS,
    )
    maps = patch_grid(case.inputs['tokens'], kwargs['grid'])
    grid = maps[jnp.asarray(case.inputs['image'])]
    position = 2 * relative(case, kwargs['coordinate_dtype']) - 1
    xy = jnp.asarray(position, jnp.float32)[:, None]
    out = {'global': np.asarray(interpolation.mean(maps, jnp.zeros((len(maps), 1, 2))))[:, 0]}
    if 'nili' in kwargs['modes']:
        out['nili'] = both_schedules(*implicit(case, row_first=False), grid, xy)[:, 0]
    for mode in ('bilinear', 'bicubic'):
        if mode in kwargs['modes']:
            sample = getattr(interpolation, mode)
            out[mode] = np.asarray(jax.jit(sample, static_argnums=2)(grid, xy, kwargs['padding']))[
                :, 0
            ]
    return out


@kind('liif_query')
def liif_query(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(
        kwargs,
        feat_unfold=True,
        cell_decode=False,
        coordinate_order='row_col',
        coordinate_range=[-1, 1],
        relative_order='row_col',
    )
    nili, params = implicit(case, row_first=True, ensemble=kwargs['local_ensemble'])
    grid = patch_grid(case.inputs['tokens'], kwargs['grid'])
    xy = jnp.asarray(case.inputs['coord_rowcol'][..., ::-1])
    return {'pred': both_schedules(nili, params, grid, xy)}


@kind('history_query')
def history_query(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, coordinate_range=[0, 1], coordinate_order='x_as_row', relative_order='row_col')
    nili, params = implicit(case, row_first=False, coordinates='history')
    maps = patch_grid(case.inputs['tokens'], kwargs['grid'])
    grid = maps[jnp.asarray(case.inputs['image'])]
    xy = jnp.asarray(2 * relative(case) - 1)[:, None]
    return {'localized': both_schedules(nili, params, grid, xy)[:, 0]}


@kind('attention_query')
def attention_query(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, activation='gelu_erf', coordinate_dtype='float32')
    side, dim = kwargs['grid'], kwargs['dim']
    layers = TransformerSpec(
        dim=dim,
        depth=kwargs['layers'],
        heads=kwargs['heads'],
        mlp_dim=kwargs['mlp_dim'],
        qkv_bias=kwargs['qkv_bias'],
        norm_eps=kwargs['norm_eps'],
    )
    query = AttentionQuery(layers)
    grid = patch_grid(case.inputs['tokens'], side)[jnp.asarray(case.inputs['image'])]
    xy = jnp.asarray(2 * relative(case) - 1)[:, None]
    template = {'nili': shapes(query, grid[:1], xy[:1])}
    params = convert(case.params, gair_release.attention_query(), template)['nili']
    return {
        'query': np.asarray(query.apply({'params': params}, grid, xy))[:, 0],
        'query_pos': np.asarray(query_position(xy, side, side, dim))[:, 0],
        'patch_pos': positions.sincos_table(side, side, dim),
    }


@kind('gair_forward')
def forward(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, activation='gelu_erf', bicubic_a=interpolation.CUBIC, location_order='lon_lat')
    require(kwargs, bbox_order=BOX)
    model = gair.build(forward_config(case))
    spec = dataclasses.replace(model.rs.spec, channels=kwargs['rs_channels'])
    model = dataclasses.replace(model, rs=Vit(spec))
    template = jax.eval_shape(model.init, jax.random.key(0))
    return replay.forward(model, gair_release.params(case.params, template), case)


def forward_config(case: Case) -> Config:
    """The release preset at the sizes of a case."""
    kwargs, config = case.kwargs, release()
    poolings = {'tanh_pooler': 'pooler', 'cls': 'class', 'mean': 'mean'}
    require(kwargs, sv_pooling=tuple(poolings))
    config.model.embed_dim = kwargs['dim']
    config.model.location.sigma = tuple(map(float, kwargs['location_sigma']))
    location = 'location_encoder.LocEnc0.capsule'
    config.model.location.frequencies = len(case.params[f'{location}.0.b'])
    layers = (case.params.get(f'{location}.{i}.bias') for i in range(1, 99, 2))
    config.model.location.hidden = tuple(len(bias) for bias in layers if bias is not None)
    config.model.nili.hidden = tuple(kwargs['hidden'])
    config.model.nili.padding = kwargs['padding']
    config.model.projections = tuple(kwargs['projected'])
    mlp = {
        'rs': 'rs_encoder.s2_encoder.transformer.layers.0.1.net.0.bias',
        'sv': 'sv_encoder.encoder.layer.0.intermediate.dense.bias',
    }
    for side in ('rs', 'sv'):
        encoder = getattr(config.model, side)
        encoder.dim, encoder.depth = kwargs['dim'], kwargs[f'{side}_depth']
        encoder.heads, encoder.patch = kwargs[f'{side}_heads'], kwargs[f'{side}_patch']
        encoder.norm_eps = kwargs[f'{side}_norm_eps']
        encoder.mlp_dim = len(case.params[mlp[side]])
        getattr(config.input, side).size = kwargs[f'{side}_input_size']
    config.model.rs.final_norm = kwargs['rs_final_norm']
    config.model.sv.pooling = poolings[kwargs['sv_pooling']]
    return config
