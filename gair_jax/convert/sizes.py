"""The config that a state dict implies: sizes are read off the shapes of its arrays.

Numbers of attention heads leave no trace in a shape: CROMA's form has 16 at every size, the ViTs
have one for each 64 of their width.
"""

import itertools
import math
import re

import numpy as np

from gair_jax.config import Config, EncoderConfig, InputError, LocationConfig
from gair_jax.convert import gair_release, layers
from gair_jax.convert.table import State
from gair_jax.presets import PRESETS, paper

CROMA_HEADS = 16
CROMA_PATCH = 8
HEAD_WIDTH = 64  # of ViT-Ti to ViT-L
BANDS = {10: 'sentinel2_10', 12: 'sentinel2_12', 3: 'sentinel2_rgb'}


def shape(state: State, key: str, rank: int) -> tuple[int, ...]:
    """The shape of an array that a model cannot be sized without; InputError names it."""
    if key not in state:
        raise InputError(f'weights: {key}: expected an array of {rank} axes, found nothing.')
    found = np.shape(state[key])
    if len(found) != rank:
        raise InputError(f'weights: {key}: expected an array of {rank} axes, found shape {found}.')
    return found


def count(state: State, key: str) -> int:
    """How many of the numbers 0, 1, ... stand in the place of {i} before the first gap.

    Each counts that begins a key, so that one absent array does not shorten the model.
    """
    begin = re.escape(key.partition('{i}')[0]) + r'(\d+)\.'
    found = {int(hit[1]) for name in state if (hit := re.match(begin, name))}
    return next(i for i in itertools.count() if i not in found)


def gair(state: State, prefix: str, spelling: str, preset: str) -> Config:
    """That of an official GAIR checkpoint under `preset`, release or history."""
    config = PRESETS[preset]()
    model, rs = config.model, prefix + gair_release.RS
    columns = _croma(state, rs, model.rs)
    model.rs.patch = _patch(columns, 10, f'{rs}linear_input.weight')
    grid = state.get(f'{prefix}rs_patch_pos_encoding')
    if grid is not None and np.ndim(grid) == 3:
        config.input.rs.size = math.isqrt(np.shape(grid)[1]) * model.rs.patch
    _hugging_face(state, prefix + gair_release.SV, spelling, config)
    _location(state, prefix + gair_release.LOCATION, model.location)
    model.nili.hidden, model.embed_dim = _implicit(state, f'{prefix}imnet')
    return config


def croma(state: State, prefix: str) -> Config:
    """That of CROMA's optical encoder alone, which has nothing learnt to read its grid with."""
    config = paper()
    model, encoder = config.model, f'{prefix}s2_encoder.'
    columns = _croma(state, encoder, model.rs)
    bands = columns // CROMA_PATCH**2
    if columns % CROMA_PATCH**2 or bands not in BANDS:
        raise InputError(
            f'weights: {encoder}linear_input.weight: expected columns for {CROMA_PATCH} x '
            f'{CROMA_PATCH} pixels of {" or ".join(map(str, BANDS))} bands, found {columns}.'
        )
    config.input.rs.sensor = BANDS[bands]
    config.input.rs.size = config.input.rs.window = 120  # what it was trained on
    model.sv.enabled = model.location.enabled = False
    model.nili.kind = 'bilinear'
    model.embed_dim = model.rs.dim
    return config


def geoclip(state: State, prefix: str, head: str | None) -> Config:
    """That of GeoCLIP's location encoder, and of its image head, whose keys begin with `head`."""
    config = paper()
    model = config.model
    model.rs.enabled = model.sv.enabled = False
    model.nili.kind = 'mean'
    _location(state, prefix, model.location)
    model.embed_dim = shape(state, f'{prefix}LocEnc0.head.0.weight', 2)[0]
    if head is not None:
        hidden, features = shape(state, f'{head}0.weight', 2)
        if hidden != features:
            raise InputError(
                f'weights: {head}0.weight: expected as many rows as columns, found '
                f'{hidden} x {features}.'
            )
        model.clip_hidden = hidden
    return config


def vit(state: State, prefix: str, sensor: str) -> Config:
    """That of a street view encoder in timm's layout, whose photos `sensor` prepares."""
    config = paper()
    model, sv = config.model, config.model.sv
    model.rs.enabled = model.location.enabled = False
    model.nili.kind = 'mean'
    sv.dim, channels, sv.patch, _ = shape(state, f'{prefix}patch_embed.proj.weight', 4)
    if channels != 3:
        raise InputError(
            f'weights: {prefix}patch_embed.proj.weight: expected 3 channels (photos), found '
            f'{channels}.'
        )
    sv.depth = count(state, f'{prefix}blocks.{{i}}')
    sv.mlp_dim = shape(state, f'{prefix}blocks.0.mlp.fc1.weight', 2)[0]
    sv.heads = max(1, sv.dim // HEAD_WIDTH)
    sv.class_token, sv.position, sv.norm_eps = True, 'learned', 1e-6
    sv.qkv_bias = any(key.endswith('.attn.qkv.bias') for key in state)
    sv.pooling = 'mean_norm' if f'{prefix}fc_norm.weight' in state else 'class'
    config.input.sv.sensor = sensor
    config.input.sv.size = _side(shape(state, f'{prefix}pos_embed', 3)[1] - 1) * sv.patch
    model.embed_dim = sv.dim
    return config


def _croma(state: State, prefix: str, encoder: EncoderConfig) -> int:
    """Sets the sizes of a CROMA form; returns the columns of its patch embedding."""
    encoder.dim, columns = shape(state, f'{prefix}linear_input.weight', 2)
    encoder.depth = count(state, f'{prefix}transformer.layers.{{i}}')
    encoder.mlp_dim = shape(state, f'{prefix}transformer.layers.0.1.net.0.weight', 2)[0]
    encoder.heads = CROMA_HEADS
    return columns


def _hugging_face(state: State, prefix: str, spelling: str, config: Config) -> None:
    sv, names = config.model.sv, layers.HUGGING_FACE[spelling]
    kernel = f'{prefix}embeddings.patch_embeddings.projection.weight'
    sv.dim, _, sv.patch, _ = shape(state, kernel, 4)
    layer = f'{prefix}{names["layers"]}.{{i}}'
    sv.depth = count(state, layer)
    first = f'{layer.replace("{i}", "0")}.{names["mlp_in"]}.weight'
    sv.mlp_dim = shape(state, first, 2)[0]
    sv.heads = max(1, sv.dim // HEAD_WIDTH)
    rows = shape(state, f'{prefix}embeddings.position_embeddings', 3)[1]
    config.input.sv.size = _side(rows - 1) * sv.patch


def _location(state: State, prefix: str, location: LocationConfig) -> None:
    """Sets the sizes; sigma, which only a fresh draw uses, to the nearest power of two."""
    branches = range(count(state, f'{prefix}LocEnc{{i}}'))
    frequencies = [f'{prefix}LocEnc{i}.capsule.0.b' for i in branches]
    location.frequencies = shape(state, f'{prefix}LocEnc0.capsule.0.b', 2)[0]
    location.sigma = tuple(_sigma(state.get(key, 1.0)) for key in frequencies)
    location.hidden = _widths(state, f'{prefix}LocEnc0.capsule.')[1:]


def _implicit(state: State, prefix: str) -> tuple[tuple[int, ...], int]:
    """Hidden widths and output width of LIIF's implicit function, or of the release's one layer."""
    *hidden, last = _widths(state, f'{prefix}.layers.') or [shape(state, f'{prefix}.weight', 2)[0]]
    return tuple(hidden), last


def _widths(state: State, prefix: str) -> tuple[int, ...]:
    """Output widths of the numbered linear layers of a sequence; 0 for other numbered modules."""
    hits = (re.match(re.escape(prefix) + r'(\d+)\.(\w+)', name) for name in state)
    found = {int(hit[1]): hit[2] for hit in hits if hit}
    linear = {i for i, kind in found.items() if kind in ('weight', 'bias')}
    return tuple(
        shape(state, f'{prefix}{i}.weight', 2)[0] if i in linear else 0 for i in sorted(found)
    )


def _sigma(frequencies: np.ndarray | float) -> float:
    return 2.0 ** round(math.log2(float(np.std(frequencies)) or 1.0))


def _side(patches: int) -> int:
    side = math.isqrt(max(patches, 0))
    if side * side != patches or not side:
        raise InputError(
            f'weights: expected positions for a square of patches and the class token, found '
            f'{patches} + 1.'
        )
    return side


def _patch(columns: int, bands: int, key: str) -> int:
    side = math.isqrt(columns // bands)
    if side * side * bands != columns or not side:
        raise InputError(
            f'weights: {key}: expected columns for square patches of {bands} bands, found '
            f'{columns}.'
        )
    return side
