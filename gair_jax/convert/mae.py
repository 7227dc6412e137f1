"""The masked autoencoder of facebookresearch/mae, and our `rs` and `mae` sub-trees."""

from gair_jax.convert import layers
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm

UNUSED = ('pos_embed', 'decoder_pos_embed')  # fixed tables, formed by us


def rules() -> list[Rule]:
    """The table."""
    return [
        *layers.patch_convolution('rs/patch', 'patch_embed.proj'),
        layers.batched('rs/class_token', 'cls_token', 2),
        *layers.timm('rs/transformer/layers', 'blocks.'),
        *norm('rs/norm', 'norm'),
        *linear('mae/embed', 'decoder_embed'),
        layers.batched('mae/mask_token', 'mask_token', 2),
        *layers.timm('mae/transformer/layers', 'decoder_blocks.'),
        *norm('mae/norm', 'decoder_norm'),
        *linear('mae/pixels', 'decoder_pred'),
    ]


def params(state: State, template: Tree) -> Tree:
    """Our {'rs': ..., 'mae': ...} from the reference's keys.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules(), template, UNUSED)
