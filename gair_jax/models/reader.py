"""What reads the patch grid at a point, by `model.nili.kind` (paper section 3.2)."""

from gair_jax.config import InputError, ModelConfig
from gair_jax.models import interpolation
from gair_jax.models.attention_query import AttentionQuery
from gair_jax.models.nili import COORDINATES, SCHEDULES, Nili, NiliSpec
from gair_jax.models.transformer import TransformerSpec
from gair_jax.models.vit import expect

KINDS = ('nili', 'bilinear', 'bicubic', 'mean', 'attention')


def reader(model: ModelConfig, width: int) -> Nili | AttentionQuery | None:
    """What reads a patch grid of `width`, where it has parameters; InputError as `gair.build`."""
    nili = model.nili
    expect('model.nili.kind', nili.kind, KINDS)
    expect('model.nili.schedule', nili.schedule, SCHEDULES)
    expect('model.nili.padding', nili.padding, interpolation.PADDINGS)
    expect('model.nili.coordinates', nili.coordinates, COORDINATES)
    if nili.hidden and min(nili.hidden) < 1:
        raise InputError(
            f'model.nili.hidden: expected widths of at least 1, found {tuple(nili.hidden)}.'
        )
    if nili.kind == 'nili':
        return Nili(
            NiliSpec(
                dim=width,
                embed_dim=model.embed_dim,
                hidden=tuple(nili.hidden),
                coordinates=nili.coordinates,
            )
        )
    if nili.kind != 'attention':
        return None
    if width % 4:
        raise InputError(f'model.rs.dim: kind attention expects a multiple of 4, found {width}.')
    if nili.layers < 1:
        raise InputError(f'model.nili.layers: expected at least 1, found {nili.layers}.')
    layers = TransformerSpec(
        dim=width,
        depth=nili.layers,
        heads=nili.heads,
        mlp_dim=4 * width,
        qkv_bias=False,
        norm_eps=1e-5,
        dtype=model.dtype,
        remat=model.remat,
        rolled=model.rolled,
        attention=model.attention,
    )
    layers.check('model.nili.')
    return AttentionQuery(layers)
