"""Parity of the encoders, the location encoder and the masked autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.convert import croma as croma_table
from gair_jax.convert import geoclip, hugging_face
from gair_jax.convert import mae as mae_table
from gair_jax.convert.table import Rule, convert, linear, norm
from gair_jax.geo.projection import equal_earth
from gair_jax.losses import mae_loss, patch_errors
from gair_jax.models import positions
from gair_jax.models.heads import Head
from gair_jax.models.location import LocationEncoder, LocationSpec
from gair_jax.models.mae import Decoder, DecoderSpec, MaeModel
from gair_jax.models.transformer import TransformerSpec
from gair_jax.models.vit import Vit, VitSpec
from gair_jax.serve.replay import channels_last
from tests.parity.kinds import Arrays, Data, Unsupported, kind, require
from tests.parity.weights import Case


def shapes(module, *args, **kwargs):
    """The parameter tree of a module, as shapes."""
    return jax.eval_shape(lambda: module.init(jax.random.key(0), *args, **kwargs))['params']


def transformer(kwargs: dict) -> TransformerSpec:
    require(kwargs, activation='gelu_erf')
    return TransformerSpec(
        dim=kwargs['dim'],
        depth=kwargs['depth'],
        heads=kwargs['heads'],
        mlp_dim=kwargs.get('mlp_dim') or int(kwargs['dim'] * kwargs['mlp_ratio']),
        qkv_bias=kwargs.get('qkv_bias', True),
        norm_eps=kwargs['norm_eps'],
    )


def lonlat(case: Case, name: str) -> np.ndarray:
    """A [N, 2] input as (lon, lat) degrees."""
    require(case.kwargs, unit='degree', order=('lon_lat', 'lat_lon'))
    flip = case.kwargs['order'] == 'lat_lon'
    return case.inputs[name][:, ::-1] if flip else case.inputs[name]


@kind('equal_earth')
def projection(case: Case, data: Data) -> Arrays:
    del data
    (name,) = case.inputs
    places = lonlat(case, name)
    return {
        'xy': np.asarray(equal_earth(jnp.asarray(places), xp=jnp)),
        'xy_f64': equal_earth(places.astype(np.float64)),
    }


@kind('location_rff')
def location(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, activation='relu', normalized=(False, True))
    spec = LocationSpec(
        sigma=tuple(kwargs['sigma']),
        frequencies=kwargs['frequencies'],
        hidden=tuple(kwargs['hidden']),
        embed_dim=kwargs['out_dim'],
    )
    encoder, places = LocationEncoder(spec), jnp.asarray(lonlat(case, kwargs['input']))
    params = geoclip.params(case.params, {'location': shapes(encoder, places)})
    out = jax.jit(encoder.apply)({'params': params['location']}, places)
    scales = range(len(spec.sigma))
    embedding = np.asarray(out['embedding'])
    if kwargs['normalized']:
        embedding = embedding / np.linalg.norm(embedding, axis=-1, keepdims=True)
    return {
        'embedding': embedding,
        'projected': np.asarray(out['projected']),
        **{f'rff{j}': np.asarray(out['rff'][j]) for j in scales},
        **{f'level{j}': np.asarray(out['levels'][j]) for j in scales},
    }


@kind('alibi_2d')
def alibi(case: Case, data: Data) -> Arrays:
    del data
    require(case.kwargs, token_order='row_major', distance='euclidean_patches')
    out: Arrays = {}
    for heads, grid in [*case.kwargs['tables'], case.kwargs['full']]:
        out[f'bias_h{heads}_g{grid}'] = positions.alibi_bias(grid, grid, heads)
        out[f'slopes_h{heads}'] = positions.alibi_slopes(heads)
    return out


@kind('croma_encoder')
def croma(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(
        kwargs,
        position='alibi_2d',
        patch_order='channel_row_column',
        pooled=(None, 'classifier', 'gap_ffn'),
    )
    spec = VitSpec(
        layers=transformer(kwargs),
        patch=kwargs['patch'],
        channels=kwargs['channels'],
        image=(kwargs['image'],) * 2,
        position='alibi',
        final_norm=kwargs['final_norm'],
    )
    encoder, images = Vit(spec), channels_last(case.inputs[kwargs['input']])
    template = {'rs': shapes(encoder, images)}
    rules = croma_table.rules(final_norm=spec.final_norm)
    if kwargs['pooled']:
        name, head, table = croma_head(case)
        template[name] = shapes(head, jnp.zeros((1, spec.layers.dim)))
        rules += table
    params = convert(case.params, rules, template)
    out = jax.jit(encoder.apply)({'params': params['rs']}, images)
    arrays = {'tokens': np.asarray(out['patch_tokens'])}
    if kwargs['pooled']:
        arrays[name] = np.asarray(head.apply({'params': params[name]}, out['pooled']))
    return arrays


def croma_head(case: Case) -> tuple[str, Head, list[Rule]]:
    """Output name, module and table of what follows the mean of the tokens."""
    if case.kwargs['pooled'] == 'classifier':
        head = Head(out=len(case.params['head.bias']))
        return 'head', head, [*norm('head/norm', 'layer_norm'), *linear('head/out', 'head')]
    width = len(case.params['GAP_FFN_s2.1.bias'])
    head = Head(out=case.kwargs['dim'], hidden=(width,))
    return 'gap', head, croma_table.gap_head('GAP_FFN_s2.', 'gap')


@kind('vit_sv_encoder')
def street_view(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, position='stored', pooler=('tanh', None))
    images = channels_last(case.inputs['sv'])
    spec = VitSpec(
        layers=transformer(kwargs),
        patch=kwargs['patch'],
        channels=images.shape[-1],
        image=(kwargs['image'],) * 2,
        class_token=True,
        pooling='pooler' if kwargs['pooler'] else 'class',
    )
    encoder = Vit(spec)
    params = hugging_face.params(case.params, {'sv': shapes(encoder, images)})
    out = jax.jit(encoder.apply)({'params': params['sv']}, images)
    tokens = jnp.concatenate([out['class_tokens'], out['patch_tokens']], axis=1)
    return {'tokens': np.asarray(tokens), 'pooler': np.asarray(out['pooled'])}


@kind('mae_vit')
def mae(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, position='sincos_mae', patch_order='row_column_channel')
    images, noise = channels_last(case.inputs['imgs']), jnp.asarray(case.inputs['noise'])
    model = _mae_model(kwargs, channels=images.shape[-1])
    template = jax.eval_shape(model.init, jax.random.key(0))
    params = mae_table.params(case.params, template)
    out = jax.jit(model.apply)(params, {'rs': images}, noise)
    valid = jnp.ones(len(images), bool)
    losses = {
        f'loss_norm_pix_{normed}': mae_loss(
            *patch_errors(out['pred'], out['target'], out['mask'], norm_pixels=normed), valid=valid
        )
        for normed in kwargs['norm_pix_loss']
    }
    arrays = {name: np.asarray(value) for name, value in (out | losses).items()}
    if arrays['latent'].shape[1] != 1 + kwargs['keep']:
        raise Unsupported(f'keep={kwargs["keep"]} does not follow from the mask ratio')
    grid = kwargs['image'] // kwargs['patch']
    for name, width in (('pos_embed', kwargs['dim']), ('decoder_pos_embed', kwargs['decoder_dim'])):
        arrays[name] = np.pad(positions.sincos_table(grid, grid, width), ((1, 0), (0, 0)))
    return arrays


def _mae_model(kwargs: dict, channels: int) -> MaeModel:
    layers = transformer(kwargs)
    encoder = VitSpec(
        layers=layers,
        patch=kwargs['patch'],
        channels=channels,
        image=(kwargs['image'],) * 2,
        position='sincos',
        class_token=True,
    )
    dim = kwargs['decoder_dim']
    decoder = TransformerSpec(
        dim=dim,
        depth=kwargs['decoder_depth'],
        heads=kwargs['decoder_heads'],
        mlp_dim=int(dim * kwargs['mlp_ratio']),
        norm_eps=kwargs['norm_eps'],
    )
    spec = DecoderSpec(layers=decoder, patch_values=kwargs['patch'] ** 2 * channels)
    return MaeModel(Vit(encoder), Decoder(spec), kwargs['mask_ratio'], 0)
