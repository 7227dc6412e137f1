"""Parity of the baselines that the converter reads: ViTs in timm's layout, CROMA, GeoCLIP."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.config import Config
from gair_jax.convert import croma, geoclip, timm_vit
from gair_jax.convert.table import convert
from gair_jax.models import gair, positions
from gair_jax.models.heads import ClipHead
from gair_jax.models.vit import Vit
from gair_jax.presets import paper
from gair_jax.serve import replay
from tests.parity.encoders import shapes
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case

POOLINGS = {
    None: 'class',
    'cls_after_norm': 'class',
    'tokens_after_norm': 'class',
    'mean_then_fc_norm': 'mean_norm',
}


def only(side: str, kwargs: dict) -> Config:
    """A model of one encoder, of the sizes of a case."""
    require(kwargs, activation='gelu_erf')
    config = paper()
    for name in ('rs', 'sv', 'location'):
        getattr(config.model, name).enabled = name == side
    config.model.nili.kind = 'mean'
    encoder = getattr(config.model, side)
    for name in ('dim', 'depth', 'heads', 'mlp_dim', 'patch', 'norm_eps', 'qkv_bias'):
        setattr(encoder, name, kwargs[name])
    getattr(config.input, side).size = kwargs['image']
    config.model.embed_dim = kwargs['dim']
    return config


@kind('vit_encoder')
def vit(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, cls_token=True, position='stored', pooling=tuple(POOLINGS))
    require(kwargs, level_norm=('none', 'last'), position_init=(None, 'sincos_mocov3'))
    config = only('sv', kwargs)
    sv = config.model.sv
    sv.class_token, sv.pooling = True, POOLINGS[kwargs['pooling']]
    norm = 'fc_norm' if sv.pooling == 'mean_norm' else 'norm'
    sv.final_norm = f'{norm}.weight' in case.params
    model = gair.build(config)
    spec = dataclasses.replace(model.sv.spec, channels=kwargs['channels'])
    model = dataclasses.replace(model, sv=Vit(spec))
    template = jax.eval_shape(model.init, jax.random.key(0))
    rules = timm_vit.rules(template['sv'], norm_name=norm, channels=kwargs['channels'])
    params = convert(case.params, rules, template, ('head.*',))
    arrays = replay.photos(model, params, case)
    if kwargs['num_classes']:
        head = case.params['head.weight'], case.params['head.bias']
        arrays['logits'] = arrays['features'] @ head[0].T + head[1]
    if kwargs['position_init']:
        arrays['pos_embed_init'] = moco_positions(kwargs['image'] // kwargs['patch'], sv.dim)
    return arrays


def moco_positions(grid: int, dim: int) -> np.ndarray:
    """MoCo v3's table: ours with the halves for row and column exchanged, and a zero row first."""
    table = np.roll(positions.sincos_table(grid, grid, dim), dim // 2, axis=1)
    return np.pad(table, ((1, 0), (0, 0)))[None]


@kind('croma_levels')
def levels(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, patch_order='channel_row_column', position='alibi_2d', channels=12)
    require(kwargs, level_norm='last_listed')
    config = only('rs', kwargs)
    config.input.rs.sensor = 'sentinel2_12'
    model = gair.build(config)
    template = jax.eval_shape(model.init, jax.random.key(0))
    return replay.tile_levels(model, croma.params(case.params, template), case)


@kind('geoclip_image_mlp')
def image_head(case: Case, data: Data) -> Arrays:
    """Half a head a case: the other half is put in as an identity, whose input is not negative."""
    del data
    kwargs, params = case.kwargs, dict(case.params)
    require(kwargs, layer=(0, 2), activation=('relu', None))
    first = kwargs['layer'] == 0
    width = kwargs['out_dim'] if first else kwargs['in_dim']
    other = '2' if first else '0'
    params[f'{other}.weight'] = np.eye(width, dtype=np.float32)
    params[f'{other}.bias'] = np.zeros(width, np.float32)
    head = ClipHead(width, kwargs['out_dim'])
    features = jnp.asarray(case.inputs[kwargs['input']])
    template = {'clip': shapes(head, features)}
    ours = convert(params, geoclip.image_head(), template, geoclip.UNUSED)
    out = np.asarray(head.apply({'params': ours['clip']}, features))
    scale = params.get('logit_scale')
    return {
        'hidden' if first else 'out': out,
        **({} if scale is None else {'logit_scale_exp': np.exp(scale)}),
    }
