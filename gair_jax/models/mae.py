"""Masked autoencoding of tiles (He et al. 2022), with the photo as a special patch (paper 5.5).

The decoder sees the encoded patches and a learned token at every hidden place, and predicts pixels.
In GAIR-MAE the photo is one more hidden patch of the tile: a mask token of its own, standing at the
photo's place, from which the photo, made small, is predicted.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from gair_jax.config import Config, InputError
from gair_jax.models import gair, positions
from gair_jax.models.attention_query import query_position
from gair_jax.models.transformer import WEIGHTS, Transformer, TransformerSpec, dense, run
from gair_jax.models.vit import Vit

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderSpec:
    """The decoder: its layers, values of a predicted patch and of a predicted photo (0: none)."""

    layers: TransformerSpec
    patch_values: int
    photo_values: int = 0


class Decoder(nn.Module):
    """Encoded patches to pixels; sine-cosine positions, the class token (if any) at none."""

    spec: DecoderSpec

    @nn.compact
    def __call__(
        self,
        class_tokens: Float[Array, 'b c d'],
        patch_tokens: Float[Array, 'b k d'],
        restore: Int[Array, 'b n'],
        grid: tuple[int, int],
        xy: Float[Array, 'b 2'],
    ) -> tuple[Float[Array, 'b n p'], Float[Array, 'b q']]:
        """Predicts every patch of the grid, and the photo (Q = 0 values where there is none).

        Args:
          class_tokens: of the encoder, C = 0 or 1.
          patch_tokens: of the K patches that were encoded.
          restore: rank of each patch in the order in which patches were kept; see `keep_order`.
          grid: patches (down, across).
          xy: the photo's place in the window; unused without a photo.
        """
        spec, (b, k), c = self.spec, patch_tokens.shape[:2], class_tokens.shape[1]
        dim = spec.layers.dim
        x = dense(dim, name='embed')(jnp.concatenate([class_tokens, patch_tokens], axis=1))
        mask = self.param('mask_token', WEIGHTS, (dim,))
        masked = jnp.broadcast_to(mask[None, None], (b, restore.shape[1] - k, dim))
        patches = jnp.concatenate([x[:, c:], masked], axis=1)
        patches = jnp.take_along_axis(patches, restore[..., None], axis=1)
        tokens = [x[:, :c], patches + positions.sincos_table(*grid, dim)[None]]
        if spec.photo_values:
            photo = self.param('photo_token', WEIGHTS, (dim,))
            # Patch i of the table is centred on i + 1/2, counted from the grid's corner.
            place = query_position(xy - 1 / jnp.asarray([grid[::-1]], jnp.float32), *grid, dim)
            tokens.append((photo[None] + place)[:, None])
        x = Transformer(spec.layers, name='transformer')(jnp.concatenate(tokens, axis=1))
        x = nn.LayerNorm(spec.layers.norm_eps, name='norm')(x.astype(jnp.float32))
        n = c + restore.shape[1]
        pixels = dense(spec.patch_values, name='pixels')(x[:, c:n])
        if not spec.photo_values:
            return pixels, jnp.zeros((b, 0))
        return pixels, dense(spec.photo_values, name='photo')(x[:, n])


@dataclasses.dataclass(frozen=True, eq=False)
class MaeModel:
    """Masked autoencoder of tiles; `build` makes it.

    `params` holds 'rs', the encoder as `models.gair` has it, and 'mae', the decoder.
    """

    rs: Vit
    decoder: Decoder
    mask_ratio: float
    photo_side: int  # pixels; 0: no photo is predicted

    @property
    def patches(self) -> int:
        """Patches N of a tile; the noise of a batch is [B, N]."""
        return self.rs.spec.patches

    def init(self, key: Array) -> Params:
        """Draws all parameters; 'rs' depends only on the key and the encoder's settings."""
        return jax.jit(self._init)(key)

    def apply(
        self, params: Params, batch: Mapping[str, Array], noise: Float[Array, 'b n']
    ) -> dict[str, Array]:
        """Predictions of a batch and what they should be.

        Args:
          params: parameters.
          batch: rs [B, H, W, C]; with a photo also sv [B, h, w, 3] and xy [B, 2].
          noise: one number a patch; those with the lowest are encoded, the others hidden.

        Returns:
          pred and target [B, N, P P C], patch vectors ordered (row, column, channel), the targets
          as they are (`losses.mae_loss` normalises them if asked); mask [B, N], 1 where hidden;
          ids_restore [B, N]; latent [B, C + K, D]; with a photo photo_pred and photo_target
          [B, 1, S S 3].
        """
        rs, patch = batch['rs'], self.rs.spec.patch
        keep, restore, mask = keep_order(noise, self.mask_ratio)
        encoded = run(self.rs, params['rs'], rs, keep=keep)
        grid = (rs.shape[1] // patch, rs.shape[2] // patch)
        xy = batch['xy'].astype(jnp.float32) if self.photo_side else jnp.zeros((len(rs), 2))
        tokens = encoded['class_tokens'], encoded['patch_tokens']
        pred, photo = run(self.decoder, params['mae'], *tokens, restore, grid, xy)
        out = {
            'pred': pred,
            'target': pixel_patches(rs, patch),
            'mask': mask,
            'ids_restore': restore,
            'latent': jnp.concatenate(tokens, axis=1),
        }
        if self.photo_side:
            out['photo_pred'] = photo[:, None]
            out['photo_target'] = _small(batch['sv'], self.photo_side)
        return out

    def _init(self, key: Array) -> Params:
        # The first of five keys, as models.gair draws its own: the same encoder from the same seed.
        rs_key, *_, mae_key = jax.random.split(key, 5)
        spec = self.rs.spec
        h, w = (side // spec.patch for side in spec.image)
        image = jnp.zeros((1, *spec.image, spec.channels))
        tokens = jnp.zeros((1, int(spec.class_token) + h * w, spec.layers.dim))
        c = int(spec.class_token)
        restore = jnp.zeros((1, h * w), jnp.int32)
        decoder = self.decoder.init(
            mae_key, tokens[:, :c], tokens[:, c:], restore, (h, w), jnp.zeros((1, 2))
        )
        return {'rs': self.rs.init(rs_key, image)['params'], 'mae': decoder['params']}


def build(config: Config) -> MaeModel:
    """The masked autoencoder of a config.

    Raises:
      InputError: a value that cannot be built; names the field, what was found and expected.
    """
    mae, model = config.model.mae, config.model
    rs = gair.rs_encoder(config)
    if rs is None:
        raise InputError('model.rs.enabled: loss.objective mae expects True, found False.')
    if mae.photo and not model.sv.enabled:
        raise InputError('model.sv.enabled: model.mae.photo expects True, found False.')
    if not 0 <= mae.mask_ratio < 1 or not int(rs.spec.patches * (1 - mae.mask_ratio)):
        raise InputError(
            'model.mae.mask_ratio: expected 0 <= ratio < 1 that leaves a patch of '
            f'{rs.spec.patches}, found {mae.mask_ratio}.'
        )
    if mae.photo and mae.photo_side < 1:
        raise InputError(f'model.mae.photo_side: expected at least 1, found {mae.photo_side}.')
    layers = dataclasses.replace(
        rs.spec.layers,
        dim=mae.decoder_dim,
        depth=mae.decoder_depth,
        heads=mae.decoder_heads,
        mlp_dim=4 * mae.decoder_dim,
        qkv_bias=True,
        norm_eps=1e-6,
        attention_dropout=0.0,
        hidden_dropout=0.0,
    )
    layers.check('model.mae.decoder_')
    if mae.decoder_dim % 4:
        raise InputError(
            f'model.mae.decoder_dim: expected a multiple of 4, found {mae.decoder_dim}.'
        )
    side = mae.photo_side if mae.photo else 0
    spec = DecoderSpec(
        layers=layers,
        patch_values=rs.spec.patch**2 * rs.spec.channels,
        photo_values=3 * side * side,
    )
    return MaeModel(rs, Decoder(spec), mae.mask_ratio, side)


def keep_order(
    noise: Float[Array, 'b n'], mask_ratio: float
) -> tuple[Int[Array, 'b k'], Int[Array, 'b n'], Float[Array, 'b n']]:
    """Which patches are kept: (their indices by rising noise, each patch's rank, the mask).

    K = int(N (1 - mask_ratio)); the mask is 1 for a hidden patch.
    """
    n = noise.shape[1]
    kept = int(n * (1 - mask_ratio))
    order = jnp.argsort(noise, axis=1)
    rank = jnp.argsort(order, axis=1)
    return order[:, :kept], rank, (rank >= kept).astype(jnp.float32)


def pixel_patches(images: Float[Array, 'b y x c'], patch: int) -> Float[Array, 'b n p']:
    """Patch vectors as targets, row-major; a vector is ordered (row, column, channel)."""
    b, y, x, c = images.shape
    cut = images.reshape(b, y // patch, patch, x // patch, patch, c)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(b, -1, patch * patch * c)


def _small(photos: Float[Array, 'b y x 3'], side: int) -> Float[Array, 'b 1 p']:
    """Photos reduced to side x side pixels (antialiased), as one patch vector each."""
    shape = (len(photos), side, side, 3)
    return jax.image.resize(photos, shape, 'linear').reshape(len(photos), 1, -1)
