"""GAIR: three encoders, NILI and projections, as pure functions of parameters (paper section 3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import Config, InputError
from gair_jax.geo import place_encodings
from gair_jax.models import interpolation, vit
from gair_jax.models.attention_query import AttentionQuery
from gair_jax.models.heads import ClipHead
from gair_jax.models.location import LAST_WEIGHTS, LocationEncoder
from gair_jax.models.nili import SCHEDULES, Nili
from gair_jax.models.place_towers import Tower, location_encoder
from gair_jax.models.reader import reader
from gair_jax.models.transformer import run
from gair_jax.models.vit import Vit, expect
from gair_jax.sensors import contract

Params = dict[str, Any]
SIDES = ('rs', 'sv', 'location')


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """The model that a config describes; `build` makes it.

    Every method is a pure function of its arguments. `params` holds the sub-trees rs, sv, location,
    nili, projections and clip, each only where the config enables it. A `key` is for dropout alone;
    None is no dropout. Images are network input, channels last; places are as `place_input` gives
    them: encoded by the host where `encoding` is one, else degrees, longitude first.
    """

    config: Config
    rs: Vit | None
    sv: Vit | None
    location: LocationEncoder | Tower | None
    nili: Nili | AttentionQuery | None
    projections: Mapping[str, nn.Dense]
    clip: ClipHead | None = None
    encoding: place_encodings.Encoding | None = None

    def init(self, key: Array) -> Params:
        """Draws all parameters; each sub-tree depends only on the key and on its own settings."""
        return jax.jit(self._init)(key)

    def encode_rs(
        self, params: Params, rs: Float[Array, 'b y x c'], *, key: Array | None = None
    ) -> dict[str, Array]:
        """Tiles to patch_grid [B, h, w, D], tokens [B, N (+ class, first), D], pooled [B, D]."""
        out = self._encode('rs', self.rs, params, rs, key)
        patch, (b, y, x, _) = self.config.model.rs.patch, rs.shape
        grid = out['patch_tokens'].reshape(b, y // patch, x // patch, -1)
        return {'patch_grid': grid, 'tokens': _tokens(out), 'pooled': out['pooled']}

    def encode_sv(
        self, params: Params, sv: Float[Array, 'b y x 3'], *, key: Array | None = None
    ) -> dict[str, Array]:
        """Photos to tokens [B, N (+ class, first), D] and embedding [B, D]."""
        out = self._encode('sv', self.sv, params, sv, key)
        return {'tokens': _tokens(out), 'embedding': out['pooled']}

    @property
    def place_field(self) -> str:
        """The field of a batch that the location encoder reads: 'lonlat', or 'place', encoded."""
        return 'lonlat' if self.encoding is None else 'place'

    @property
    def place_width(self) -> int:
        """Numbers that the location encoder reads of a place."""
        return 2 if self.encoding is None else self.encoding.width

    def place_input(self, lonlat: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n f']:
        """What the location encoder reads of places in degrees, float64."""
        return lonlat.astype(np.float32) if self.encoding is None else self.encoding(lonlat)

    def encode_location(self, params: Params, places: Float[Array, 'n f']) -> Float[Array, 'n d']:
        """Places, as `place_input` gives them, to embeddings."""
        encoder = self._required('location', self.location)
        return run(encoder, params['location'], places)['embedding']

    def query(
        self,
        params: Params,
        patch_grid: Float[Array, 'b h w c'],
        xy: Float[Array, 'b q 2'],
        schedule: str = '',
    ) -> Float[Array, 'b q d']:
        """Localized embeddings of points of each tile.

        Args:
          params: parameters.
          patch_grid: of `encode_rs`.
          xy: points of the window, [-1, 1], x east, y south.
          schedule: 'gather' or 'convolve', the same numbers; '' is that of the config.
        """
        settings = self.config.model.nili
        if isinstance(self.nili, Nili):
            schedule = schedule or settings.schedule
            expect('schedule', schedule, SCHEDULES)
            return run(self.nili, params['nili'], patch_grid, xy, schedule)
        if isinstance(self.nili, AttentionQuery):
            return run(self.nili, params['nili'], patch_grid, xy)
        if settings.kind == 'mean':
            return interpolation.mean(patch_grid, xy)
        sample = getattr(interpolation, settings.kind)
        return sample(patch_grid, xy, settings.padding)

    def project(self, params: Params, side: str, x: Float[Array, '*batch c']) -> Array:
        """`x` as the loss compares it: through the projection of `side`, if it has one."""
        if side not in self.projections:
            return x
        return run(self.projections[side], params['projections'][side], x)

    def project_clip(self, params: Params, features: Float[Array, 'b c']) -> Float[Array, 'b d']:
        """CLIP image features [B, model.clip_hidden] to the space of the places (GeoCLIP)."""
        return run(self._required('clip', self.clip), params['clip'], features)

    def apply(
        self, params: Params, batch: Mapping[str, Array], *, key: Array | None = None
    ) -> dict[str, Array]:
        """A batch through every enabled encoder.

        Args:
          params: parameters.
          batch: rs [B, H, W, C], sv [B, h, w, 3], xy [B, 2] and what `place_field` names [B, f],
            as far as enabled.
          key: for dropout; None is none.

        Returns:
          localized, rs (pooled), sv, location, all [B, D]; patch_grid; and, as the loss compares
          them, loss_localized, loss_sv, loss_location. Keys of absent encoders are absent.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        out: dict[str, Array] = {}
        if self.rs is not None:
            encoded = self.encode_rs(params, batch['rs'], key=keys[0])
            out['patch_grid'], out['rs'] = encoded['patch_grid'], encoded['pooled']
            xy = batch['xy'][:, None].astype(jnp.float32)
            out['localized'] = self.query(params, encoded['patch_grid'], xy)[:, 0]
            out['loss_localized'] = self.project(params, 'rs', out['localized'])
        if self.sv is not None:
            out['sv'] = self.encode_sv(params, batch['sv'], key=keys[1])['embedding']
            out['loss_sv'] = self.project(params, 'sv', out['sv'])
        if self.location is not None:
            out['location'] = self.encode_location(params, batch[self.place_field])
            out['loss_location'] = self.project(params, 'location', out['location'])
        return out

    def _init(self, key: Array) -> Params:
        keys = dict(zip((*SIDES, 'nili', 'projections'), jax.random.split(key, 5), strict=True))
        config, params = self.config, {}
        for side, encoder in (('rs', self.rs), ('sv', self.sv)):
            if encoder is not None:
                image = jnp.zeros((1, *encoder.spec.image, encoder.spec.channels))
                params[side] = encoder.init(keys[side], image)['params']
        if self.location is not None:
            place = jnp.zeros((1, self.place_width))
            params['location'] = self.location.init(keys['location'], place)['params']
        if self.nili is not None:
            grid = jnp.zeros((1, 2, 2, _grid_width(self.rs)))
            params['nili'] = self.nili.init(keys['nili'], grid, jnp.zeros((1, 1, 2)))['params']
        if self.projections:
            params['projections'] = {
                side: module.init(
                    jax.random.fold_in(keys['projections'], SIDES.index(side)),
                    jnp.zeros((1, _widths(config, self.rs, self.sv)[side])),
                )['params']
                for side, module in self.projections.items()
            }
        if self.clip is not None:
            features = jnp.zeros((1, self.clip.hidden))
            # Not one more split, which would change the other keys.
            params['clip'] = self.clip.init(jax.random.fold_in(key, 1), features)['params']
        return params

    def _encode(
        self, side: str, encoder: Vit | None, params: Params, images: Array, key: Array | None
    ) -> dict[str, Array]:
        encoder = self._required(side, encoder)
        rngs = None if key is None else {'dropout': key}
        return run(encoder, params[side], images, deterministic=key is None, rngs=rngs)

    def _required(self, side: str, encoder: Any) -> Any:
        if encoder is None and side == 'clip':
            raise InputError('model.clip_hidden: this needs the image head of GeoCLIP, found 0.')
        if encoder is None:
            raise InputError(f'model.{side}.enabled: this needs the {side} encoder, found False.')
        return encoder


def build(config: Config) -> Model:
    """The model of a config.

    Raises:
      InputError: a value that cannot be built; names the field, what was found and expected.
    """
    model = config.model
    if model.embed_dim < 1:
        raise InputError(f'model.embed_dim: expected at least 1, found {model.embed_dim}.')
    rs, sv = rs_encoder(config), sv_encoder(config)
    location, encoding = location_encoder(config)
    for side in model.projections:
        expect('model.projections', side, SIDES)
    enabled = [s for s in SIDES if getattr(model, s).enabled and s in model.projections]
    projections = {s: nn.Dense(model.embed_dim, kernel_init=LAST_WEIGHTS) for s in enabled}
    nili = None if rs is None else reader(model, rs.spec.layers.dim)
    for side, width in _widths(config, rs, sv).items():
        if width != model.embed_dim and side not in model.projections:
            raise InputError(
                f'model.embed_dim: expected {width}, the width of the {side} side, or '
                f'{side!r} in model.projections, found {model.embed_dim}.'
            )
    if model.clip_hidden < 0:
        raise InputError(f'model.clip_hidden: expected at least 0, found {model.clip_hidden}.')
    clip = ClipHead(model.clip_hidden, model.embed_dim) if model.clip_hidden else None
    return Model(config, rs, sv, location, nili, projections, clip, encoding)


def rs_encoder(config: Config) -> Vit | None:
    """The remote sensing encoder of a config, or None where it is disabled."""
    if not config.model.rs.enabled:
        return None
    bands = len(contract(config.input.rs.sensor).bands)
    size = config.input.rs.size
    return Vit(
        vit.spec(config.model.rs, config.model, channels=bands, image=size, where='model.rs')
    )


def sv_encoder(config: Config) -> Vit | None:
    """The street view encoder of a config, or None where it is disabled."""
    if not config.model.sv.enabled:
        return None
    size = config.input.sv.size
    return Vit(vit.spec(config.model.sv, config.model, channels=3, image=size, where='model.sv'))


def widths(config: Config) -> dict[str, int]:
    """Width of the embedding of each enabled side before its projection; of rs, at a point."""
    return _widths(config, rs_encoder(config), sv_encoder(config))


def _widths(config: Config, rs: Vit | None, sv: Vit | None) -> dict[str, int]:
    """Width of what each enabled side gives before its projection."""
    model, widths = config.model, {}
    if rs is not None:
        is_nili = model.nili.kind == 'nili'
        widths['rs'] = model.embed_dim if is_nili else rs.spec.layers.dim
    if sv is not None:
        widths['sv'] = sv.spec.layers.dim
    if model.location.enabled:
        widths['location'] = model.embed_dim
    return widths


def _grid_width(rs: Vit | None) -> int:
    assert rs is not None
    return rs.spec.layers.dim


def _tokens(out: Mapping[str, Array]) -> Float[Array, 'b n d']:
    return jnp.concatenate([out['class_tokens'], out['patch_tokens']], axis=1)
