"""The config of a location encoder alone, from a state dict and what it was built with.

Frequencies, radii and the form of harmonics leave no trace in an array, so they come from the
file's own hyper-parameters or from the user: weights of one give other embeddings under another.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gair_jax.config import Config, InputError, PlaceSizes
from gair_jax.convert import satclip as satclip_table
from gair_jax.convert import torchspatial as torchspatial_table
from gair_jax.convert.sizes import count, shape
from gair_jax.convert.table import State
from gair_jax.presets import paper

Settings = Mapping[str, Any]


def satclip(state: State, prefix: str, settings: Settings) -> Config:
    """That of SatCLIP's location encoder.

    Raises:
      InputError: the form of harmonics is not said or is none of ours, or sizes disagree.
    """
    for name, only in satclip_table.FIXED.items():
        if settings.get(name, only) != only:
            raise InputError(f'{name}: expected {only}, found {settings[name]!r}.')
    form = _one_of(settings, 'harmonics_calculation', satclip_table.FORMS)
    first = f'{prefix}nnet.layers.0.weight'
    features = shape(state, first, 2)[1]
    degrees = math.isqrt(features)
    if degrees**2 != features:
        raise InputError(f'weights: {first}: expected a square of columns, found {features}.')
    if (said := settings.get('legendre_polys', degrees)) != degrees:
        raise InputError(
            f'legendre_polys: expected {degrees}, as {first} has {features} columns, found {said}.'
        )
    layers = range(count(state, f'{prefix}nnet.layers.{{i}}'))
    hidden = tuple(shape(state, f'{prefix}nnet.layers.{i}.weight', 2)[0] for i in layers)
    width = shape(state, f'{prefix}nnet.last_layer.weight', 2)[0]
    sizes = PlaceSizes(degrees=degrees, form=form, hidden=hidden)
    return _alone('satclip', sizes, width)


def torchspatial(state: State, prefix: str, settings: Settings) -> Config:
    """That of one of TorchSpatial's location encoders.

    Raises:
      InputError: the encoder or a size of it is not said, or is none of ours.
    """
    if f'{prefix}feats.0.weight' in state:
        settings = {'spa_enc_type': 'wrap', **settings}
    name = _one_of(settings, 'spa_enc_type', torchspatial_table.NAMES)
    if name == 'wrap':
        return _alone('wrap', PlaceSizes(), shape(state, f'{prefix}feats.0.weight', 2)[0])
    if settings.get('skip_connection') is False:
        raise InputError('skip_connection: expected true, as ours have them, found false.')
    layer = f'{prefix}spa_enc.ffn.layers.{{i}}'
    numbers = range(count(state, layer))
    widths = [shape(state, f'{layer}.linear.weight'.replace('{i}', str(i)), 2)[0] for i in numbers]
    if not widths:
        shape(state, f'{layer}.linear.weight'.replace('{i}', '0'), 2)
    sizes = PlaceSizes(hidden=tuple(widths[:-1]))
    sizes.activation = _one_of(settings, 'spa_f_act', torchspatial_table.ACTIVATIONS)
    _encoding(name, sizes, settings, state, prefix)
    return _alone(name, sizes, widths[-1])


def _encoding(name: str, sizes: PlaceSizes, settings: Settings, state: State, prefix: str) -> None:
    """Sets what the position is encoded with."""
    if name == 'rff':
        directions = f'{prefix}spa_enc.position_encoder.dirvec'
        sizes.frequencies = shape(state, directions, 2)[1]
        sizes.kernel = float(np.std(state[directions]))  # of a fresh draw alone
        extent = _needed(settings, 'map_range')
        if not isinstance(extent, list | tuple) or len(extent) != 4:
            raise InputError(f'map_range: expected west, east, south, north, found {extent!r}.')
        west, east, south, north = (float(x) for x in extent)
        sizes.extent = west, east, south, north
    elif name == 'harmonics':
        sizes.degrees = int(_number(settings, 'legendre_poly_num'))
    elif name not in ('wrap_ffn', 'xyz', 'nerf'):
        sizes.frequencies = int(_number(settings, 'frequency_num'))
        sizes.max_radius = _number(settings, 'max_radius')
        fixed = name in torchspatial_table.FIXED_RADIUS
        sizes.min_radius = 1.0 if fixed else _number(settings, 'min_radius')


def _alone(name: str, sizes: PlaceSizes, width: int) -> Config:
    config = paper()
    model = config.model
    model.rs.enabled = model.sv.enabled = False
    model.nili.kind = 'mean'
    model.embed_dim = width
    model.location.encoder, model.location.sizes = name, sizes
    return config


def _needed(settings: Settings, name: str) -> Any:
    if name not in settings:
        raise InputError(
            f'{name}: expected in the hyper-parameters of the file or in --settings, found '
            'nothing: no array tells it.'
        )
    return settings[name]


def _number(settings: Settings, name: str) -> float:
    found = _needed(settings, name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
        raise InputError(f'{name}: expected a number above 0, found {found!r}.')
    return float(found)


def _one_of(settings: Settings, name: str, known: Mapping[str, str]) -> str:
    found = _needed(settings, name)
    if found not in known:
        raise InputError(f'{name}: expected one of {", ".join(known)}, found {found!r}.')
    return known[found]
