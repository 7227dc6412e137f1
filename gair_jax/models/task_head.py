"""What stands on the encoders to learn a label: a probe of embeddings, or a decoder of masks."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import Config, InputError
from gair_jax.models import gair
from gair_jax.models.batch_norm import BatchNorm
from gair_jax.models.heads import Probe
from gair_jax.models.ltae import LtaeSpec
from gair_jax.models.time_merging import LinearTime, LtaeTime
from gair_jax.models.upernet import UPerNet, UPerNetSpec, resize
from gair_jax.models.vit import expect

Params = dict[str, Any]
TARGETS = ('class', 'regression', 'mask')
KINDS = ('linear', 'nonlinear')
DECODERS = ('upernet', *KINDS)
MERGINGS = ('linear', 'ltae')
LOSSES = ('cross_entropy', 'dice')
_HEADS = 16  # of L-TAE, as PANGAEA-Bench has; fewer where they do not divide the width


class MaskDecoder(nn.Module):
    """UPerNet over the levels of one date, or of several that are merged first.

    Of the kinds 'linear' and 'nonlinear' it is a batch norm and a probe of each patch of the last
    level, whose logits are interpolated to pixels.
    """

    spec: UPerNetSpec
    merging: str
    kind: str

    @nn.compact
    def __call__(
        self, levels: Float[Array, 'l b t h w c'], size: tuple[int, int], train: bool
    ) -> Float[Array, 'b i j k']:
        """Logits of each pixel."""
        if levels.shape[2] == 1:
            merged = [level[:, 0] for level in levels]
        elif self.merging == 'linear':
            merged = LinearTime(name='time')(list(levels))
        else:
            width = levels.shape[-1]
            spec = LtaeSpec(width=width, mlp=(width,), heads=math.gcd(width, _HEADS))
            merged = LtaeTime(spec, name='time')(list(levels), train=train)
        if self.kind == 'upernet':
            return UPerNet(self.spec, name='upernet')(merged, size, train)
        # Tokens of a frozen encoder have any scale, and rates are chosen for inputs of scale 1.
        tokens = BatchNorm(jnp.float32, name='norm')(merged[-1].astype(jnp.float32), train)
        probe = Probe(self.spec.classes, self.kind == 'nonlinear', name='probe')
        return resize(probe(tokens), size)


class EmbeddingHead(nn.Module):
    """A probe, with the signature of `MaskDecoder`."""

    outputs: int
    hidden: bool

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b d'], size: tuple[int, int], train: bool
    ) -> Float[Array, 'b k']:
        """Values of each row."""
        del size, train
        return Probe(self.outputs, self.hidden, name='probe')(x)


@dataclasses.dataclass(frozen=True, eq=False)
class TaskHead:
    """A head as pure functions; `build` makes it.

    Attributes:
      module: the network.
      features: shape of its input for one row.
      size: rows and columns of its output, for masks.
    """

    module: nn.Module
    features: tuple[int, ...]
    size: tuple[int, int]

    def init(self, key: Array) -> tuple[Params, Params]:
        """Parameters, and running statistics ({} without a batch norm)."""
        made = self.module.init(key, jnp.zeros(self._input_shape(1)), self.size, False)
        return made['params'], made.get('batch_stats', {})

    def layer_outputs(self, rows: int) -> Any:
        """Shapes of what every layer gives for some rows in training, nested as the layers are."""
        keys = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}

        def run(features: Array) -> Any:
            kept: list[str] = ['batch_stats', 'intermediates']
            made = self.module.init(keys, features, self.size, False)
            return self.module.apply(
                made, features, self.size, True, rngs=keys, mutable=kept, capture_intermediates=True
            )[1]['intermediates']

        return jax.eval_shape(run, jax.ShapeDtypeStruct(self._input_shape(rows), jnp.float32))

    def _input_shape(self, rows: int) -> tuple[int, ...]:
        if len(self.features) == 1:
            return (rows, *self.features)
        levels, *rest = self.features
        return (levels, rows, *rest)

    def apply(
        self, params: Params, statistics: Params, features: Array, *, key: Array | None = None
    ) -> tuple[Array, Params]:
        """Outputs float32 [B, K] or [B, h, w, K], and the statistics after them.

        Args:
          params: of `init`.
          statistics: of `init`, or of the last call.
          features: embeddings [B, D], or levels [L, B, T, h, w, D].
          key: for dropout; None is no training: no dropout, and statistics are used, not kept.
        """
        variables = {'params': params, 'batch_stats': statistics}
        if key is None:
            outputs: Any = self.module.apply(variables, features, self.size, False)
            return outputs, statistics
        outputs, changed = self.module.apply(
            variables, features, self.size, True, rngs={'dropout': key}, mutable=['batch_stats']
        )
        return outputs, dict(changed.get('batch_stats', {}))


def build(config: Config) -> TaskHead:
    """The head that `config.head` describes.

    Raises:
      InputError: a value that cannot be built; names the field, what was found and expected.
    """
    head = config.head
    for field, allowed in (
        ('target', TARGETS), ('kind', KINDS), ('decoder', DECODERS), ('merging', MERGINGS),
        ('loss', LOSSES),
    ):  # fmt: skip
        expect(f'head.{field}', getattr(head, field), allowed)
    if head.outputs < 1:
        raise InputError(f'head.outputs: expected at least 1, found {head.outputs}.')
    softmax = head.target == 'class' or (head.target == 'mask' and head.loss == 'cross_entropy')
    if softmax and head.outputs < 2:
        raise InputError(f'head.outputs: expected 2 classes or more, found {head.outputs}.')
    return _decoder(config) if head.target == 'mask' else _probe(config)


def _probe(config: Config) -> TaskHead:
    head, widths, width = config.head, gair.widths(config), 0
    if not head.features or len(set(head.features)) < len(head.features):
        raise InputError(f'head.features: expected each side once, found {head.features}.')
    for side in head.features:
        expect('head.features', side, gair.SIDES)
        if not getattr(config.model, side).enabled:
            raise InputError(f'head.features: expected an enabled encoder, found {side!r}.')
        width += widths[side]
    return TaskHead(EmbeddingHead(head.outputs, head.kind == 'nonlinear'), (width,), (0, 0))


def _decoder(config: Config) -> TaskHead:
    head, rs = config.head, gair.rs_encoder(config)
    if rs is None or head.features != ('rs',):
        raise InputError(f"head.features: a mask expects ('rs',), found {head.features}.")
    depth, levels = rs.spec.layers.depth, list(head.levels)
    if not levels or sorted(set(levels) & set(range(depth))) != levels:
        raise InputError(
            f'head.levels: expected ascending layers 0 to {depth - 1}, found {tuple(levels)}.'
        )
    if head.channels < 1:
        raise InputError(f'head.channels: expected at least 1, found {head.channels}.')
    spec = UPerNetSpec(classes=head.outputs, channels=head.channels, dtype=config.model.dtype)
    side = config.input.rs.size // rs.spec.patch
    shape = (len(levels), config.input.rs.dates, side, side, rs.spec.layers.dim)
    window = config.input.rs.window
    return TaskHead(MaskDecoder(spec, head.merging, head.decoder), shape, (window, window))


def take_levels(
    model: gair.Model, params: Params, rs: Float[Array, 'b t y x c'], *, key: Array | None
) -> Float[Array, 'l b t h w d']:
    """Token maps of the layers `head.levels` of each date.

    The last of them is after the final norm where there is one, as PANGAEA-Bench reads CROMA.
    """
    encoder, levels = model.rs, tuple(model.config.head.levels)
    assert encoder is not None
    b, t, y, x, c = rs.shape
    out = gair.run(
        encoder, params['rs'], rs.reshape(b * t, y, x, c), deterministic=key is None,
        rngs=None if key is None else {'dropout': key}, levels=levels,
        norm_last=encoder.spec.final_norm,
    )['levels']  # fmt: skip
    patch = encoder.spec.patch
    return out.reshape(len(levels), b, t, y // patch, x // patch, -1)
